"""Pictures, drawn by the real process."""

from __future__ import annotations

import asyncio
import inspect
import struct
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from bot.discord import charts
from bot.discord.charts import Charts
from cogs.chart import (
    SHOWN,
    BurndownChart,
    Chart,
    Line,
    SharesChart,
    StateChart,
    burndown_chart,
    shares_chart,
)
from cogs.graph import graph_chart
from cogs.trend import cost_chart, cycle_time_chart, use_chart
from core.domain.lifecycles import WORKFLOW, WorkflowState
from core.domain.story import Priority, Sprint, StoryStatus
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
from core.orchestrator.resource_views import ProjectResources, ResourcesView, ResourceView
from core.orchestrator.views import Burndown, BurndownPoint
from core.scheduler.quota import Quota

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
STATE = StateChart(title="shop", state=WorkflowState.BLOCKED)


def burndown(*points: float, ideal: bool = True, title: str = "shop · sprint 1") -> BurndownChart:
    at = tuple(START.timestamp() + 3600 * n for n in range(len(points)))
    return BurndownChart(
        title=title,
        actual=Line(at=at, points=points),
        ideal=Line(at=(START.timestamp(), START.timestamp() + 90_000), points=(9.0, 0.0)) if ideal else None,
    )


def amounts(agents: float, memory_mb: float, limit: float | None = None) -> tuple[ResourceView, ...]:
    facts = (("agents", agents, agents, 3), ("cpu", None, 1.5, None), ("memory_mb", memory_mb, 512, 2048))
    return tuple(
        ResourceView(resource=name, unit="", used=used, reserved=reserved, allocated=given, limit=limit)
        for name, used, reserved, given in facts
    )


def shared(*names: str, capacity: float | None = 20.0) -> ResourcesView:
    """The first project has the most agents."""
    quota = Quota(
        project_name="x",
        allocated_agents=3,
        allocated_memory_mb=2048,
        allocated_cpu_percent=25.0,
        priority_weight=1.0,
        reason="",
    )
    projects = tuple(
        ProjectResources(
            project=name,
            tier=Priority.NORMAL,
            quota=quota,
            running=1,
            waiting=0,
            share=float(len(names) - number) / 100,
            entitled=0.25,
            resources=amounts(len(names) - number, 1024.0),
        )
        for number, name in enumerate(names)
    )
    return ResourcesView(
        at=START,
        strategy="dynamic",
        total=amounts(7.0, 9.0, capacity),
        projects=projects,
        locks=(),
        enforcement=(),
        problems=(),
    )


def trends(much: bool) -> Iterator[tuple[tuple[str, bool], Chart]]:
    names = [f"$ {'M' * 40} {n}" for n in range(12 if much else 0)]
    end = START + timedelta(days=1)
    stories = tuple(
        StoryTime(
            story_id=name, project=name, finished_at=START + timedelta(minutes=n), seconds=10.0 ** (n - 2)
        )
        for n, name in enumerate(names)
    )
    yield (
        ("cycle_times", much),
        cycle_time_chart(CycleTimes(since=START, until=end, stories=stories), "$x"),
    )
    points = tuple(
        UsePoint(
            at=START + timedelta(hours=hour),
            agents=1e9,
            cpu=0.0,
            memory_mb=hour,
            agents_allocated=None,
            cpu_allocated=1.0,
            memory_mb_allocated=0.0,
        )
        for hour in (0, 1, 5)
    )
    projects = tuple(ProjectUse(project=name, points=points) for name in names)
    yield (
        ("use", much),
        use_chart(UseHistory(since=START, until=end, span_seconds=3600, projects=projects), "$x"),
    )
    spent = tuple(
        Spending(project=name, day=START.date(), model=name, calls=1, tokens=10**12, microdollars=10**12)
        for name in names
    )
    view = SpendingHistory(since=START.date(), until=START.date() + timedelta(days=300 * much), spent=spent)
    yield ("cost", much), cost_chart(view, "$x", by_project=True)
    nodes = tuple(
        GraphStory(id=f"{name}-{n}", title=r"$\frac \x " * 9, status=list(StoryStatus)[n])
        for n, name in enumerate(names)
    )
    needs = tuple(Need(story=two.id, needs=one.id) for one in nodes[:3] for two in nodes[3:])
    yield ("graph", much), graph_chart(NeedsGraph(stories=nodes, needs=needs), "$x")


TRENDS: dict[tuple[str, bool], Chart] = {key: chart for much in (False, True) for key, chart in trends(much)}


def size(picture: bytes | None) -> tuple[int, int]:
    assert picture is not None
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize(
    "chart",
    [
        STATE,
        burndown(9.0, 5.0, 7.0, 0.0),
        burndown(ideal=False),
        burndown(0.0, title=r"$\frac{1}{0}$ \x @everyone " * 9),
        shares_chart(shared(*(f"M{'M' * 38}{n}" for n in range(50)))),
        shares_chart(shared("$x_1$", capacity=None)),
    ],
    ids=["state", "a sprint", "nothing yet", "odd words", "fifty shares", "one share without limits"],
)
async def test_a_picture_for_a_phone(chart: Chart) -> None:
    width, height = size(await Charts()(chart))
    assert 900 <= width <= 1200
    assert 400 <= height <= 1500


@pytest.mark.parametrize("much", [False, True], ids=["nothing", "much"])
@pytest.mark.parametrize("kind", ["cycle_times", "use", "cost", "graph"])
def test_trends_are_pictures_for_a_phone(kind: str, much: bool) -> None:
    from bot.discord import graph_picture, trend_pictures

    drawing = getattr(trend_pictures, kind, None) or graph_picture.graph
    width, height = size(drawing(asdict(TRENDS[kind, much])))
    assert 900 <= width <= 1200
    assert 400 <= height <= 2200


