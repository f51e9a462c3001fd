"""The API of what was measured: of a project, and of the system."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field

from bot.web.api.route import router as api_router
from bot.web.api.timerange import Granularity, TimeRange, read_range
from bot.web.house import House
from bot.web.visitors import Asks, Visitor, house_of
from core.domain.metric import METRICS, Metric, MetricKind, Point, Unit
from core.errors import InvalidInput
from core.security.access import Action

router = api_router("metrics")
SeesProject = Annotated[Visitor, Depends(Asks(Action.SEE_PROJECT))]
SeesMetrics = Annotated[Visitor, Depends(Asks(Action.SEE_METRICS))]

_MOST_NAMES = 100


class PointSeen(BaseModel):
    at: datetime = Field(description="The beginning of its span.")
    count: int = Field(description="Looks in it; of what took time: how many things; of a counter: steps.")
    total: float = Field(description="Their sum; of a counter: what it rose by.")
    mean: float
    minimum: float
    maximum: float
    last: float = Field(description="Of a counter: the whole count at its end.")


class Series(BaseModel):
    metric: str
    kind: MetricKind
    unit: Unit
    labels: dict[str, str]
    points: list[PointSeen] = Field(description="The oldest first; spans without data are not there.")


class History(BaseModel):
    project: str | None
    since: datetime
    until: datetime
    granularity: Granularity
    series: list[Series]


class MetricSeen(BaseModel):
    name: str
    kind: MetricKind
    unit: Unit
    help: str
    labels: tuple[str, ...]


Names = Annotated[
    list[str] | None,
    Query(
        alias="metric", max_length=_MOST_NAMES, description="Which ones; none: all. GET /api/metrics/names"
    ),
]
Range = Annotated[
    str,
    Query(
        alias="timeRange", max_length=100, description="Such as 1h, 24h, 7d, 4w, or BEGIN/END in ISO 8601."
    ),
]
Grain = Annotated[Granularity | None, Query(description="None: what suits the time range.")]


@router.get("/metrics/names")
async def names(_: SeesMetrics) -> list[MetricSeen]:
    """Everything that is measured."""
    return [
        MetricSeen(name=one.name, kind=one.kind, unit=one.unit, help=one.help, labels=one.labels)
        for one in METRICS.values()
    ]


@router.get("/metrics")
async def of_the_system(
    request: Request, _: SeesMetrics, metric: Names = None, span: Range = "24h", granularity: Grain = None
) -> History:
    """What is of no project."""
    house = house_of(request)
    when = read_range(span, granularity, house.runtime.clock.now())
    return await _history(house, None, _chosen(metric, of_project=False), when)


@router.get("/projects/{project}/metrics")
async def of_project(
    request: Request,
    _: SeesProject,
    project: str,
    metric: Names = None,
    span: Range = "24h",
    granularity: Grain = None,
) -> History:
    house = house_of(request)
    when = read_range(span, granularity, house.runtime.clock.now())
    name = (await house.runtime.commands.project(project)).project.name
    return await _history(house, name, _chosen(metric, of_project=True), when)


def _chosen(wanted: list[str] | None, *, of_project: bool) -> list[Metric]:
    """Raises InvalidInput for a name of none."""
    there = {one.name: one for one in METRICS.values() if ("project" in one.labels) is of_project}
    if unknown := [name for name in wanted or () if name not in there]:
        raise InvalidInput(
            f"There is no metric {unknown[0][:80]} here.", hint="GET /api/metrics/names lists them."
        )
    return [there[name] for name in dict.fromkeys(wanted)] if wanted else list(there.values())


async def _history(house: House, project: str | None, chosen: list[Metric], when: TimeRange) -> History:
    series: list[Series] = []
    for metric in chosen:
        found = await house.runtime.monitoring.history(
            metric.name,
            project=project,
            since=when.since,
            until=when.until,
            span=when.granularity.seconds,
        )
        series += [
            Series(
                metric=metric.name,
                kind=metric.kind,
                unit=metric.unit,
                labels=dict(labels),
                points=[_point(one) for one in points],
            )
            for labels, points in found.items()
        ]
    return History(
        project=project,
        since=when.since,
        until=when.until,
        granularity=when.granularity,
        series=series,
    )


def _point(one: Point) -> PointSeen:
    return PointSeen(
        at=one.at,
        count=one.count,
        total=one.total,
        mean=one.mean,
        minimum=one.minimum,
        maximum=one.maximum,
        last=one.last,
    )
