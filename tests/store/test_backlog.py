"""Stories and sprints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from core.domain.event import EventKind
from core.domain.story import Priority, Story, StoryState
from core.errors import InvalidInput, LostRace, NotFound
from core.store import events, sprints, stories
from core.store.transaction import Transaction

NewStory = Callable[..., Story]


@pytest.fixture(autouse=True)
def _projects(tx: Transaction, new_project: Callable[..., object]) -> None:
    new_project(tx)
    new_project(tx, "post")


def test_a_story_comes_back_as_it_went_in_and_is_told(tx: Transaction, new_story: NewStory) -> None:
    story = new_story(tx)
    assert story == stories.get(tx.conn, "shop-1") == stories.get(tx.conn, " SHOP-1 ")
    assert (story.number, story.state, story.sprint_id, story.added_at) == (1, "backlog", None, tx.now)
    (told,) = events.since(tx.conn, 0, kinds=[EventKind.STORY_ADDED])
    assert (told.story_id, told.actor, told.data) == ("shop-1", "cli", {"title": "Sell"})


def test_numbers_are_the_projects_own_and_never_given_twice(tx: Transaction, new_story: NewStory) -> None:
    ids = [new_story(tx, project).id for project in ("shop", "post", "shop")]
    assert ids == ["shop-1", "post-1", "shop-2"]
    tx.conn.execute("DELETE FROM stories WHERE id = 'shop-2'")
    assert new_story(tx).id == "shop-3"


def test_a_title_is_needed(tx: Transaction, new_story: NewStory) -> None:
    with pytest.raises(InvalidInput, match="title"):
        new_story(tx, title="  ")
    assert new_story(tx).number == 1


def test_text_that_is_no_utf8_is_kept_readable(tx: Transaction, new_story: NewStory) -> None:
    assert new_story(tx, title="caf\udce9 ☕").title == "caf\\udce9 ☕"


def test_most_urgent_first_then_by_number(tx: Transaction, new_story: NewStory) -> None:
    for priority in (Priority.LOW, Priority.NORMAL, Priority.CRITICAL, Priority.HIGH, Priority.NORMAL):
        new_story(tx, priority=priority)
    new_story(tx, "post")
    assert [story.number for story in stories.of_project(tx.conn, "shop")] == [3, 4, 2, 5, 1]
    assert stories.of_project(tx.conn)[0].id == "post-1"


def test_stories_by_state(tx: Transaction, new_story: NewStory) -> None:
    new_story(tx)
    new_story(tx)
    stories.move(tx, "shop-1", StoryState.BACKLOG, StoryState.REMOVED)
    chosen = stories.of_project(tx.conn, "shop", states={StoryState.REMOVED, StoryState.DONE})
    assert [story.id for story in chosen] == ["shop-1"]
    assert stories.of_project(tx.conn, "shop", states=()) == ()


def test_a_story_that_is_elsewhere_is_a_lost_race(tx: Transaction, new_story: NewStory) -> None:
    new_story(tx)
    with pytest.raises(LostRace, match="is backlog, not planned"):
        stories.move(tx, "shop-1", StoryState.PLANNED, StoryState.ACTIVE)
    assert stories.get(tx.conn, "shop-1").state is StoryState.BACKLOG
    with pytest.raises(NotFound):
        stories.move(tx, "shop-9", StoryState.PLANNED, StoryState.ACTIVE)


def test_an_unknown_story_is_refused_with_near_ones(tx: Transaction, new_story: NewStory) -> None:
    new_story(tx)
    with pytest.raises(NotFound) as caught:
        stories.get(tx.conn, "shop1")
    assert "shop-1" in caught.value.hint
    with pytest.raises(NotFound, match="no project"):
        new_story(tx, "nobody")


def test_planning_takes_stories_out_of_the_backlog(tx: Transaction, new_story: NewStory) -> None:
    for _ in range(3):
        new_story(tx)
    sprint = sprints.plan(tx, "shop", ["shop-3", "shop-1"], "Sell more", "cli")
    assert (sprint.number, sprint.started_at, sprint.ended_at) == (1, None, None)
    assert sprints.current(tx.conn, "shop") == sprint == sprints.get(tx.conn, sprint.id)
    assert [story.id for story in sprints.stories(tx.conn, sprint.id)] == ["shop-1", "shop-3"]
    states = [story.state for story in stories.of_project(tx.conn, "shop")]
    assert states == ["planned", "backlog", "planned"]
    (told,) = events.since(tx.conn, 0, kinds=[EventKind.SPRINT_PLANNED])
    assert told.data == {
        "sprint": sprint.id,
        "number": 1,
        "goal": "Sell more",
        "stories": ["shop-3", "shop-1"],
    }


def test_a_sprint_starts_once_and_ends_once(
    tx: Transaction, new_story: NewStory, later: Callable[[float], Transaction]
) -> None:
    new_story(tx)
    sprint = sprints.plan(tx, "shop", ["shop-1"], "", "cli")
    hour_later, day_later = later(3600), later(86400)
    started = sprints.start(hour_later, sprint.id)
    assert started == dataclasses.replace(sprint, started_at=hour_later.now)
    with pytest.raises(LostRace, match="is running already"):
        sprints.start(day_later, sprint.id)
    assert sprints.end(day_later, sprint.id) == dataclasses.replace(started, ended_at=day_later.now)
    for again in (sprints.start, sprints.end):
        with pytest.raises(LostRace, match="has ended already"):
            again(day_later, sprint.id)
    assert sprints.current(tx.conn, "shop") is None
    assert sprints.latest(tx.conn, "shop") == sprints.get(tx.conn, sprint.id)


def test_a_second_sprint_waits_for_the_end_of_the_first(tx: Transaction, new_story: NewStory) -> None:
    new_story(tx)
    new_story(tx)
    first = sprints.plan(tx, "shop", ["shop-1"], "", "cli")
    with pytest.raises(LostRace, match="has sprint 1 already"):
        sprints.plan(tx, "shop", ["shop-2"], "", "cli")
    sprints.end(tx, first.id)
    assert sprints.plan(tx, "shop", ["shop-2"], "", "cli").number == 2


@pytest.mark.parametrize(
    ("chosen", "error"),
    [
        ([], InvalidInput),
        (["shop-1", "shop-1"], InvalidInput),
        (["post-1"], InvalidInput),
        (["shop-9"], NotFound),
        (["shop-2"], LostRace),  # was removed
    ],
)
def test_what_cannot_be_planned(
    tx: Transaction, new_story: NewStory, chosen: list[str], error: type[Exception]
) -> None:
    new_story(tx)
    new_story(tx)
    new_story(tx, "post")
    stories.move(tx, "shop-2", StoryState.BACKLOG, StoryState.REMOVED)
    with pytest.raises(error):
        sprints.plan(tx, "shop", chosen, "", "cli")


def test_a_story_that_goes_back_leaves_its_sprint(tx: Transaction, new_story: NewStory) -> None:
    new_story(tx)
    sprint = sprints.plan(tx, "shop", ["shop-1"], "", "cli")
    stories.move(tx, "shop-1", StoryState.PLANNED, StoryState.BACKLOG)
    assert sprints.stories(tx.conn, sprint.id) == ()


def test_an_unknown_sprint(tx: Transaction) -> None:
    for use in (sprints.start, sprints.end):
        with pytest.raises(NotFound):
            use(tx, "sprint_x")
