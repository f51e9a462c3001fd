from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.discord import board
from bot.discord.board import Standing
from cogs.message import fit
from core.domain.lifecycles import WorkflowState
from core.domain.story import Priority, Sprint, Story, StoryState, StoryStatus
from core.orchestrator.resource_views import ProjectResources
from core.orchestrator.views import (
    Burndown,
    CyclesView,
    OverlapView,
    ReviewView,
    SprintView,
    StoryResult,
    StoryView,
)
from core.scheduler.quota import Quota
from core.store.usage import UsagePause

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
SPRINT = Sprint(
    id="sprint_1", project="shop", number=3, goal="Sell", planned_at=AT, started_at=AT, ended_at=None
)


def story(number: int, title: str = "Add a basket", **more: Any) -> Story:
    facts: dict[str, Any] = {
        "body": "",
        "acceptance_criteria": ("it adds",),
        "priority": Priority.NORMAL,
        "state": StoryState.ACTIVE,
        "sprint_id": SPRINT.id,
        "added_by": "cli",
        "added_at": AT,
    }
    return Story(id=f"shop-{number}", project="shop", number=number, title=title, **{**facts, **more})


def view(number: int, status: StoryStatus = StoryStatus.WAITING, **more: Any) -> StoryView:
    estimate = more.pop("estimate", None)
    facts = {"why": "", **more}
    return StoryView(story=story(number, estimate=estimate), status=status, cycle=None, **facts)


def standing(*views: StoryView, **more: Any) -> Standing:
    facts: dict[str, Any] = {"workflow": WorkflowState.SPRINT_ACTIVE, **more}
    return Standing(sprint=SprintView(sprint=SPRINT, stories=views), **facts)


def body(shown: Standing) -> str:
    return board.live_status(shown).cards[0].body


def cycles(**more: Any) -> CyclesView:
    return CyclesView(**{"project": "shop", "stories": (), "overlaps": (), "merging": (), **more})


