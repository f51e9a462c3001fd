from __future__ import annotations

import pytest

from core.agents.policy import Allow, Ask, Deny, ToolRequest, decide
from core.agents.roles import ROLE_OF, Rights, Role
from core.domain.lifecycles import Phase
from core.isolation.plan import Level


def rights(role: Role) -> Rights:
    return Rights(role=role, story_id="demo-1", is_test=lambda path: path.startswith("tests/"))


def request(kind: str, *paths: str) -> ToolRequest:
    return ToolRequest(kind=kind, title="t", paths=paths)


WRITES = {
    ".orch-state/stories/demo-1.md": {Role.DESIGN},
    ".orch-state/stories/demo-2.md": set(),
    ".orch-state/config.yaml": set(),
    "orch-config.yaml": set(),
    "src/a.py": {Role.CODE},
    "orch-config.yaml.py": {Role.CODE},
    "tests/test_a.py": {Role.QA},
    "tests/data/x.csv": {Role.QA},
    "data/x.csv": {Role.DATA, Role.CODE},
    "data": {Role.CODE},
    ".git": set(),
    ".git/config": set(),
    "vendor/.git/hooks/x": set(),
    ".gitignore": {Role.CODE},
    ".github/workflows/ci.yml": set(),
    "tests/.github/ci.yml": set(),
    ".gitlab-ci.yml": set(),
    "/etc/passwd": set(),
    "../sibling/a.py": set(),
    "src/../../a.py": set(),
    "": set(),
    ".": set(),
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("path", WRITES)
def test_each_role_writes_its_own_files_only(role, path):
    assert rights(role).may_write(path) is (role in WRITES[path])


def test_every_phase_with_an_agent_has_a_role():
    assert {phase for phase in Phase if phase not in ROLE_OF} == {Phase.COMMIT}


@pytest.mark.parametrize("kind", ["edit", "delete", "move"])
def test_changes_are_decided_by_the_roles_paths(kind):
    code = rights(Role.CODE)

    assert isinstance(decide(request(kind, "a.py", "b.py"), code, Level.PROCESS), Allow)
    denied = decide(request(kind, "a.py", "tests/test_a.py"), code, Level.FILESYSTEM)
    assert isinstance(denied, Deny)
    assert "not tests/test_a.py" in denied.reason
    assert isinstance(decide(request(kind), code, Level.FILESYSTEM), Ask)


@pytest.mark.parametrize(
    ("level", "answer"),
    [(Level.PROCESS, Ask), (Level.FILESYSTEM, Allow), (Level.NETWORK, Allow), (Level.CONTAINER, Allow)],
)
def test_commands_run_where_the_sandbox_confines_their_files(level, answer):
    assert isinstance(decide(request("execute"), rights(Role.QA), level), answer)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("kind", ["read", "search", "think"])
def test_looking_is_allowed(kind, level):
    assert isinstance(decide(request(kind, "/usr/include/x.h"), rights(Role.CODE), level), Allow)


@pytest.mark.parametrize("kind", ["fetch", "other", "switch_mode", "", "from_the_future"])
def test_the_rest_is_left_to_people_with_a_reason(kind):
    decision = decide(request(kind), rights(Role.CODE), Level.FILESYSTEM)

    assert isinstance(decision, Ask)
    assert all(decision.reasons)
