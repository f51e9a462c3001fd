"""A project's figures over time, out of the kept history. What was not seen has no line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from nicegui import ui

from bot.web.dashboard import words
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.pages.project import row_now
from bot.web.dashboard.project_head import project_head
from bot.web.dashboard.shell import Parts, show
from bot.web.dashboard.views.chart import Drawing, drawing
from bot.web.dashboard.views.overview import Row
from core.domain.metric import METRICS, Labels, Point, Unit
from core.runtime import Runtime

_SHOWN = {
    "agents_running": "Agents at work",
    "stories_waiting": "Stories that wait",
    "project_cpu": "Processors",
    "project_memory": "Memory",
    "cost": "Cost",
    "tokens": "Tokens",
    "cycle_time": "Cycle time",
    "phase_duration": "Phases",
    "approval_latency": "Answers",
    "test_duration": "Test runs",
    "gate_failures": "Gates that refused",
    "project_health": "Health",
}
_WORDS: Mapping[Unit, Callable[[float], str]] = {
    Unit.SECONDS: words.duration,
    Unit.BYTES: words.size,
    Unit.DOLLARS: words.money,
    Unit.RATIO: words.percent,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    said: str
    length: timedelta
    span: int  # seconds of a point
    again: float  # seconds until it is looked at again


RANGES = {
    "hour": Range(said="Hour", length=timedelta(hours=1), span=60, again=15),
    "day": Range(said="Day", length=timedelta(days=1), span=3600, again=60),
    "week": Range(said="Week", length=timedelta(days=7), span=3600, again=120),
    "quarter": Range(said="90 days", length=timedelta(days=90), span=86400, again=600),
}
Picture = tuple[Row, tuple[tuple[str, Drawing], ...]]


def charts_view(runtime: Runtime, name: str, chosen: str) -> View[Picture]:
    over = RANGES[chosen]

    async def look() -> Picture:
        until = runtime.clock.now()
        found = []
        for metric in _SHOWN:
            series = await runtime.monitoring.history(
                metric, project=name, since=until - over.length, until=until, span=over.span
            )
            found.append(
                (
                    metric,
                    drawing(
                        summed(series),
                        kind=METRICS[metric].kind,
                        unit=METRICS[metric].unit,
                        since=until - over.length,
                        until=until,
                        span=over.span,
                        said=_WORDS.get(METRICS[metric].unit, words.tidy),
                    ),
                )
            )
        return await row_now(runtime, name), tuple(found)

    return View(name=f"charts {name} {chosen}", look=look, seconds=over.again, wakes=lambda event: False)


def summed(series: Mapping[Labels, tuple[Point, ...]]) -> tuple[Point, ...]:
    """All series of the metric as one: of each span what they saw together."""
    if len(series) <= 1:
        return next(iter(series.values()), ())
    by_time: dict[object, Point] = {}
    for points in series.values():
        for point in points:
            known = by_time.get(point.at)
            by_time[point.at] = point if known is None else _together(known, point)
    return tuple(sorted(by_time.values(), key=lambda point: point.at))


def _together(one: Point, other: Point) -> Point:
    return Point(
        at=one.at,
        count=one.count + other.count,
        total=one.total + other.total,
        minimum=min(one.minimum, other.minimum),
        maximum=max(one.maximum, other.maximum),
        last=other.last,
    )


async def build(viewer: Viewer) -> None:
    name = viewer.parts["project"].strip().lower()
    asked = ui.context.client.request.query_params.get("range", "day")
    chosen = asked if asked in RANGES else "day"
    here = f"/projects/{name}/charts"

    def head(picture: Picture) -> Parts:
        ranges = [(key, one.said) for key, one in RANGES.items()]
        return {
            **project_head(picture[0], here),
            "ranges": drawn("ranges", ranges=ranges, chosen=chosen),
        }

    def charts(picture: Picture) -> Parts:
        parts = {
            metric: drawn("chart", title=_SHOWN[metric], drawing=made, about=METRICS[metric].help)
            for metric, made in picture[1]
            if not made.empty
        }
        if missing := [_SHOWN[metric] for metric, made in picture[1] if made.empty]:
            parts["missing"] = drawn("charts_missing", missing=missing)
        return parts

    view = charts_view(viewer.house.runtime, name, chosen)
    await show(viewer, view, head)
    (await show(viewer, view, charts)).classes("charts")
