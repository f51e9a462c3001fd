"""Charts in words: they must do where nothing can be drawn."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from cogs import render_charts as render
from cogs.message import Message
from cogs.trend import cost_chart
from core.domain.story import StoryStatus
from core.domain.trend import (
    CycleTimes,
    GraphStory,
    Need,
    NeedsGraph,
    ProjectUse,
    Spending,
    SpendingHistory,
    StoryTime,
    UseHistory,
    UsePoint,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def body(message: Message) -> str:
    return message.cards[0].body


def times(*hours: float) -> CycleTimes:
    stories = tuple(
        StoryTime(story_id=f"shop-{n}", project="shop", finished_at=NOW, seconds=3600 * one)
        for n, one in enumerate(hours)
    )
    return CycleTimes(since=NOW - timedelta(days=30), until=NOW, stories=stories)


def test_cycle_times_in_words() -> None:
    said = body(render.cycle_times(times(1, 2, 3, 50), "of shop", 30, None, drawing=False))
    assert "4 stories merged in the last 30 days" in said
    assert "within **2 h**" in said
    assert "`shop-3` 50 h" in said
    assert "could not be drawn" in said


def test_the_picture_takes_the_place_of_the_word_that_it_comes() -> None:
    waits = render.cycle_times(times(), "of shop", 30, None, drawing=True)
    assert "Drawing the picture…" in body(waits)
    made = render.cycle_times(times(), "of shop", 30, b"png", drawing=False)
    assert made.cards[0].image == made.attachments[0].name
    assert "picture" not in body(made)


def test_use_in_words() -> None:
    def point(cpu: float) -> UsePoint:
        return UsePoint(
            at=NOW,
            agents=2,
            cpu=cpu,
            memory_mb=1536,
            agents_allocated=None,
            cpu_allocated=None,
            memory_mb_allocated=None,
        )

    view = UseHistory(
        since=NOW,
        until=NOW,
        span_seconds=900,
        projects=(
            ProjectUse(project="post", points=(point(0.5),)),
            ProjectUse(project="shop", points=(point(1), point(2))),
        ),
    )
    lines = body(render.use(view, "of all projects", 1, b"png", drawing=False)).splitlines()
    assert lines[1:] == ["**shop** 2 agents · 1.5 cores · 1.5 GB", "**post** 2 agents · 0.5 cores · 1.5 GB"]
    nothing = UseHistory(since=NOW, until=NOW, span_seconds=900, projects=())
    assert "Nothing was measured" in body(render.use(nothing, "of shop", 1, None, drawing=False))


def test_cost_in_words() -> None:
    day = date(2026, 3, 2)

    def spent(dollars: int, days_ago: int) -> Spending:
        return Spending(
            project="shop",
            day=day - timedelta(days=days_ago),
            model="sonnet*",
            calls=2,
            tokens=500,
            microdollars=dollars * 1_000_000,
        )

    view = SpendingHistory(since=day - timedelta(days=2), until=day, spent=(spent(3, 2), spent(1, 0)))
    said = body(render.cost(view, cost_chart(view, "", by_project=False), "of shop", 3, None, drawing=False))
    assert "**4.00 USD** · 1,000 tokens · 4 calls" in said
    assert "2026-02-28 (UTC), 3.00 USD" in said
    assert r"sonnet\* 100%" in said


def test_dependencies_in_words() -> None:
    stories = tuple(GraphStory(id=f"shop-{n}", title="x", status=StoryStatus.BACKLOG) for n in range(1, 30))
    needs = tuple(Need(story=f"shop-{n}", needs="shop-1") for n in range(2, 30))
    said = body(render.dependencies(NeedsGraph(stories=stories, needs=needs), "of shop", None, drawing=False))
    assert "28 stories wait" in said
    assert "`shop-2` after `shop-1`" in said
    assert "and 16 more." in said
    none = render.dependencies(NeedsGraph(stories=(), needs=()), "of shop", None, drawing=False)
    assert "No story waits" in body(none)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (90, "1.5 min"), (5400, "1.5 h"), (86_400 * 4, "4 days")]
)
def test_a_span_in_words(seconds: float, said: str) -> None:
    assert render.span(seconds) == said
