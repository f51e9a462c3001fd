"""No story may wait for itself."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.needs import find_cycle, why_held, why_not_needed
from core.domain.story import Priority, Story, StoryState


def a_story(name: str, state: StoryState) -> Story:
    return Story(
        id=name,
        project="shop",
        number=1,
        title="x",
        body="",
        acceptance_criteria=(),
        priority=Priority.NORMAL,
        state=state,
        sprint_id=None,
        added_by="cli",
        added_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("needs", "way"),
    [
        ({}, ()),
        ({"a": ["b"], "b": ["c"]}, ()),
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["a"]}, ("a", "b", "a")),
        ({"a": ["b", "c"], "b": ["d"], "d": ["a"], "c": ["a"]}, ("a", "c", "a")),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ()),  # a circle that a is no part of
    ],
)
def test_the_shortest_circle_is_named(needs: dict[str, list[str]], way: tuple[str, ...]) -> None:
    assert find_cycle("a", needs) == way


@given(st.dictionaries(st.integers(0, 8).map(str), st.lists(st.integers(0, 8).map(str), max_size=4)))
def test_a_circle_is_found_exactly_when_there_is_one(needs: dict[str, list[str]]) -> None:
    for start in needs:
        way = find_cycle(start, needs)
        reached, ahead = set(), list(needs[start])
        while ahead:
            if (one := ahead.pop()) not in reached:
                reached.add(one)
                ahead += needs.get(one, [])
        assert bool(way) == (start in reached)
        if way:
            assert way[0] == way[-1] == start
            assert all(after in needs[before] for before, after in itertools.pairwise(way))


def test_what_was_given_up_can_not_be_waited_for() -> None:
    for state in StoryState:
        given_up = state in (StoryState.REMOVED, StoryState.SKIPPED, StoryState.ABORTED)
        assert bool(why_not_needed(a_story("shop-1", state))) == given_up


def test_what_a_story_waits_for_is_said() -> None:
    waiting = [a_story(f"shop-{n}", StoryState.ACTIVE) for n in range(1, 8)]
    assert why_held(waiting).endswith("shop-5 (active) and 2 more to be done first.")
    assert why_held([]) == ""
    held = why_held([a_story("shop-1", StoryState.BACKLOG), a_story("shop-2", StoryState.SKIPPED)])
    assert "shop-2 (skipped), which will never be done" in held
