"""A figure over time as an SVG drawing: its line or its bars, its ticks, its gaps. PURE.

Ticks are at 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers for graph labels", Graphics Gems, 1990).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.metric import MetricKind, Point, Unit

WIDE, HIGH = 640, 150
_TOP, _BOTTOM = 8, 20
_LEAST = 1e-12  # what is less is drawn as nothing
_GAP_SPANS = 2.5  # so many spans without data are drawn as none
_BAR = 0.8  # of its span
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_CLOCK = (
    *(1, 2, 4, 10, 20, 30, _MINUTE, 2 * _MINUTE, 4 * _MINUTE, 10 * _MINUTE, 20 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 4 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 4 * _DAY, 10 * _DAY),
)
"""Seconds of which the half is said in one or two units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    at: float  # of the drawing
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """`path`, `band`, `bars`: SVG path data: the line, between the lowest and the highest of each span, and
    for each span of a counter how much it rose. `dots`: values that have no neighbour. `figure`: the one
    that counts, of which `meaning` says what it is; `highest`: of a span. All three in words; "" without
    data."""

    path: str
    band: str
    bars: str
    dots: tuple[tuple[float, float], ...]
    across: tuple[Tick, ...]  # times
    up: tuple[Tick, ...]  # values
    figure: str
    meaning: str
    highest: str
    empty: bool


def value_of(kind: MetricKind, point: Point) -> tuple[float, float, float]:
    """What a point says: the middle, the lowest, the highest. Of a counter: the rise in the span."""
    if kind is MetricKind.COUNTER:
        return point.total, point.total, point.total
    return point.mean, point.minimum, point.maximum


def drawing(
    points: Sequence[Point],
    *,
    kind: MetricKind,
    unit: Unit,
    since: datetime,
    until: datetime,
    span: int,
    said: Callable[[float], str],
) -> Drawing:
    """`points`: the oldest first. `said`: a value in words."""
    length = (until - since).total_seconds()
    values = [(point.at, *value_of(kind, point)) for point in points]
    top = _top(max((high for *_, high in values), default=0.0), unit)

    def x(at: datetime) -> float:
        share = (at - since).total_seconds() / length
        return round(min(max(share, 0.0), 1.0) * WIDE, 1)

    def y(value: float) -> float:
        return round(HIGH - _BOTTOM - value / top * (HIGH - _TOP - _BOTTOM), 1)

    runs = [] if kind is MetricKind.COUNTER else _runs(values, span)
    lines = [run for run in runs if len(run) > 1]
    path = " ".join("M" + " L".join(f"{x(at)} {y(middle)}" for at, middle, _, _ in run) for run in lines)
    band = " ".join(
        "M"
        + " L".join(f"{x(at)} {y(high)}" for at, _, _, high in run)
        + " L"
        + " L".join(f"{x(at)} {y(low)}" for at, _, low, _ in reversed(run))
        + "Z"
        for run in lines
        if any(high > low for _, _, low, high in run)
    )
    wide = timedelta(seconds=span * _BAR)
    bars = " ".join(
        f"M{x(at)} {y(0)} L{x(at)} {y(rise)} L{x(at + wide)} {y(rise)} L{x(at + wide)} {y(0)}Z"
        for at, rise, _, _ in (values if kind is MetricKind.COUNTER else ())
    )
    figure, meaning = _figure(points, kind, until - timedelta(seconds=span * _GAP_SPANS))
    return Drawing(
        path=path,
        band=band,
        bars=bars,
        dots=tuple((x(run[0][0]), y(run[0][1])) for run in runs if len(run) == 1),
        across=_times(since, until, x),
        up=tuple(Tick(at=y(value), said=said(value)) for value in (0.0, top / 2, top)),
        figure=said(figure) if values else "",
        meaning=meaning if values else "",
        highest=said(max(high for *_, high in values)) if values else "",
        empty=not values,
    )


_Value = tuple[datetime, float, float, float]  # when, and as `value_of` says it


def _runs(values: Sequence[_Value], span: int) -> list[list[_Value]]:
    """Those that follow each other without a gap."""
    runs: list[list[_Value]] = []
    for one in values:
        if runs and (one[0] - runs[-1][-1][0]).total_seconds() <= span * _GAP_SPANS:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _figure(points: Sequence[Point], kind: MetricKind, fresh: datetime) -> tuple[float, str]:
    """Of a counter how much it rose, of an observation the mean, of a gauge the last, which is of now when it
    was seen since `fresh`."""
    if not points:
        return 0.0, ""
    total = sum(point.total for point in points)
    if kind is MetricKind.COUNTER:
        return total, "in all"
    if kind is MetricKind.OBSERVATION:
        return total / sum(point.count for point in points), "on average"
    return points[-1].last, "now" if points[-1].at >= fresh else "last seen"


def _top(highest: float, unit: Unit) -> float:
    """The round number at or above it, of which the half is one, too."""
    if not _LEAST < highest < math.inf:
        return 2.0 if unit is Unit.NONE else 1.0
    if unit is Unit.SECONDS and highest <= _CLOCK[-1] and highest > 1:
        return float(next(time for time in _CLOCK if time >= highest))
    power: float = 10.0 ** math.floor(math.log10(highest))
    steps = (2, 4, 10, 20) if unit is Unit.NONE else (1, 2, 5, 10)
    return next(factor * power for factor in steps if factor * power >= highest * 0.9999)


def _times(since: datetime, until: datetime, x: Callable[[datetime], float]) -> tuple[Tick, ...]:
    length = until - since
    shape = "%H:%M" if length <= timedelta(days=2) else "%d %b"
    places = [since + length * share for share in (0.1, 0.37, 0.64, 0.91)]
    return tuple(Tick(at=x(at), said=f"{at:{shape}}") for at in places)
