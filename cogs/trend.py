"""Charts of how things went over time, as values: cycle times, use, cost. PURE.

Figures and ends are rounded, so that a picture of a moment ago is often still the right one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from core.domain.trend import CycleTimes, ProjectUse, SpendingHistory, UseHistory, UsePoint

DOTS = 600  # the latest: more are a cloud on a phone
STACKS = 6  # names that have a colour of their own; the others are summed
BARS = 45  # more days are put together to weeks
OTHERS = "others"
_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleTimeChart:
    """A dot a merged story: `at` in seconds since the epoch, `hours` from its first phase to its merge."""

    title: str
    since: float
    until: float
    at: tuple[float, ...]
    hours: tuple[float, ...]
    median: float | None  # of all stories, hours
    most: float | None  # 85 % were quicker


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One name's part of each span; None where nothing is known."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsePanel:
    label: str
    unit: str
    stacks: tuple[Stack, ...]
    allocated: tuple[float | None, ...]  # of all; None: without limit, or not known


@dataclass(frozen=True, slots=True, kw_only=True)
class UseChart:
    """`at`: beginnings of spans, in seconds since the epoch, each `seconds` long."""

    title: str
    at: tuple[float, ...]
    seconds: int
    panels: tuple[UsePanel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostChart:
    """A bar a day, or a week: `at` its first day's midnight (UTC), in seconds since the epoch."""

    title: str
    unit: str  # "$" or "tokens": of subscriptions nobody knows a price
    total: float
    days: int  # of a bar
    at: tuple[float, ...]
    stacks: tuple[Stack, ...]


def cycle_time_chart(view: CycleTimes, title: str) -> CycleTimeChart:
    hours = [one.seconds / 3600 for one in view.stories]
    shown = view.stories[-DOTS:]
    return CycleTimeChart(
        title=title,
        since=_hour(view.since),
        until=_hour(view.until) + 3600,
        at=tuple(round(one.finished_at.timestamp() / 60) * 60.0 for one in shown),
        hours=tuple(_round(one.seconds / 3600) for one in shown),
        median=part_below(hours, 0.5),
        most=part_below(hours, 0.85),
    )


def part_below(values: Sequence[float], part: float) -> float | None:
    """The smallest value that so large a part of them does not pass (nearest rank); None of none."""
    if not values:
        return None
    return _round(sorted(values)[max(math.ceil(part * len(values)), 1) - 1])


_PANELS: tuple[tuple[str, str, Callable[[UsePoint], float], Callable[[UsePoint], float | None]], ...] = (
    ("Agents", "", lambda one: one.agents, lambda one: one.agents_allocated),
    ("CPU", "cores", lambda one: one.cpu, lambda one: one.cpu_allocated),
    (
        "Memory",
        "GB",
        lambda one: one.memory_mb / 1024,
        lambda one: None if one.memory_mb_allocated is None else one.memory_mb_allocated / 1024,
    ),
)


def use_chart(view: UseHistory, title: str) -> UseChart:
    """The projects that used most processors by themselves, the others summed. What was allocated of one
    project only: of many the sum says nothing."""
    step = view.span_seconds
    begin = int(view.since.timestamp()) // step * step
    at = tuple(float(one) for one in range(begin, int(view.until.timestamp()) + 1, step))
    found = [(one.project, {point.at.timestamp(): point for point in one.points}) for one in view.projects]
    alone = view.projects[0] if len(view.projects) == 1 else None
    first = _by_sum({name: [point.cpu for point in points.values()] for name, points in found})
    panels = []
    for label, unit, used, allocated in _PANELS:
        rows = {name: [used(points[one]) if one in points else None for one in at] for name, points in found}
        given = _allocated(alone, at, allocated)
        panels.append(UsePanel(label=label, unit=unit, stacks=_stacks(rows, first), allocated=given))
    return UseChart(title=title, at=at, seconds=step, panels=tuple(panels))


def _allocated(
    alone: ProjectUse | None, at: Sequence[float], of: Callable[[UsePoint], float | None]
) -> tuple[float | None, ...]:
    if alone is None:
        return (None,) * len(at)
    points = {point.at.timestamp(): of(point) for point in alone.points}
    return tuple(None if (one := points.get(each)) is None else _round(one) for each in at)


def cost_chart(view: SpendingHistory, title: str, *, by_project: bool) -> CostChart:
    """Money, or tokens where nothing had a price; by project or by model."""
    days = (view.until - view.since).days + 1
    width = 1 if days <= BARS else _WEEK
    count = math.ceil(days / width)
    money = any(one.microdollars for one in view.spent)
    rows: dict[str, list[float | None]] = {}
    for one in view.spent:
        name = one.project if by_project else one.model or "unknown model"
        row = rows.setdefault(name, [0.0] * count)
        place = (one.day - view.since).days // width
        row[place] = (row[place] or 0.0) + (one.microdollars / 1e6 if money else one.tokens)
    total = math.fsum(amount or 0.0 for row in rows.values() for amount in row)
    first = datetime.combine(view.since, time(), UTC)
    return CostChart(
        title=title,
        unit="$" if money else "tokens",
        total=_round(total),
        days=width,
        at=tuple((first + timedelta(days=width * place)).timestamp() for place in range(count)),
        stacks=_stacks(rows, _by_sum(rows)),
    )


def _by_sum(rows: Mapping[str, Sequence[float | None]]) -> Sequence[str]:
    """The largest first."""
    return sorted(rows, key=lambda name: (-math.fsum(one or 0.0 for one in rows[name]), name))


def _stacks(rows: Mapping[str, Sequence[float | None]], order: Sequence[str]) -> tuple[Stack, ...]:
    """In this order, what is beyond STACKS as one: a name has the same colour in all panels."""
    most = STACKS if len(order) <= STACKS else STACKS - 1
    made = [Stack(name=name, values=_rounded(rows[name])) for name in order[:most]]
    if rest := [rows[name] for name in order[most:]]:
        summed = [_sum(each) for each in zip(*rest, strict=True)]
        made.append(Stack(name=f"{len(rest)} {OTHERS}", values=_rounded(summed)))
    return tuple(made)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return math.fsum(known) if known else None


def _rounded(values: Sequence[float | None]) -> tuple[float | None, ...]:
    return tuple(None if one is None else _round(one) for one in values)


def _round(amount: float) -> float:
    return float(f"{amount:.4g}")


def _hour(at: datetime) -> float:
    return at.timestamp() // 3600 * 3600
