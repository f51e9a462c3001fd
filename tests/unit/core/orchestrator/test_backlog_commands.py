"""What people may do to the backlog."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowState
from core.domain.story import Priority, StoryState
from core.errors import InvalidInput, NotAllowed, NotFound
from core.orchestrator.commands import Commands


async def ids(commands: Commands, project: str = "shop") -> list[str]:
    return [view.story.id for view in await commands.backlog(project)]


async def told(commands: Commands, kind: EventKind) -> list[Any]:
    return [event.data for event in await commands.events(limit=1000) if event.kind is kind]


async def test_a_story_holds_all_that_is_given(started: Commands) -> None:
    await started.add_story("shop", "first", actor="cli")
    story = await started.add_story(
        "shop",
        " Pay\tby \u202ecard ",
        body="a\r\nb\x07",
        acceptance_criteria=["x", " ", "x"],
        priority=Priority.HIGH,
        estimate=5,
        labels=["api", "api", ""],
        needs=["SHOP-1"],
        links=["https://example.org/1"],
        actor="discord:7",
    )
    assert (story.title, story.body, story.acceptance_criteria) == ("Pay by card", "a\nb", ("x",))
    assert (story.estimate, story.labels, story.links) == (5, ("api",), ("https://example.org/1",))
    view = (await started.story("shop-2")).view
    assert view.needs == ("shop-1",)
    assert view.why == "waits for shop-1 (backlog) to be done first."


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"title": ""}, "title is empty"),
        ({"title": "\x00\u202e"}, "title is empty"),
        ({"title": "x" * 201}, "201 characters; 200"),
        ({"title": "x" * 100_000}, "100000 characters"),
        ({"body": "x" * 20_001}, "20001 characters"),
        ({"acceptance_criteria": [str(n) for n in range(51)]}, "50 acceptance criteria, not 51"),
        ({"acceptance_criteria": ["x" * 1001]}, "1001 characters"),
        ({"labels": [str(n) for n in range(21)]}, "20 labels, not 21"),
        ({"labels": ["x" * 51]}, "51 characters; 50"),
        ({"links": [f"https://x/{n}" for n in range(21)]}, "20 links, not 21"),
        ({"links": ["https://x/" + "y" * 2000]}, "2010 characters; 2000"),
        ({"links": ["javascript:alert(1)"]}, "is no link"),
        ({"links": ["https://"]}, "is no link"),
        ({"links": ["https://a b"]}, "is no link"),
        ({"links": ["file:///etc/passwd"]}, "is no link"),
        ({"estimate": -1}, "-1 is no estimate"),
        ({"estimate": 1001}, "1001 is no estimate"),
    ],
)
async def test_what_a_story_may_not_hold_is_refused_and_nothing_is_kept(
    started: Commands, given: dict[str, Any], words: str
) -> None:
    await started.add_story("shop", "kept", actor="cli")
    with pytest.raises(InvalidInput, match=words):
        await started.add_story("shop", **{"title": "new", **given}, actor="cli")
    changes = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    with pytest.raises(InvalidInput, match=words):
        await started.edit_story("shop-1", **changes, actor="cli")
    assert await ids(started) == ["shop-1"]
    assert (await started.story("shop-1")).view.story.title == "kept"


async def test_a_story_with_an_unknown_need_is_not_added(started: Commands) -> None:
    with pytest.raises(NotFound, match="shop-9"):
        await started.add_story("shop", "x", needs=["shop-9"], actor="cli")
    assert (await started.workflow("shop")).state is WorkflowState.IDLE
    assert (await started.add_story("shop", "x", actor="cli")).id == "shop-1"


async def test_editing_changes_what_is_given_and_tells_which(started: Commands) -> None:
    await started.add_story("shop", "a", body="old", estimate=3, actor="cli")
    await started.add_story("shop", "b", actor="cli")
    view = await started.edit_story(
        " SHOP-2", title="B", body="", labels=("x",), needs=("shop-1",), actor="discord:1"
    )
    assert (view.story.title, view.story.labels, view.needs) == ("B", ("x",), ("shop-1",))
    assert (await started.edit_story("shop-1", clear_estimate=True, actor="cli")).story.estimate is None
    assert (await started.edit_story("shop-1", body="old", actor="cli")).story.body == "old"
    assert await told(started, EventKind.STORY_EDITED) == [
        {"fields": ["title", "labels", "needs"], "by": "discord:1"},
        {"fields": ["estimate"], "by": "cli"},
    ]
    with pytest.raises(InvalidInput, match="Nothing to change"):
        await started.edit_story("shop-1", actor="cli")
    with pytest.raises(InvalidInput, match="given and taken away"):
        await started.edit_story("shop-1", estimate=1, clear_estimate=True, actor="cli")
    with pytest.raises(InvalidInput, match="for ever"):
        await started.edit_story("shop-1", title="new", needs=("shop-2",), actor="cli")
    assert (await started.story("shop-1")).view.story.title == "a"
    with pytest.raises(NotFound) as caught:
        await started.edit_story("shop1", title="x", actor="cli")
    assert "shop-1" in caught.value.hint


async def test_only_needs_are_changed_while_a_story_is_at_work_and_nothing_when_it_is_over(
    started: Commands,
) -> None:
    for title in ("a", "b"):
        await started.add_story("shop", title, actor="cli")
    await started.plan_sprint("shop", stories=["shop-1"], actor="cli")
    assert (await started.edit_story("shop-1", title="A", actor="cli")).story.title == "A"
    await started.start_sprint("shop", actor="cli")
    view = await started.edit_story("shop-1", needs=("shop-2",), actor="cli")
    assert view.why == "waits for shop-2 (backlog) to be done first."
    with pytest.raises(NotAllowed, match="is at work"):
        await started.edit_story("shop-1", title="x", actor="cli")
    with pytest.raises(NotAllowed, match="/skip_task"):
        await started.remove_story("shop-1", actor="cli")
    await started.edit_story("shop-1", needs=(), actor="cli")
    await started.remove_story("shop-2", "not now", actor="cli")
    with pytest.raises(NotAllowed, match="removed"):
        await started.edit_story("shop-2", needs=(), actor="cli")
    with pytest.raises(InvalidInput, match="shop-2 was removed: it will never be done"):
        await started.edit_story("shop-1", needs=("shop-2",), actor="cli")


async def test_stories_are_put_in_order(started: Commands) -> None:
    for title in "abcd":
        await started.add_story("shop", title, actor="cli")
    await started.prioritize_story("shop-3", place="top", actor="cli")
    assert await ids(started) == ["shop-3", "shop-1", "shop-2", "shop-4"]
    await started.prioritize_story("shop-1", place="Bottom", actor="cli")
    assert await ids(started) == ["shop-3", "shop-2", "shop-4", "shop-1"]
    await started.prioritize_story("shop-1", place="before  SHOP-2", actor="cli")
    assert await ids(started) == ["shop-3", "shop-1", "shop-2", "shop-4"]
    await started.prioritize_story("shop-4", priority=Priority.CRITICAL, actor="cli")
    await started.prioritize_story("shop-2", priority=Priority.CRITICAL, place="top", actor="cli")
    assert await ids(started) == ["shop-2", "shop-4", "shop-3", "shop-1"]
    await started.prioritize_story("shop-2", priority=Priority.CRITICAL, actor="cli")  # as it is
    assert len(await told(started, EventKind.STORY_PRIORITIZED)) == 5


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("first", "'first' is no place"),
        ("before", "'before' is no place"),
        ("before shop-1", "before itself"),
        ("before shop-2", "Give shop-1 the priority high too"),
        ("before post-1", "another project"),
        ("before shop-3", "shop-3 is removed"),
    ],
)
async def test_a_place_that_is_none_is_refused(
    started: Commands, register: Any, place: str, words: str
) -> None:
    await register("post")
    await started.add_story("shop", "a", actor="cli")
    await started.add_story("shop", "b", priority=Priority.HIGH, actor="cli")
    await started.add_story("shop", "c", actor="cli")
    await started.add_story("post", "d", actor="cli")
    await started.remove_story("shop-3", actor="cli")
    with pytest.raises(InvalidInput, match=words):
        await started.prioritize_story("shop-1", place=place, actor="cli")
    with pytest.raises(NotAllowed, match="no longer matters"):
        await started.prioritize_story("shop-3", place="top", actor="cli")
    with pytest.raises(InvalidInput, match="Neither"):
        await started.prioritize_story("shop-1", actor="cli")


async def test_removing_the_last_story_empties_the_backlog(started: Commands) -> None:
    await started.add_story("shop", "a", actor="cli")
    await started.add_story("shop", "b", needs=["shop-1"], actor="cli")
    with pytest.raises(NotAllowed, match="needed by shop-2"):
        await started.remove_story("shop-1", actor="cli")
    await started.remove_story("shop-2", actor="cli")
    assert (await started.workflow("shop")).state is WorkflowState.BACKLOG_READY
    removed = await started.remove_story("shop-1", "twice said", actor="discord:3")
    assert removed.story.state is StoryState.REMOVED
    assert (await started.workflow("shop")).state is WorkflowState.IDLE
    assert (await told(started, EventKind.STORY_REMOVED))[-1] == {"reason": "twice said", "by": "discord:3"}
    with pytest.raises(NotAllowed, match="nothing to remove"):
        await started.remove_story("shop-1", actor="cli")


async def test_a_planned_story_is_not_removed(started: Commands) -> None:
    await started.add_story("shop", "a", actor="cli")
    await started.plan_sprint("shop", actor="cli")
    with pytest.raises(NotAllowed, match="planned for the next sprint"):
        await started.remove_story("shop-1", actor="cli")


async def test_a_need_of_another_project_holds_a_story(started: Commands, register: Any) -> None:
    await register("post")
    await started.add_story("post", "letters", actor="cli")
    await started.add_story("shop", "sell letters", needs=["post-1"], actor="cli")
    await started.plan_sprint("shop", actor="cli")
    view = await started.start_sprint("shop", actor="cli")
    assert view.stories[0].why == "waits for post-1 (backlog) to be done first."
