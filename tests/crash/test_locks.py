"""Orchard killed while a story has the only place of a shared resource: the place comes free, once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("also", ["alone", "workers"])
def test_a_place_that_the_killed_one_held_is_given_back(orchard: Any, play_honestly: Any, also: str) -> None:
    orchard.global_settings = {"shared_resources": {"staging": 1}}
    orchard.settings = {"shared_resources": {"staging": 1}}
    for name in ("left", "right"):
        orchard.add(name)
    hangs = {**play_honestly(), "code_green": [{"hang": {"ignore": []}}]}
    orchard.play({"left": hangs, "*": play_honestly()})
    orchard.start()
    orchard.sprint("left", "right")
    orchard.wait_until(lambda: orchard.agent_hangs("left"), "the agent hangs")
    assert [row["story_id"] for row in held(orchard)] == ["left-1"]
    orchard.kill()
    if also == "workers":
        orchard.wait_until_nothing_is_left()
    orchard.play({"*": play_honestly()})
    orchard.start()
    for name in ("left", "right"):
        orchard.wait_for_event("story_merged", f"{name}-1")
    assert held(orchard) == []
    spans = orchard.rows("SELECT claimed_at, released_at FROM leases ORDER BY claimed_at")
    assert all(one["released_at"] <= other["claimed_at"] for one, other in pairwise(spans))


def held(orchard: Any) -> list[Any]:
    return list(orchard.rows("SELECT story_id FROM resource_holds WHERE released_at IS NULL"))
