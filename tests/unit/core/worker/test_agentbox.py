from __future__ import annotations

from pathlib import Path

import pytest

from core.agents.roles import Rights, Role
from core.agents.setup import AgentSetup
from core.isolation.plan import Level
from core.worker.agentbox import agent_sandbox, protected_paths
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment
from core.worker.runners.testpaths import is_test_path

TREE = (
    ".github/workflows/ci.yml",
    "README.md",
    "conftest.py",
    "docs/index.md",
    "pyproject.toml",
    "pytest.ini",
    "src/shop/cart.py",
    "src/shop/cart_test.py",
    "src/shop/tests/data/a.json",
    "tests/deep/er/test_a.py",
    "tests/test_b.py",
)
CONFIG = frozenset({"conftest.py", "pyproject.toml", "pytest.ini"})
WORKTREE = Path("/state/worktrees/shop/shop-1")


def _rights(role: Role) -> Rights:
    return Rights(role=role, story_id="shop-1", is_test=is_test_path)


def _sandbox(role: Role, level: Level = Level.FILESYSTEM, environment: Environment | None = None):
    rights = _rights(role)
    return agent_sandbox(
        ProjectSetup(
            name="shop", path=Path("/p"), main_branch="main", state_path=Path("/state"), isolation=level.value
        ),
        AgentSetup(name="a", kind="acp", argv=("/opt/a",), read_only_paths=(Path("/opt/a"),)),
        environment or Environment(key="k", description=""),
        rights,
        worktree=WORKTREE,
        git_folder=Path("/p/.git"),
        home=Path("/state/homes/a"),
        protected=protected_paths(TREE, rights, CONFIG.__contains__),
        variables={"PATH": "/usr/bin", "HOME": "/h"},
    )


def test_code_may_not_write_tests_their_configuration_and_ci_in_as_few_paths_as_possible() -> None:
    assert protected_paths(TREE, _rights(Role.CODE), CONFIG.__contains__) == (
        ".github",
        "conftest.py",
        "pytest.ini",
        "src/shop/cart_test.py",
        "src/shop/tests",
        "tests",
    )


def test_a_file_that_holds_more_than_the_runner_s_configuration_stays_writable() -> None:
    assert "pyproject.toml" not in protected_paths(TREE, _rights(Role.CODE), CONFIG.__contains__)


def test_code_writes_in_the_worktree_but_for_what_is_protected() -> None:
    sandbox = _sandbox(Role.CODE)
    assert sandbox.writable == (WORKTREE,)
    assert {WORKTREE / "tests", WORKTREE / ".git", WORKTREE / ".orch-state", Path("/p/.git")} <= set(
        sandbox.read_only
    )


def test_qa_writes_the_whole_worktree_but_git() -> None:
    sandbox = _sandbox(Role.QA)
    assert sandbox.writable == (WORKTREE,)
    assert set(sandbox.read_only) == {Path("/p/.git"), WORKTREE / ".git", Path("/opt/a")}


def test_design_writes_specs_only() -> None:
    sandbox = _sandbox(Role.DESIGN)
    assert sandbox.writable == (WORKTREE / ".orch-state" / "stories",)
    assert WORKTREE in sandbox.read_only


@pytest.mark.parametrize("level", [Level.PROCESS, Level.FILESYSTEM])
def test_the_environment_s_programs_come_first_on_the_path(level: Level) -> None:
    environment = Environment(
        key="k", description="", path_dirs=(Path("/e/bin"),), variables={"VIRTUAL_ENV": "/e"}
    )
    sandbox = _sandbox(Role.CODE, level, environment)
    assert sandbox.environment["PATH"] == "/e/bin:/usr/bin"
    assert sandbox.environment["VIRTUAL_ENV"] == "/e"
