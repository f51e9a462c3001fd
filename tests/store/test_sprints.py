"""Sprints planned again and reviewed; stories edited and put into order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.domain.event import EventKind
from core.domain.story import Priority, Story, StoryState
from core.errors import InvalidInput, LostRace, NotFound
from core.store import events, sprints, stories
from core.store.transaction import Transaction

NewStory = Callable[..., Story]


@pytest.fixture(autouse=True)
def _stories(tx: Transaction, new_project: Callable[..., object], new_story: NewStory) -> None:
    new_project(tx)
    for _ in range(3):
        new_story(tx)


def test_another_choice_keeps_the_sprint_and_frees_what_was_chosen(tx: Transaction) -> None:
    first = sprints.plan(tx, "shop", ["shop-1", "shop-2"], "Sell", "cli")
    again = sprints.plan_again(tx, first, ["shop-2", "shop-3"], "", "cli")
    assert (again.id, again.number, again.goal) == (first.id, 1, "Sell")
    assert [story.id for story in sprints.stories(tx.conn, first.id)] == ["shop-2", "shop-3"]
    freed = stories.get(tx.conn, "shop-1")
    assert (freed.state, freed.sprint_id) == (StoryState.BACKLOG, None)
    told = events.since(tx.conn, 0, kinds=[EventKind.SPRINT_PLANNED])
    assert [event.data["stories"] for event in told] == [["shop-1", "shop-2"], ["shop-2", "shop-3"]]
    with pytest.raises(InvalidInput):
        sprints.plan_again(tx, first, [], "", "cli")
    sprints.start(tx, first.id)
    with pytest.raises(LostRace, match="cannot be planned again: it is running"):
        sprints.plan_again(tx, first, ["shop-1"], "", "cli")


def test_a_sprint_that_has_ended_is_reviewed_once(tx: Transaction) -> None:
    sprint = sprints.plan(tx, "shop", ["shop-1"], "", "cli")
    with pytest.raises(LostRace, match="only planned"):
        sprints.review(tx, sprint.id, "x", "cli")
    sprints.start(tx, sprint.id)
    sprints.end(tx, sprint.id)
    reviewed = sprints.review(tx, sprint.id, "Good", "discord:1")
    assert (reviewed.retrospective, reviewed.reviewed_by, reviewed.reviewed_at) == (
        "Good",
        "discord:1",
        tx.now,
    )
    with pytest.raises(LostRace, match="was reviewed already"):
        sprints.review(tx, sprint.id, "Better", "cli")


def test_retrospectives_hold_every_word_in_any_case(tx: Transaction) -> None:
    for story, said in (("shop-1", "Größere Stories, 100% of them"), ("shop-2", "smaller stories")):
        sprint = sprints.plan(tx, "shop", [story], "", "cli")
        sprints.end(tx, sprint.id)
        sprints.review(tx, sprint.id, said, "cli")
    numbers = lambda *words: [one.number for one in sprints.retrospectives(tx.conn, words)]  # noqa: E731
    assert numbers() == [2, 1]
    assert numbers("STORIES") == [2, 1]
    assert numbers("GRÖSSERE", "stories") == [1]
    assert numbers("100%") == [1]
    assert numbers("%") == [1]
    assert numbers("smaller", "100") == []
    assert sprints.retrospectives(tx.conn, (), "post") == ()


def test_a_sprint_by_number(tx: Transaction) -> None:
    with pytest.raises(NotFound, match="no sprint yet"):
        sprints.of_number(tx.conn, "shop")
    sprint = sprints.plan(tx, "shop", ["shop-1"], "", "cli")
    assert sprints.of_number(tx.conn, "shop") == sprints.of_number(tx.conn, "shop", 1) == sprint
    with pytest.raises(NotFound, match="no sprint 2"):
        sprints.of_number(tx.conn, "shop", 2)


def test_an_edit_sets_what_is_given_in_the_right_state_only(tx: Transaction) -> None:
    edited = stories.edit(
        tx, "shop-1", states=[StoryState.BACKLOG], title="T", labels=["a"], estimate=3, links=("https://x",)
    )
    assert (edited.title, edited.labels, edited.estimate, edited.links) == ("T", ("a",), 3, ("https://x",))
    assert edited == stories.get(tx.conn, "shop-1")
    assert stories.edit(tx, "shop-1", states=[StoryState.BACKLOG], estimate=None).estimate is None
    with pytest.raises(LostRace, match="is backlog"):
        stories.edit(tx, "shop-1", states=[StoryState.PROPOSED], title="U")
    with pytest.raises(TypeError, match="state"):
        stories.edit(tx, "shop-1", states=[StoryState.BACKLOG], state="done")  # type: ignore[call-arg]


def test_stories_of_one_priority_are_arranged(tx: Transaction, new_story: NewStory) -> None:
    stories.arrange(tx, ["shop-3", "shop-1", "shop-2"])
    assert [story.number for story in stories.of_project(tx.conn, "shop")] == [3, 1, 2]
    new_story(tx)
    assert [story.number for story in stories.of_project(tx.conn, "shop")] == [3, 1, 2, 4]
    stories.rank(tx, "shop-1", Priority.HIGH)
    assert [story.number for story in stories.of_project(tx.conn, "shop")] == [1, 3, 2, 4]
    stories.rank(tx, "shop-1", Priority.NORMAL)
    assert [story.number for story in stories.of_project(tx.conn, "shop")] == [3, 2, 4, 1]
