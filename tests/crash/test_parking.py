"""Orchard killed while a turn makes place: the turn goes on where it was, or its work is saved."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.timeout(180)

HALF = {"write": {"path": "half.py", "text": "HALF = 2\n"}}
REST = {
    "write": {"path": "double.py", "text": "from half import HALF\n\n\ndef double(n):\n    return HALF * n\n"}
}


@pytest.fixture
def hanging(orchard, play_honestly):
    """A project whose agent has written half of its code and hangs, ignoring these."""

    def begin(*ignored: str):
        hang: list[Any] = [HALF, {"hang": {"ignore": list(ignored)}}]
        goes_on = {"when": 'prompt contains "interrupted to make place"', "then": [REST], "else": hang}
        orchard.add("shop")
        orchard.play({"*": {**play_honestly(), "code_green": [goes_on]}})
        orchard.start()
        orchard.sprint("shop")
        orchard.wait_until(lambda: orchard.agent_hangs("shop"), "the agent hangs")
        return orchard

    return begin


def _touch(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize("point", ["after", "before"])
def test_a_parked_turn_goes_on_after_a_kill(hanging, git, point):
    """Before its report is recorded, and after the next claim: then the store knows of no parked turn."""
    orchard = hanging()
    hold = orchard.root / "hold" / "shop" / f"{point}-run_phase"
    _touch(hold)
    _touch(orchard.root / "park" / "shop" / "shop-1")
    orchard.wait_until((orchard.root / "held" / "shop").exists, "the point")
    assert len(orchard.events("story_parked")) == (0 if point == "after" else 1)
    orchard.kill()
    hold.unlink()
    orchard.start()
    orchard.wait_for_event("story_merged", "shop-1")
    assert orchard.events("work_salvaged") == []
    assert {data["attempt"] for data in orchard.events("phase_started")} == {1}
    assert git(orchard.projects["shop"], "show", "main:half.py") == "HALF = 2"


def test_a_turn_that_was_killed_while_it_was_told_to_stop_is_saved(hanging, play_honestly, git):
    orchard = hanging("cancel", "eof", "term")
    wish = orchard.root / "park" / "shop" / "shop-1"
    _touch(wish)
    orchard.wait_until(lambda: not wish.exists(), "the park was asked for")
    orchard.kill()
    orchard.wait_until_nothing_is_left()
    orchard.play({"*": play_honestly()})
    orchard.start()
    orchard.wait_for_event("story_merged", "shop-1")
    (salvaged,) = orchard.events("work_salvaged")
    assert git(orchard.projects["shop"], "show", f"{salvaged['ref']}:half.py") == "HALF = 2"
