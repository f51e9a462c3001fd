"""Orchard killed while turns make place: a turn goes on where it was, or its work is saved.

One run of three projects, each with an agent that has written half of its code and hangs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)

HALF = {"write": {"path": "half.py", "text": "HALF = 2\n"}}
REST = {
    "write": {"path": "double.py", "text": "from half import HALF\n\n\ndef double(n):\n    return HALF * n\n"}
}
# Killed before its report is recorded, and after the next claim: then the store knows of no parked turn.
POINTS = {"reported": "after-run_phase", "claimed": "before-run_phase"}
DEAF = "deaf"  # its agent does not listen, and is being told to stop when all are killed


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture(scope="module")
def orchard(new_orchard: Callable[[], Any], play_honestly: Callable[[], dict[str, list[Any]]]) -> Any:
    orchard = new_orchard()
    for project in (*POINTS, DEAF):
        orchard.add(project)
    hangs: list[Any] = [HALF, {"hang": {"ignore": []}}]
    goes_on = {"when": 'prompt contains "interrupted to make place"', "then": [REST], "else": hangs}
    parked = {**play_honestly(), "code_green": [goes_on]}
    deaf = {**play_honestly(), "code_green": [HALF, {"hang": {"ignore": ["cancel", "eof", "term"]}}]}
    orchard.play({**dict.fromkeys(POINTS, parked), DEAF: deaf})
    orchard.start()
    orchard.sprint(*POINTS, DEAF)
    for project in (*POINTS, DEAF):
        orchard.wait_until(lambda project=project: orchard.agent_hangs(project), f"{project} hangs")
    wishes = {project: orchard.root / "park" / project / f"{project}-1" for project in (*POINTS, DEAF)}
    for project, point in POINTS.items():
        _touch(orchard.root / "hold" / project / point)
        _touch(wishes[project])
    for project in POINTS:
        orchard.wait_until((orchard.root / "held" / project).exists, f"{project} at its point")
    orchard.parked_before = {
        project: len(orchard.events("story_parked", f"{project}-1")) for project in POINTS
    }
    _touch(wishes[DEAF])
    orchard.wait_until(lambda: not wishes[DEAF].exists(), "the park was asked for")
    orchard.kill()
    orchard.wait_until_nothing_is_left()
    for hold in (orchard.root / "hold").glob("*/*"):
        hold.unlink()
    orchard.play({**dict.fromkeys(POINTS, parked), DEAF: play_honestly()})
    orchard.start()
    for project in (*POINTS, DEAF):
        orchard.wait_for_event("story_merged", f"{project}-1")
    return orchard


@pytest.mark.parametrize("project", POINTS)
def test_a_parked_turn_goes_on_after_a_kill(orchard: Any, git: Callable[..., str], project: str) -> None:
    assert orchard.parked_before == {"reported": 0, "claimed": 1}
    assert orchard.events("work_salvaged", f"{project}-1") == []
    assert {data["attempt"] for data in orchard.events("phase_started", f"{project}-1")} == {1}
    assert git(orchard.projects[project], "show", "main:half.py") == "HALF = 2"


def test_a_turn_that_was_killed_while_it_was_told_to_stop_is_saved(
    orchard: Any, git: Callable[..., str]
) -> None:
    (salvaged,) = orchard.events("work_salvaged", f"{DEAF}-1")
    assert git(orchard.projects[DEAF], "show", f"{salvaged['ref']}:half.py") == "HALF = 2"
