"""Sprints planned again, reviewed, and what people said of them."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import CycleEvent, CycleState, Phase, WorkflowState
from core.domain.story import StoryState
from core.errors import InvalidInput, NotAllowed, NotFound
from core.orchestrator.blocking import block
from core.orchestrator.commands import Commands
from core.orchestrator.sprint_end import settle_sprint
from core.store import cycles, gates, stories
from core.store.transaction import Transaction


async def running(commands: Commands, *titles: str, **chosen: Any) -> None:
    for title in titles:
        await commands.add_story("shop", title, actor="cli")
    await commands.plan_sprint("shop", goal="Sell", actor="cli", **chosen)
    await commands.start_sprint("shop", actor="cli")


async def done(commands: Commands, story_id: str) -> None:
    """As if its phases had passed: one refusal, then every gate."""

    def merge(tx: Transaction) -> None:
        refusal = Refusal(code=next(iter(RefusalCode)), sentence="Nothing is red.")
        refused = Verdict(phase=Phase.TEST_RED, refusals=(refusal,))
        gates.add(tx, story_id, phase=Phase.TEST_RED, attempt=1, verdict=refused)
        cycle = cycles.get(tx.conn, story_id)
        assert cycle is not None
        while cycle.state is not CycleState.DONE:
            assert cycle.state.phase is not None
            evidence = Evidence(green=("t::a", "t::b"), passed_count=7)
            verdict = Verdict(phase=cycle.state.phase, evidence=evidence)
            gates.add(tx, story_id, phase=cycle.state.phase, attempt=1, verdict=verdict, commit="c" * 40)
            cycle = cycles.move(tx, story_id, CycleEvent.PASSED, state=cycle.state, merge_commit="c" * 40)
        stories.move(tx, story_id, StoryState.ACTIVE, StoryState.DONE)
        settle_sprint(tx, "shop")

    await commands._store.write(merge)


async def test_another_choice_before_the_sprint_starts(started: Commands) -> None:
    for title in "abc":
        await started.add_story("shop", title, actor="cli")
    first = await started.plan_sprint("shop", stories=["shop-1"], goal="Sell", actor="cli")
    again = await started.plan_sprint("shop", stories=["shop-3", "shop-2"], actor="cli")
    assert (again.sprint.id, again.sprint.goal) == (first.sprint.id, "Sell")
    assert [view.story.id for view in again.stories] == ["shop-2", "shop-3"]
    assert (await started.story("shop-1")).view.story.state is StoryState.BACKLOG
    whole = await started.plan_sprint("shop", goal="More", actor="cli")
    assert (len(whole.stories), whole.sprint.goal) == (3, "More")
    with pytest.raises(InvalidInput, match="No story was named"):
        await started.plan_sprint("shop", stories=[" "], actor="cli")


async def test_a_planned_story_says_what_it_will_wait_for(started: Commands) -> None:
    await started.add_story("shop", "a", actor="cli")
    await started.add_story("shop", "b", needs=["shop-1"], actor="cli")
    view = await started.plan_sprint("shop", stories=["shop-2"], actor="cli")
    assert view.stories[0].why == "waits for shop-1 (backlog) to be done first."
    await started.plan_sprint("shop", actor="cli")
    assert {v.why for v in (await started.sprint("shop")).stories} == {
        "",
        "waits for shop-1 (planned) to be done first.",
    }


async def test_the_review_shows_evidence_and_how_the_work_fell(started: Commands) -> None:
    await started.add_story("shop", "big", estimate=5, actor="cli")
    await running(started, "small", "skipped")
    await done(started, "shop-1")
    halfway = await started.burndown("shop")
    assert (halfway.total, halfway.actual[0].remaining, halfway.actual[-1].remaining) == (7, 7, 2)
    assert halfway.ideal is not None
    assert (halfway.ideal[0].remaining, halfway.ideal[1].remaining) == (7, 0)
    await done(started, "shop-2")
    await started.skip_story("shop-3", "not now", actor="cli")
    review = await started.review("shop", 1)
    assert (review.points_done, review.points_planned) == (6, 7)
    assert review.burndown.actual[-1].remaining == 0
    first, _, skipped = review.results
    assert (first.refusals, first.tests, first.commit) == (1, 2, "c" * 40)
    assert first.evidence == "commit: 2 red now pass, 7 passed in all"
    assert first.seconds is not None
    assert (skipped.evidence, skipped.commit, skipped.refusals) == ("", None, 0)
    (finished,) = [e for e in await started.events(limit=1000) if e.kind is EventKind.SPRINT_FINISHED]
    summary = finished.data["review"]
    assert (summary["done"], summary["planned"], summary["points_done"]) == (2, 3, 6)
    assert (summary["points_planned"], summary["refusals"]) == (7, 2)
    with pytest.raises(NotFound, match="no sprint 4"):
        await started.review("shop", 4)


async def test_a_planned_sprint_has_no_line_yet(started: Commands) -> None:
    await started.add_story("shop", "a", actor="cli")
    with pytest.raises(NotFound, match="no sprint yet"):
        await started.burndown("shop")
    await started.plan_sprint("shop", actor="cli")
    burndown = await started.burndown("shop")
    assert (burndown.total, burndown.actual, burndown.ideal) == (1, (), None)
    assert (await started.review("shop")).seconds is None


async def test_feedback_is_kept_and_found_again(started: Commands) -> None:
    await running(started, "a")
    await done(started, "shop-1")
    assert (await started.feedback("shop", "Smaller STORIES next time", actor="discord:1")).state is (
        WorkflowState.IDLE
    )
    (found,) = await started.retrospectives("stories smaller")
    assert (found.number, found.reviewed_by) == (1, "discord:1")
    assert await started.retrospectives("larger") == ()
    assert await started.retrospectives("", "shop") == (found,)
    with pytest.raises(NotFound):
        await started.retrospectives("", "nobody")
    with pytest.raises(NotAllowed):
        await started.feedback("shop", "again", actor="cli")  # a double click


async def test_changes_become_stories_and_end_the_review(started: Commands) -> None:
    await running(started, "a" * 199, "b")
    with pytest.raises(NotAllowed, match="/request_changes is not possible now"):
        await started.request_changes("shop", "x", actor="cli")
    await done(started, "shop-1")
    await started.skip_story("shop-2", "", actor="cli")
    with pytest.raises(NotFound, match="Not in sprint 1 of shop: shop-9"):
        await started.request_changes("shop", "x", stories=["shop-9"], actor="cli")
    views = await started.request_changes(
        "shop", "It must be blue.\nAll of it.", stories=["SHOP-1", "shop-2"], actor="discord:1"
    )
    assert [view.story.id for view in views] == ["shop-3", "shop-4"]
    assert (len(views[0].story.title), views[0].needs, views[1].needs) == (200, ("shop-1",), ())
    assert views[0].story.title.startswith("Changes to shop-1: aaa")
    assert views[1].story.body == 'It must be blue.\nAll of it.\n\nThis is about shop-2, "b".'
    assert (await started.workflow("shop")).state is WorkflowState.BACKLOG_READY
    (sprint,) = await started.retrospectives("blue")
    assert sprint.reviewed_by == "discord:1"
    (told,) = [e for e in await started.events(limit=1000) if e.kind is EventKind.CHANGES_REQUESTED]
    assert told.data["stories"] == ["shop-3", "shop-4"]
    assert len((await started.plan_sprint("shop", actor="cli")).stories) == 2


async def test_changes_to_nothing_in_particular_are_one_story(started: Commands) -> None:
    await running(started, "a")
    await done(started, "shop-1")
    (view,) = await started.request_changes("shop", "Blue.\nPlease.", actor="cli")
    assert (view.story.title, view.story.body) == ("Blue.", "Blue.\nPlease.")


async def test_a_story_that_waits_for_a_blocked_one_is_stuck_with_it(started: Commands) -> None:
    for title, needs in (("a", []), ("b", ["shop-1"]), ("c", ["shop-2"]), ("d", [])):
        await started.add_story("shop", title, needs=needs, actor="cli")
    await started.plan_sprint("shop", actor="cli")
    await started.start_sprint("shop", actor="cli")

    def stuck(tx: Transaction, story: str) -> None:
        cycle = cycles.get(tx.conn, story)
        assert cycle is not None
        block(tx, cycle, "Out of retries.")

    await started._store.write(lambda tx: stuck(tx, "shop-1"))
    assert (await started.workflow("shop")).state is WorkflowState.SPRINT_ACTIVE  # shop-4 can go on
    await started._store.write(lambda tx: stuck(tx, "shop-4"))
    assert (await started.workflow("shop")).state is WorkflowState.BLOCKED
