"""Charts over time, as values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from cogs.trend import BARS, STACKS, cost_chart, cycle_time_chart, part_below, use_chart
from core.domain.trend import (
    CycleTimes,
    ProjectUse,
    Spending,
    SpendingHistory,
    StoryTime,
    UseHistory,
    UsePoint,
)

NOW = datetime(2026, 3, 2, 9, 20, tzinfo=UTC)
DAY = date(2026, 3, 2)


def times(*seconds: float, until: datetime = NOW) -> CycleTimes:
    found = tuple(
        StoryTime(story_id=f"shop-{place}", project="shop", finished_at=NOW, seconds=one)
        for place, one in enumerate(seconds)
    )
    return CycleTimes(since=until - timedelta(days=30), until=until, stories=found)


def point(minutes: float, cpu: float, allocated: float | None = 2.0) -> UsePoint:
    return UsePoint(
        at=datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(minutes=minutes),
        agents=1,
        cpu=cpu,
        memory_mb=512,
        agents_allocated=3,
        cpu_allocated=allocated,
        memory_mb_allocated=1024,
    )


def use(*projects: ProjectUse) -> UseHistory:
    since = datetime(2026, 3, 2, 9, tzinfo=UTC)
    return UseHistory(since=since, until=since + timedelta(minutes=44), span_seconds=900, projects=projects)


def spent(project: str, dollars: float, days_ago: int = 0, model: str = "sonnet") -> Spending:
    return Spending(
        project=project,
        day=DAY - timedelta(days=days_ago),
        model=model,
        calls=1,
        tokens=1000,
        microdollars=round(dollars * 1e6),
    )


def spending(days: int, *found: Spending) -> SpendingHistory:
    return SpendingHistory(since=DAY - timedelta(days=days - 1), until=DAY, spent=found)


@pytest.mark.parametrize(
    ("part", "value"), [(0.5, 3.0), (0.85, 5.0), (0.0, 1.0), (1.0, 5.0), (0.2, 1.0), (0.21, 2.0)]
)
def test_the_value_that_a_part_does_not_pass(part: float, value: float) -> None:
    assert part_below((5.0, 1.0, 4.0, 2.0, 3.0), part) == value


def test_cycle_times_become_a_chart() -> None:
    chart = cycle_time_chart(times(3600, 7200, 36_000), "shop")
    assert chart.hours == (1.0, 2.0, 10.0)
    assert (chart.median, chart.most) == (2.0, 10.0)
    assert cycle_time_chart(times(), "shop").median is None


def test_the_chart_of_a_moment_ago_is_still_the_right_one() -> None:
    later = cycle_time_chart(times(3600, until=NOW + timedelta(minutes=20)), "shop")
    assert later == cycle_time_chart(times(3600), "shop")


def test_a_span_without_a_sample_is_not_zero() -> None:
    chart = use_chart(use(ProjectUse(project="shop", points=(point(0, 1.5), point(30, 0.0, None)))), "shop")
    agents, cpu, memory = chart.panels
    assert len(chart.at) == 3
    assert cpu.stacks[0].values == (1.5, None, 0.0)
    assert cpu.allocated == (2.0, None, None)
    assert memory.stacks[0].values == (0.5, None, 0.5)
    assert agents.allocated == (3.0, None, 3.0)


def test_a_project_has_one_place_in_all_panels_and_the_smallest_are_summed() -> None:
    chart = use_chart(
        use(*(ProjectUse(project=f"p{n}", points=(point(0, n),)) for n in range(STACKS + 3))), "all"
    )
    names = [[stack.name for stack in panel.stacks] for panel in chart.panels]
    assert names[0] == names[1] == names[2] == ["p8", "p7", "p6", "p5", "p4", "4 others"]
    assert chart.panels[1].stacks[-1].values[0] == 0 + 1 + 2 + 3
    assert set(chart.panels[1].allocated) == {None}  # of many it says nothing


def test_nothing_sampled_is_a_chart_too() -> None:
    assert all(panel.stacks == () for panel in use_chart(use(), "all").panels)


def test_cost_by_day_and_model_or_project() -> None:
    view = spending(3, spent("shop", 1.5, 2), spent("shop", 0.5, model="opus"), spent("post", 2))
    by_model = cost_chart(view, "shop", by_project=False)
    assert {stack.name: stack.values for stack in by_model.stacks} == {
        "sonnet": (1.5, 0.0, 2.0),
        "opus": (0.0, 0.0, 0.5),
    }
    by_project = cost_chart(view, "all", by_project=True)
    assert {stack.name: stack.values for stack in by_project.stacks} == {
        "shop": (1.5, 0.0, 0.5),
        "post": (0.0, 0.0, 2.0),
    }
    assert (by_model.unit, by_model.total, by_model.days) == ("$", 4.0, 1)


def test_what_has_no_price_is_told_in_tokens() -> None:
    chart = cost_chart(spending(2, spent("shop", 0), spent("shop", 0, 1)), "shop", by_project=False)
    assert (chart.unit, chart.total) == ("tokens", 2000)


def test_many_days_are_weeks_and_nothing_is_lost() -> None:
    view = spending(BARS + 1, *(spent("shop", 1, ago) for ago in range(BARS + 1)))
    chart = cost_chart(view, "shop", by_project=False)
    assert chart.days == 7
    assert len(chart.at) == 7
    assert sum(one or 0 for one in chart.stacks[0].values) == chart.total == BARS + 1
