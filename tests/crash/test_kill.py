"""SIGKILL at every phase, of everybody: the story goes on from its last passed gate and is merged once.

One run a victim: a project for each point at which to kill, all held there at the same time, killed, and set
free. Each test then looks at one point of one run.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)

PHASES = ("design", "test_red", "code_green", "refactor", "commit")
# Project (and story) -> the phase in which it is held.
IN_TURN = {"design": "design", "test-red": "test_red", "code-green": "code_green", "refactor": "refactor"}
IN_TESTS = {"red-gate": "test_red", "green-gate": "code_green"}
IN_MERGE = {
    "unproven": "before-prepare_merge",
    "candidate": "before-fast_forward",  # stored, and the main branch has not moved
    "moved": "after-fast_forward",  # the main branch has moved, and nobody wrote it down
}
POINTS = {**IN_TURN, **IN_TESTS, **dict.fromkeys(IN_MERGE, "commit")}

HANG: dict[str, Any] = {"hang": {"ignore": []}}
STOPS_HERE = (
    "import pathlib\nimport time\n\npathlib.Path('held-{point}').touch()\ntime.sleep(600)\n"
    "# what an agent had done so far\n"
)
HALF_DONE = {
    "design": {
        "write": {
            "path": ".orch-state/stories/design-1.md",
            "text": "# what an agent had done so far\n",
        }
    },
    "test-red": {"write": {"path": "tests/test_half.py", "text": "# what an agent had done so far\n"}},
    "code-green": {"write": {"path": "half.py", "text": "# what an agent had done so far\n"}},
    "refactor": {"append": {"path": "double.py", "text": "# what an agent had done so far\n"}},
    "red-gate": {"write": {"path": "tests/test_double.py", "text": STOPS_HERE.format(point="red-gate")}},
    "green-gate": {"write": {"path": "double.py", "text": STOPS_HERE.format(point="green-gate")}},
}
SALVAGED = {
    "design": ".orch-state/stories/design-1.md",  # its draft is in no tree of the worktree
    "test-red": "tests/test_half.py",
    "code-green": "half.py",
    "refactor": "double.py",
}

VICTIMS = ("control plane", "worker", "agent", "control plane and workers")


@dataclass
class Aftermath:
    victim: str
    orchard: Any


def held_script(honestly: Callable[[], dict[str, list[Any]]]) -> dict[str, Any]:
    script: dict[str, Any] = {"*": honestly()}
    for point, step in HALF_DONE.items():
        script[point] = honestly()
        script[point][POINTS[point]] = [step, HANG] if point in IN_TURN else [step]
    return script


def is_held(orchard: Any, point: str) -> bool:
    if point in IN_MERGE:
        return (orchard.root / "held" / point).exists()
    if point in IN_TESTS:
        return any(orchard.state.glob(f"runs/live/*/tree/held-{point}"))
    return bool(orchard.agent_hangs(point))


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_workers(orchard: Any) -> None:
    for row in orchard.rows("SELECT pid FROM processes WHERE kind = 'worker'"):
        kill(row["pid"])


def kill_agents_and_tests(orchard: Any) -> None:
    """The agent programs themselves, in their sandboxes; of a running test command its launcher."""
    for row in orchard.rows("SELECT pid FROM processes WHERE kind = 'test'"):
        kill(row["pid"])
    agents = [
        pid
        for pid, command in orchard.left().items()
        if "agents/replay" in command and Path(command.split()[0]).name.startswith("python")
    ]
    assert len(agents) >= len(IN_TURN)
    for pid in agents:
        kill(pid)


def release(orchard: Any) -> None:
    for wish in (orchard.root / "hold").glob("*/*"):
        wish.unlink()


@pytest.fixture(scope="module", params=VICTIMS)
def aftermath(
    request: pytest.FixtureRequest,
    new_orchard: Callable[[], Any],
    play_honestly: Callable[[], dict[str, list[Any]]],
) -> Aftermath:
    victim = str(request.param)
    orchard = new_orchard()
    points = [point for point in POINTS if victim != "agent" or point not in IN_MERGE]
    for point in points:
        orchard.add(point)
        if point in IN_MERGE:
            (orchard.root / "hold" / point).mkdir(parents=True)
            (orchard.root / "hold" / point / IN_MERGE[point]).touch()
    orchard.play(held_script(play_honestly))
    orchard.start()
    orchard.sprint(*points, criteria={"design": ()})
    for point in points:
        orchard.wait_until(lambda point=point: is_held(orchard, point), f"{point} is held")
    orchard.play({"*": play_honestly()})
    match victim:
        case "control plane":  # started again at once, while what it left behind is still about to end
            orchard.kill()
            release(orchard)
            orchard.start()
        case "control plane and workers":
            os.kill(orchard.process.pid, signal.SIGSTOP)  # or it might still tell of a lost worker
            kill_workers(orchard)
            orchard.kill()
            orchard.wait_until_nothing_is_left()
            release(orchard)
            orchard.start()
        case "worker":
            kill_workers(orchard)
            orchard.wait_until(
                lambda: len(orchard.events("worker_lost")) == len(points), "the control plane notices"
            )
            release(orchard)
        case "agent":
            kill_agents_and_tests(orchard)
    for point in points:
        orchard.wait_for_event("story_merged", f"{point}-1")
    orchard.wait_until(lambda: not any((orchard.state / "worktrees").glob("*/*-1")), "worktrees are removed")
    orchard.terminate()
    return Aftermath(victim=victim, orchard=orchard)


@pytest.fixture(params=POINTS)
def point(request: pytest.FixtureRequest, aftermath: Aftermath) -> str:
    if request.param not in aftermath.orchard.projects:
        pytest.skip("no agent is at work while a story is merged")
    return str(request.param)


def gates_of(orchard: Any, story: str) -> list[tuple[str, int]]:
    rows = orchard.rows("SELECT phase, passed FROM gates WHERE story_id = ? ORDER BY id", story)
    return [(row["phase"], row["passed"]) for row in rows]


def test_the_story_goes_on_from_its_last_passed_gate(aftermath: Aftermath, point: str) -> None:
    orchard, story = aftermath.orchard, f"{point}-1"
    assert [phase for phase, passed in gates_of(orchard, story) if passed] == list(PHASES)
    started = [data["phase"] for data in orchard.events("phase_started", story)]
    expected = dict.fromkeys(PHASES, 1)
    expected[POINTS[point]] = 2
    assert {phase: started.count(phase) for phase in PHASES} == expected
    refused = [phase for phase, passed in gates_of(orchard, story) if not passed]
    assert refused == ([POINTS[point]] if (aftermath.victim, point in IN_TESTS) == ("agent", True) else [])


def test_it_is_merged_exactly_once(aftermath: Aftermath, point: str, git: Callable[..., str]) -> None:
    orchard = aftermath.orchard
    checkout = orchard.projects[point]
    bodies = git(checkout, "log", "--format=%B", "main")
    assert bodies.count(f"Orchard-Story: {point}-1") == 1
    assert git(checkout, "rev-list", "--count", "main") == "2"
    assert len(orchard.events("story_merged", f"{point}-1")) == 1
    (row,) = orchard.rows("SELECT merge_commit FROM cycles WHERE story_id = ?", f"{point}-1")
    assert row["merge_commit"] == git(checkout, "rev-parse", "main")


def test_the_repository_is_sane(aftermath: Aftermath, point: str, git: Callable[..., str]) -> None:
    checkout = aftermath.orchard.projects[point]
    assert git(checkout, "fsck", "--strict", "--no-dangling") == ""
    assert git(checkout, "status", "--porcelain") == ""
    assert "half" not in git(checkout, "ls-tree", "-r", "--name-only", "main")
    assert "what an agent had done" not in (checkout / "double.py").read_text()
    assert len(git(checkout, "worktree", "list").splitlines()) == 1
    assert git(checkout, "for-each-ref", "refs/heads/orchard") == ""


def test_work_that_was_not_committed_is_saved(
    aftermath: Aftermath, point: str, git: Callable[..., str]
) -> None:
    checkout = aftermath.orchard.projects[point]
    saved = git(checkout, "for-each-ref", "--format=%(refname)", "refs/orchard/salvage")
    path = SALVAGED.get(point)
    if path is None and aftermath.victim != "agent":
        path = HALF_DONE[point]["write"]["path"] if point in IN_TESTS else None
    if path is None:
        assert saved == ""
        return
    assert saved == f"refs/orchard/salvage/{point}-1/1"
    assert "what an agent had done so far" in git(checkout, "show", f"{saved}:{path}")
    (told,) = aftermath.orchard.events("work_salvaged", f"{point}-1")
    assert (told["ref"], told["files"]) == (saved, [path])


def test_nothing_is_left_behind(aftermath: Aftermath) -> None:
    orchard = aftermath.orchard
    orchard.wait_until_nothing_is_left()
    assert orchard.rows("SELECT * FROM leases WHERE released_at IS NULL") == []
    assert orchard.rows("SELECT * FROM processes") == []
    assert orchard.rows("SELECT * FROM merges WHERE state = 'open'") == []
    assert orchard.rows("SELECT * FROM approvals WHERE state = 'pending'") == []
    assert list(orchard.state.glob("worktrees/*/*-1")) == []
    assert list(orchard.state.glob("homes/*/*")) == []
    assert list(orchard.state.glob("runs/live/*")) == []


def test_events_tell_what_happened(aftermath: Aftermath) -> None:
    orchard = aftermath.orchard
    assert len(orchard.events("sprint_finished")) == len(orchard.projects)
    assert orchard.events("story_blocked") == []
    rows = orchard.rows("SELECT data FROM events WHERE kind = 'worker_lost'")
    causes = [json.loads(row["data"])["cause"] for row in rows]
    assert sum("SIGKILL" in cause or "signal 9" in cause for cause in causes) == (
        len(orchard.projects) if aftermath.victim == "worker" else 0
    )