class TestLiveStatus:
    def test_stories_and_points_done(self) -> None:
        shown = body(standing(view(1, StoryStatus.DONE, estimate=3), view(2, estimate=5), view(3)))
        assert "1 of 3 done · 3 of 9 points" in shown
        assert "points" not in body(standing(view(1), view(2)))

    def test_the_projects_share_and_why_nothing_starts(self) -> None:
        quota = Quota(
            project_name="shop",
            allocated_agents=3,
            allocated_memory_mb=2048,
            allocated_cpu_percent=25.0,
            priority_weight=1.0,
            reason="",
        )
        share = ProjectResources(
            project="shop",
            tier=Priority.NORMAL,
            quota=quota,
            running=2,
            waiting=1,
            share=0.1234,
            entitled=0.5,
            resources=(),
        )
        assert "🤖 2/3 agents · 2 GB · CPU 25 %" in body(standing(view(1), share=share))
        closed = replace(share, barred="waits: it is outside the work hours of shop; next on Monday.")
        assert "🚧 Outside the work hours of shop; next on Monday." in body(standing(view(1), share=closed))
        measured = replace(share, share=0.1235, waiting=2)  # of no interest to a message that is edited
        assert body(standing(view(1), share=measured)) == body(standing(view(1), share=share))

    @pytest.mark.parametrize(
        ("status", "words"), [(StoryStatus.STOPPED, "stopped"), (StoryStatus.TAKEN, "with a person")]
    )
    def test_held_stories_say_so(self, status: StoryStatus, words: str) -> None:
        assert words in body(standing(view(1, status)))

    def test_needs_are_shown_unless_the_story_says_them_itself(self) -> None:
        assert "needs `shop-1`, `blog-4`" in body(standing(view(2, needs=("shop-1", "blog-4"))))
        waiting = view(2, needs=("shop-1",), why="It waits for shop-1.")
        assert "needs" not in body(standing(waiting))
        assert "needs" not in body(standing(view(2, StoryStatus.DONE, needs=("shop-1",))))

    def test_both_stories_of_an_overlap_name_the_other(self) -> None:
        overlap = OverlapView(first="shop-1", later="shop-2", files=("cart.py", "b.py", "c.py", "d.py"))
        shown = body(standing(view(1), view(2), view(3), cycles=cycles(overlaps=(overlap,))))
        assert "⚠ also changes `cart.py`, `b.py`, `c.py` and 1 more: `shop-2`" in shown
        assert shown.count("also changes") == 2

    def test_the_merge_queue_stands_in_its_order(self) -> None:
        shown = body(standing(view(1), cycles=cycles(merging=("shop-2", "shop-1"))))
        assert "🔀 Merge queue: `shop-2` → `shop-1`" in shown

    def test_a_usage_limit_shows_when_it_ends_and_a_button(self) -> None:
        limit = UsagePause(
            project="shop", agent="claude", reason="5 h", since=AT, until=AT, resumes=False, tries=1
        )
        message = board.live_status(standing(view(1), workflow=WorkflowState.SPRINT_PAUSED, limit=limit))
        assert f"until <t:{int(AT.timestamp())}:t>" in message.cards[0].body
        assert "waits for Resume" in message.cards[0].body
        assert [(b.verb, b.target) for b in message.buttons] == [("resume", "shop")]
        by_itself = body(standing(view(1), limit=replace(limit, resumes=True, until=None)))
        assert "nobody knows until when; the sprint goes on by itself" in by_itself

    @pytest.mark.parametrize(
        ("workflow", "words"),
        [(WorkflowState.SPRINT_PAUSED, "/sprint resume"), (WorkflowState.BLOCKED, "/suggest_fix")],
    )
    def test_what_stands_still_says_how_it_goes_on(self, workflow: WorkflowState, words: str) -> None:
        assert words in body(standing(view(1), workflow=workflow))

    def test_two_hundred_stories_fit(self) -> None:
        views = [replace(view(n, why="because " * 100), story=story(n, "Basket " * 40)) for n in range(200)]
        message = board.live_status(
            standing(*views, cycles=cycles(merging=tuple(f"shop-{n}" for n in range(99))))
        )
        assert fit(message) == message
        assert "more: `/sprint status`" in message.cards[0].body
        assert "Merge queue" in message.cards[0].body


def test_a_finished_sprint_shows_each_story_with_its_evidence() -> None:
    result = StoryResult(
        view=view(1, StoryStatus.DONE),
        seconds=125.0,
        refusals=2,
        tests=4,
        commit="c" * 40,
        evidence="4 red now pass, *30* passed in all",
    )
    skipped = StoryResult(
        view=view(2, StoryStatus.SKIPPED), seconds=None, refusals=0, tests=0, commit=None, evidence=""
    )
    message = board.finished(
        ReviewView(
            sprint=SPRINT,
            results=(result, skipped),
            burndown=Burndown(sprint=SPRINT, total=2, actual=(), ideal=None),
            points_done=1,
            points_planned=2,
            seconds=3 * 3600.0,
        )
    )
    shown = message.cards[0].body
    assert "1 of 2 stories · 1 of 2 points · 3.0 h" in shown
    assert "✅ `shop-1` **Add a basket** · `cccccccccc` · 4 tests · refused 2× · 2 min" in shown
    assert r"4 red now pass, \*30\* passed in all" in shown
    assert "⏭️ `shop-2` **Add a basket** · skipped" in shown


def test_proposals_show_what_they_need_and_cost() -> None:
    proposed = [
        (story(1, estimate=3, priority=Priority.HIGH), ()),
        (story(2, "@everyone **x**", estimate=1), ("shop-1",)),
    ]
    message = board.proposals("shop-e1", proposed)
    shown = message.cards[0].body
    assert "2 stories proposed" in shown
    assert "`shop-1` **Add a basket** · 1 criterion · 3 points · high" in shown
    assert "1 point · needs `shop-1`" in shown
    assert "@everyone" not in shown
    assert [button.target for button in message.buttons] == ["shop-e1"] * len(message.buttons)
    assert "accept_all" in [button.verb for button in message.buttons]
