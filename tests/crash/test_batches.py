"""SIGKILL while a batch is merged: before and after the main branch moves, each story lands once.

One run: a project for each point at which everything is killed, held there with three stories in its batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.orchestrator.commands import Commands

pytestmark = pytest.mark.timeout(600)

POINTS = {
    "unproven": "before-prepare_merge",
    "proven": "after-prepare_merge",  # and nothing is stored
    "candidates": "before-fast_forward",  # stored, and the main branch has not moved
    "moved": "after-fast_forward",  # the main branch has moved, and nobody wrote it down
}
STORIES = ("one", "two", "three")
FILES = {
    "run-tests.sh": (
        "{ echo '<testsuite>'; for file in tests/*.sh; do sh $file 2>/dev/null &&"
        " echo \"<testcase classname='tests' name='$file'/>\" || {"
        " echo \"<testcase classname='tests' name='$file'><failure message='no'/></testcase>\"; code=1; };"
        ' done; echo "</testsuite>"; } > "$1"\nexit ${code:-0}\n'
    ),
    "tests/base.sh": "exit 0\n",
}


def script(name: str) -> dict[str, list[Any]]:
    return {
        "test_red": [{"write": {"path": f"tests/{name}.sh", "text": f"test -f {name}.txt\n"}}],
        "code_green": [{"write": {"path": f"{name}.txt", "text": f"{name}\n"}}],
        "refactor": [{"say": "Nothing to say better."}],
    }


@pytest.fixture(scope="module")
def orchard(new_orchard: Callable[[], Any]) -> Any:
    orchard = new_orchard()
    orchard.settings = {"ai_settings": {"require_human_review": True}}
    for point in POINTS:
        orchard.add(point, FILES)
    orchard.play({name: script(name) for name in STORIES})
    orchard.start()

    async def begin(commands: Commands) -> None:
        for project in POINTS:
            for name in STORIES:
                await commands.add_story(project, name, acceptance_criteria=("it is there",), actor="cli")
            await commands.plan_sprint(project, actor="cli")
            await commands.start_sprint(project, actor="cli")

    async def approve(commands: Commands) -> None:
        for project in POINTS:
            await commands.pause_sprint(project, actor="cli")
            for approval in await commands.approvals(project):
                await commands.answer_approval(approval.id, True, actor="cli")
            (orchard.root / "hold" / project).mkdir(parents=True)
            (orchard.root / "hold" / project / POINTS[project]).touch()
            await commands.resume_sprint(project, actor="cli")

    orchard.ask(begin)
    for project in POINTS:
        for number in range(1, len(STORIES) + 1):
            orchard.wait_for_event("approval_requested", f"{project}-{number}")
    orchard.ask(approve)
    for project in POINTS:
        orchard.wait_until(
            lambda project=project: (orchard.root / "held" / project).exists(), f"{project} held"
        )
    orchard.kill()
    orchard.wait_until_nothing_is_left()
    for wish in (orchard.root / "hold").glob("*/*"):
        wish.unlink()
    orchard.start()
    for project in POINTS:
        for number in range(1, len(STORIES) + 1):
            orchard.wait_for_event("story_merged", f"{project}-{number}")
    orchard.wait_until(lambda: not any((orchard.state / "worktrees").glob("*/*-*")), "worktrees are removed")
    orchard.terminate()
    return orchard


@pytest.mark.parametrize("point", POINTS)
def test_each_story_of_the_batch_lands_once_in_order(
    orchard: Any, point: str, git: Callable[..., str]
) -> None:
    checkout = orchard.projects[point]
    subjects = git(checkout, "log", "--reverse", "--format=%s", "main").splitlines()
    assert subjects[0] == "First commit"
    assert sorted(subjects[1:]) == sorted(STORIES)
    commits = git(checkout, "rev-list", "--reverse", "main").splitlines()[1:]
    rows = orchard.rows("SELECT merge_commit FROM cycles WHERE project = ?", point)
    assert sorted(row["merge_commit"] for row in rows) == sorted(commits)
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "fsck", "--strict", "--no-dangling") == ""
    for number in range(1, len(STORIES) + 1):
        assert len(orchard.events("story_merged", f"{point}-{number}")) == 1


@pytest.mark.parametrize("point", POINTS)
def test_a_gate_that_passed_is_recorded_once(orchard: Any, point: str) -> None:
    query = "SELECT story_id, passed FROM gates WHERE phase = 'commit' AND story_id LIKE ?"
    rows = orchard.rows(query, f"{point}-%")
    assert sorted((row["story_id"], row["passed"]) for row in rows) == [
        (f"{point}-{number}", 1) for number in range(1, len(STORIES) + 1)
    ]


@pytest.mark.parametrize("point", POINTS)
def test_stored_candidates_were_gone_on_with_and_others_made_anew(orchard: Any, point: str) -> None:
    rows = orchard.rows("SELECT batch_id, state FROM merges WHERE project = ?", point)
    stored = point in ("candidates", "moved")
    assert len({row["batch_id"] for row in rows}) == (1 if stored else 2)
    assert sorted(row["state"] for row in rows) == [*([] if stored else ["abandoned"] * 3), *["merged"] * 3]


def test_nothing_is_left_open(orchard: Any) -> None:
    orchard.wait_until_nothing_is_left()
    assert orchard.rows("SELECT * FROM leases WHERE released_at IS NULL") == []
    assert orchard.rows("SELECT * FROM merges WHERE state = 'open'") == []
    assert orchard.rows("SELECT * FROM merge_batches WHERE finished_at IS NULL") == []
    assert orchard.events("story_blocked") == []
