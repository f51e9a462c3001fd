"""Every attack at every level that this machine gives: held as the table says, which is the manual's."""

from __future__ import annotations

import ast
import re
import stat
from pathlib import Path

import pytest

from core.isolation.attacks.catalogue import ATTACKS, BY_NAME, LEVELS, Outcome
from core.isolation.attacks.table import attack_table
from core.isolation.attacks.trial import attack_level
from core.isolation.container.probe import with_container
from core.isolation.plan import Level, Machine

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "isolation.md"

# What works for any user where nothing holds it: that these fail elsewhere says something.
WORKS_UNHELD = {
    "read_sibling", "read_database", "read_by_link", "see_processes", "read_other_environment",
    "write_sibling", "write_by_link", "write_by_hard_link", "write_by_race", "write_git_hook",
    "write_git_config", "write_git_filter", "write_git_folder", "plant_setuid", "swap_git_file",
    "swap_submodule", "write_read_only", "signal", "fork_bomb",
    "reach_api", "reach_abstract", "reach_socket", "reach_gateway", "search_environments",
    "proxy_api", "proxy_rebind", "proxy_smuggle",
}  # fmt: skip


@pytest.fixture
def tmp_path(not_in_memory: Path) -> Path:
    return not_in_memory


@pytest.mark.bwrap
@pytest.mark.timeout(180)  # some containers
@pytest.mark.parametrize("level", LEVELS[1:])
async def test_a_level_holds_what_it_promises(machine: Machine, tmp_path: Path, level: Level) -> None:
    if level is Level.CONTAINER:
        machine = await with_container(machine)
    if level not in machine.levels:
        pytest.skip(machine.reasons[level])
    found = await attack_level(machine, level, tmp_path)
    assert [one.attack.name for one in found] == [attack.name for attack in ATTACKS]
    assert [f"{one.attack.name}: {one.said}" for one in found if not one.held] == []
    assert sorted(path.name for path in (tmp_path / "sibling").iterdir()) == ["secret"]
    assert (tmp_path / "sibling" / "secret").read_text() == "a secret\n"
    kept = tmp_path / "worktree" / "repository" / ".git"
    assert (kept / "config").read_text() == "[core]\n"
    assert list((kept / "hooks").iterdir()) == []
    assert [path for path in (tmp_path / "worktree").rglob("*") if path.lstat().st_mode & stat.S_ISUID] == []
    assert sorted(path.name for path in kept.parent.iterdir() if "git" in path.name) == [".git"]
    assert (tmp_path / "worktree" / "tree" / ".git").read_text() == "gitdir: /nowhere\n"
    assert (tmp_path / "worktree" / "guarded" / "test_a.py").read_text() == "assert False\n"


async def test_the_attacks_work_where_nothing_holds_them(machine: Machine, tmp_path: Path) -> None:
    found = await attack_level(machine, Level.PROCESS, tmp_path)
    assert {one.attack.name for one in found if not one.held} == set()
    assert {one.attack.name for one in found if one.succeeded} >= WORKS_UNHELD


def test_a_stronger_level_holds_all_that_a_weaker_one_does() -> None:
    strength = {Outcome.OPEN: 0, Outcome.CONTAINED: 1, Outcome.STOPPED: 2}
    for attack in ATTACKS:
        found = [strength[outcome] for outcome in attack.outcomes]
        assert found == sorted(found), attack.name
    assert len(BY_NAME) == len(ATTACKS)


def test_the_manual_shows_the_table_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    between = re.search(r"<!-- attacks -->\n(.*?)<!-- /attacks -->", text, re.DOTALL)
    assert between is not None
    table = attack_table(ATTACKS)
    assert between.group(1) == table, f"docs/isolation.md is not current, it should say:\n{table}"


def test_what_the_manual_says_is_tested_elsewhere_is() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text(encoding="utf-8"))
    assert len(named) >= 8
    for path, function in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = {
            one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert not function or function in names, f"{path}::{function}"


def test_each_poisoned_input_of_the_manual_names_its_test() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## What is fed to Orchard")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section.splitlines()
        if line[:1] == "|"
    ]
    topics = [row[0].strip("| ") for row in rows[2:]]
    assert [topic for topic in topics if topic] == [
        "Test reports", "Agents' messages", "Git", "Folders", "Words", "Commands",
    ]  # fmt: skip
    assert [row for row in rows[2:] if "::" not in row[-1]] == []
