"""Dependencies between stories, also of other projects."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.domain.story import Story, StoryState
from core.errors import InvalidInput, NotFound
from core.store import cycles, needs, stories
from core.store.transaction import Transaction

NewStory = Callable[..., Story]


@pytest.fixture(autouse=True)
def _stories(tx: Transaction, new_project: Callable[..., object], new_story: NewStory) -> None:
    for project in ("shop", "post"):
        new_project(tx, project)
        for _ in range(4):
            new_story(tx, project)


def test_needs_stand_by_project_and_number_and_are_replaced(tx: Transaction) -> None:
    assert needs.replace(tx, "shop-3", ["shop-2", " POST-1", "shop-1", "shop-2", ""]) == (
        "post-1",
        "shop-1",
        "shop-2",
    )
    assert needs.of_stories(tx.conn, ["shop-3", "shop-1"]) == {"shop-3": ("post-1", "shop-1", "shop-2")}
    assert [story.id for story in needs.needed_by(tx.conn, "post-1")] == ["shop-3"]
    assert needs.replace(tx, "shop-3", []) == ()
    assert needs.needed_by(tx.conn, "post-1") == ()


def test_a_circle_over_two_projects_is_named_and_changes_nothing(tx: Transaction) -> None:
    needs.replace(tx, "shop-1", ["post-1"])
    needs.replace(tx, "post-1", ["post-2"])
    with pytest.raises(InvalidInput) as caught:
        needs.replace(tx, "post-2", ["post-3", "shop-1"])
    assert caught.value.why == "post-2 needs shop-1 needs post-1 needs post-2."
    assert needs.of_story(tx.conn, "post-2") == ()


def test_a_need_that_is_replaced_closes_no_circle(tx: Transaction) -> None:
    needs.replace(tx, "shop-1", ["shop-2"])
    needs.replace(tx, "shop-1", [])
    assert needs.replace(tx, "shop-2", ["shop-1"]) == ("shop-1",)


def test_unknown_ones_and_itself_are_refused(tx: Transaction) -> None:
    with pytest.raises(NotFound) as caught:
        needs.replace(tx, "shop-1", ["shop2"])
    assert "shop-2" in caught.value.hint
    with pytest.raises(InvalidInput, match="need itself"):
        needs.replace(tx, "shop-1", ["shop-1"])
    with pytest.raises(InvalidInput, match="50 others, not 51"):
        needs.replace(tx, "shop-1", [f"shop-{n}" for n in range(51)])


@pytest.mark.parametrize("state", [StoryState.REMOVED, StoryState.SKIPPED, StoryState.ABORTED])
def test_what_will_never_be_done_is_refused_unless_it_was_needed_before(
    tx: Transaction, state: StoryState
) -> None:
    needs.replace(tx, "shop-3", ["shop-1"])
    stories.move(tx, "shop-1", StoryState.BACKLOG, state)
    with pytest.raises(InvalidInput, match=f"shop-1 was {state}: it will never be done"):
        needs.replace(tx, "shop-2", ["shop-1"])
    assert needs.replace(tx, "shop-3", ["shop-1", "shop-2"]) == ("shop-1", "shop-2")


def test_unmet_are_those_that_are_not_done(tx: Transaction) -> None:
    needs.replace(tx, "shop-3", ["shop-1", "shop-2"])
    stories.move(tx, "shop-1", StoryState.BACKLOG, StoryState.DONE)
    unmet = needs.unmet(tx.conn, ["shop-3", "shop-4"])
    assert {name: [story.id for story in found] for name, found in unmet.items()} == {"shop-3": ["shop-2"]}


def test_a_story_is_runnable_once_what_it_needs_is_done(tx: Transaction) -> None:
    needs.replace(tx, "shop-1", ["post-1"])
    cycles.begin(tx, stories.move(tx, "shop-1", StoryState.BACKLOG, StoryState.ACTIVE))
    assert cycles.runnable(tx.conn) == ()
    stories.move(tx, "post-1", StoryState.BACKLOG, StoryState.DONE)
    assert [cycle.story_id for cycle in cycles.runnable(tx.conn)] == ["shop-1"]