async def test_the_process_knows_every_kind_of_chart() -> None:
    drawn = await asyncio.gather(*map(Charts(), (TRENDS["cost", True], TRENDS["graph", True])))
    assert all(size(picture) for picture in drawn)
    source = inspect.getsource(charts.main)
    assert all(f'"{kind.__name__}"' in source for kind in get_args(Chart))


async def test_a_picture_is_drawn_once() -> None:
    charts = Charts()
    assert charts.kept(STATE) is None
    first, second = await asyncio.gather(charts(STATE), charts(STATE))
    assert first is second is charts.kept(STATE)
    assert charts.kept(StateChart(title="shop", state=WorkflowState.IDLE)) is None


@pytest.mark.parametrize(
    "command",
    [
        ("/nowhere/python",),
        (sys.executable, "-c", "raise SystemExit(3)"),
        (sys.executable, "-c", "print('no picture')"),
        (sys.executable, "-c", "import sys; sys.stdin.close()"),
    ],
    ids=["not there", "fails", "prints words", "says nothing"],
)
async def test_what_cannot_be_drawn_is_none_and_in_the_log(
    command: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    charts = Charts(command)
    assert await charts(STATE) is None
    assert charts.kept(STATE) is None
    assert "no picture of StateChart" in caplog.text


async def test_a_drawing_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.discord.charts.DRAW_SECONDS", 0.2)
    assert await Charts((sys.executable, "-c", "import time; time.sleep(60)"))(STATE) is None


def test_every_state_and_arrow_has_its_place_in_the_picture() -> None:
    from bot.discord import pictures

    assert set(pictures._PLACES) == set(WorkflowState)
    arrows = {(before, after) for (before, _), after in WORKFLOW.items() if before is not after}
    assert set(pictures._WAYS) == arrows


async def test_before_the_first_project_there_is_a_picture_too() -> None:
    width, height = size(await Charts()(shares_chart(shared())))
    assert (width, height) == (1024, 448)


def test_shares_become_a_chart() -> None:
    chart = shares_chart(shared("shop", "calc"))
    assert chart.title == "Shares · dynamic"
    assert chart.names == ("shop", "calc")
    agents, cpu, memory = chart.panels
    assert (agents.taken, agents.capacity) == (7.0, 20.0)
    assert [(bar.held, bar.allocated, bar.entitled) for bar in agents.bars] == [(2, 3, 5), (1, 3, 5)]
    assert [(bar.held, bar.allocated) for bar in cpu.bars] == [(1.5, None), (1.5, None)]  # reserved; no limit
    assert [(bar.held, bar.allocated) for bar in memory.bars] == [(1.0, 2.0), (1.0, 2.0)]  # in GB


def test_an_entitlement_is_one_share_in_the_mix_that_is_held() -> None:
    view = shared("shop")  # of 20 cores, 20 agents
    [one] = view.projects

    def entitled(**more: Any) -> list[float]:
        chart = shares_chart(replace(view, projects=(replace(one, **more),)))
        return [panel.bars[0].entitled for panel in chart.panels[:2]]

    assert entitled(share=0.075, entitled=0.15) == [2.0, 3.0]  # it holds 1 agent and 1.5 cores
    assert entitled(share=0.0, entitled=0.15) == [3.0, 3.0]
    assert entitled(share=0.0, entitled=0.5, resources=amounts(1.0, 9.0, limit=4.0)) == [4.0, 4.0]


def test_of_many_projects_the_smallest_are_summed() -> None:
    names = [f"p{n}" for n in range(50)]
    assert len(shares_chart(shared(*names[:SHOWN])).names) == SHOWN
    assert not shares_chart(shared(*names[:SHOWN])).summed
    view = shared(*names)
    beside = shares_chart(view, view.projects[0])
    assert beside.names == (view.projects[0].project, f"{len(names) - 1} others")
    assert beside.summed
    assert beside.title.startswith(view.projects[0].project)
    chart = shares_chart(shared(*names))
    assert chart.summed
    assert chart.names == (*names[: SHOWN - 1], "39 others")
    agents = chart.panels[0]
    assert agents.bars[-1].held == sum(range(1, 40))
    assert len(agents.bars) == len(chart.names)


def test_a_picture_of_a_moment_ago_is_still_the_right_one() -> None:
    view = shared("shop")
    [one] = view.projects
    jitter = replace(one, resources=amounts(1.0, 1024.4))
    assert shares_chart(replace(view, projects=(jitter,))) == shares_chart(view)


def test_figures_without_an_end_are_drawn_as_none() -> None:
    chart = shares_chart(shared("shop", capacity=float("inf")))
    assert isinstance(chart, SharesChart)
    assert {panel.capacity for panel in chart.panels} == {None}
    assert {bar.entitled for panel in chart.panels for bar in panel.bars} == {0.0}


def test_a_burndown_becomes_a_chart() -> None:
    sprint = Sprint(
        id="s", project="shop", number=2, goal="", planned_at=START, started_at=START, ended_at=None
    )
    begin, end = BurndownPoint(at=START, remaining=8), BurndownPoint(at=START + timedelta(1), remaining=0)
    chart = burndown_chart(Burndown(sprint=sprint, total=8, actual=(begin,), ideal=(begin, end)))
    assert chart.title == "shop · sprint 2"
    assert chart.actual.points == (8.0,)
    assert chart.ideal is not None
    assert chart.ideal.at == (START.timestamp(), START.timestamp() + 86400)
