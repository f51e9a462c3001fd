"""Pictures, drawn by the real process."""

from __future__ import annotations

import asyncio
import struct
import sys
from datetime import UTC, datetime, timedelta

import pytest

from bot.discord.charts import Charts
from cogs.chart import BurndownChart, Chart, Line, StateChart, burndown_chart
from core.domain.lifecycles import WORKFLOW, WorkflowState
from core.domain.story import Sprint
from core.orchestrator.views import Burndown, BurndownPoint

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
STATE = StateChart(title="shop", state=WorkflowState.BLOCKED)


def burndown(*points: float, ideal: bool = True, title: str = "shop · sprint 1") -> BurndownChart:
    at = tuple(START.timestamp() + 3600 * n for n in range(len(points)))
    return BurndownChart(
        title=title,
        actual=Line(at=at, points=points),
        ideal=Line(at=(START.timestamp(), START.timestamp() + 90_000), points=(9.0, 0.0)) if ideal else None,
    )


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
    ],
    ids=["state", "a sprint", "nothing yet", "odd words"],
)
async def test_a_picture_for_a_phone(chart: Chart) -> None:
    width, height = size(await Charts()(chart))
    assert 900 <= width <= 1200
    assert 600 <= height <= 1500


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
