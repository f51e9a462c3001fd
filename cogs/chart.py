"""What a picture shows, as values; whoever draws it is given to the cogs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.domain.lifecycles import WorkflowState
from core.orchestrator.views import Burndown

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


Chart = BurndownChart | StateChart


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
