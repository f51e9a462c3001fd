"""What a picture shows, as values; whoever draws it is given to the cogs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cogs.graph import GraphChart
from cogs.trend import CostChart, CycleTimeChart, UseChart
from core.domain.lifecycles import WorkflowState
from core.orchestrator.resource_views import ProjectResources, ResourcesView, ResourceView
from core.orchestrator.views import Burndown
from core.scheduler.resources import Resource

NAME = "chart.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points of a curve: seconds since the epoch, story points."""

    at: tuple[float, ...]
    points: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BurndownChart:
    title: str
    actual: Line  # stairs: a value holds until the next point
    ideal: Line | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChart:
    """The workflow's diagram with one state lit."""

    title: str
    state: WorkflowState


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A project's part of one resource, each as a part of `Panel.capacity` in its unit. None: no limit."""

    held: float
    allocated: float | None
    entitled: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One resource: `taken` of `capacity` (None: unlimited), and a bar for each name of the chart."""

    label: str
    unit: str
    taken: float
    capacity: float | None
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesChart:
    """What projects hold, against what they are entitled to and were allocated."""

    title: str
    names: tuple[str, ...]
    summed: bool  # whether the last name is of many projects
    panels: tuple[Panel, ...]


Chart = BurndownChart | StateChart | SharesChart | CycleTimeChart | UseChart | CostChart | GraphChart


class Draw(Protocol):
    """Makes PNGs. `kept` answers at once, None where the picture has yet to be drawn.

    `__call__` gives None where it cannot be drawn: then the words must do.
    """

    def kept(self, chart: Chart) -> bytes | None: ...
    async def __call__(self, chart: Chart) -> bytes | None: ...


class NoDraw:
    """Where there is nobody who draws."""

    def kept(self, chart: Chart) -> bytes | None:
        return None

    async def __call__(self, chart: Chart) -> bytes | None:
        return None


def burndown_chart(view: Burndown) -> BurndownChart:
    ideal = view.ideal
    return BurndownChart(
        title=f"{view.sprint.project} · sprint {view.sprint.number}",
        actual=Line(
            at=tuple(point.at.timestamp() for point in view.actual),
            points=tuple(float(point.remaining) for point in view.actual),
        ),
        ideal=None
        if ideal is None
        else Line(
            at=tuple(point.at.timestamp() for point in ideal),
            points=tuple(float(point.remaining) for point in ideal),
        ),
    )


SHOWN = 12  # projects that have bars of their own
_PANELS = (
    (Resource.AGENTS, "Agents", "", 1.0),
    (Resource.CPU, "CPU", "cores", 1.0),
    (Resource.MEMORY_MB, "Memory", "GB", 1024.0),
)


def shares_chart(view: ResourcesView, one: ProjectResources | None = None) -> SharesChart:
    """The projects with the largest shares, the others summed; or `one` beside all others. Figures are
    rounded so that a picture of a moment ago is often still the right one."""
    by_share = sorted(view.projects, key=lambda one: (-one.share, -one.entitled, one.project))
    most = SHOWN if len(by_share) <= SHOWN else SHOWN - 1
    shown, rest = by_share[:most], by_share[most:]
    if one is not None:
        shown, rest = [one], [each for each in by_share if each.project != one.project]
    others = f"{len(rest)} other{'s' if len(rest) > 1 else ''}"
    names = [each.project for each in shown] + ([others] if rest else [])
    groups = [*((each,) for each in shown), *([tuple(rest)] if rest else [])]
    panels = tuple(
        _panel(view, groups, resource, label, unit, scale) for resource, label, unit, scale in _PANELS
    )
    return SharesChart(
        title=f"{one.project if one else 'Shares'} · {view.strategy}",
        names=tuple(names),
        summed=bool(rest),
        panels=panels,
    )


def _panel(
    view: ResourcesView,
    groups: Sequence[Sequence[ProjectResources]],
    resource: Resource,
    label: str,
    unit: str,
    scale: float,
) -> Panel:
    total = _find(view.total, resource)
    capacity = total.limit / scale if total and total.limit and math.isfinite(total.limit) else None
    bars = []
    for group in groups:
        found = [one for project in group if (one := _find(project.resources, resource)) is not None]
        given = [math.inf if one.allocated is None else one.allocated for one in found]
        allocated = math.fsum(given) / scale
        entitled = math.fsum(
            _entitled(project, one, total) for project in group if (one := _find(project.resources, resource))
        )
        bars.append(
            Bar(
                held=round(math.fsum(_held(one) for one in found) / scale, 1),
                allocated=round(allocated, 1) if math.isfinite(allocated) else None,
                entitled=round(entitled / scale, 1),
            )
        )
    taken = round(_held(total) / scale, 1) if total else 0.0
    return Panel(label=label, unit=unit, taken=taken, capacity=capacity, bars=tuple(bars))


def _find(views: Sequence[ResourceView], resource: Resource) -> ResourceView | None:
    return next((one for one in views if one.resource == resource), None)


def _held(view: ResourceView) -> float:
    """What nobody else can have: what runs was admitted with, or more where it takes more."""
    return max(_finite(view.used or 0.0), _finite(view.reserved))


def _entitled(project: ProjectResources, view: ResourceView, total: ResourceView | None) -> float:
    """Its entitlement is one share, of the resource that it needs most: what that is of each, in the mix that
    it holds now. Of who holds nothing no mix is known: the same share of each."""
    if total is None or total.limit is None or not math.isfinite(total.limit):
        return 0.0
    amount = _finite(project.entitled) * total.limit
    if project.share > 0 and math.isfinite(project.share):
        amount = min(amount, view.reserved * _finite(project.entitled) / project.share)
    return amount if view.limit is None else min(amount, view.limit)


def _finite(amount: float) -> float:
    return amount if math.isfinite(amount) else 0.0
