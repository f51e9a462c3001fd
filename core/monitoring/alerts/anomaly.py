"""What is normal for a series, how far from it a value is, and since when its level is another. PURE.

Robust scores: B. Iglewicz, D. C. Hoaglin, "How to Detect and Handle Outliers", 1993: the distance from the
median in units of 1.4826 times the median absolute deviation, which is the standard deviation of a normal
distribution and does not move while less than half of what was learned is odd; where that is 0, 1.2533 times
the mean absolute deviation. Change points: E. S. Page, "Continuous Inspection Schemes", Biometrika 41, 1954:
the cumulative sum of what exceeds a slack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean, median

from core.domain.metric import Unit

Values = Sequence[tuple[datetime, float]]  # the oldest first

LEAST = 48  # values: two days of hours
_PER_SLOT = 5  # values of one hour of the week, or of the day, before it has a normal of its own
_HOURS_OF_WEEK = 168
_TO_DEVIATION, _MEAN_TO_DEVIATION = 1.4826, 1.2533
_RELATIVE_FLOOR = 0.05
# What nobody calls a difference, however steady the series was.
_FLOOR: Mapping[Unit, float] = {
    Unit.NONE: 0.5,
    Unit.SECONDS: 0.05,
    Unit.BYTES: 4e6,
    Unit.CORES: 0.05,
    Unit.RATIO: 0.02,
    Unit.DOLLARS: 0.05,
    Unit.TOKENS: 500.0,
}

_SLACK = 0.5  # deviations: finds shifts of one deviation best
_SPIKE = 4.0  # deviations: one odd value counts for no more
_STAYED = 6  # values: a level that holds for less has not changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """`usual`: of the whole series; `season`: by the hour of the week (0 is Monday's first, UTC), where
    enough was seen; `day`: by the hour of the day, likewise. `scale`: one robust deviation, above 0."""

    usual: float
    scale: float
    season: Mapping[int, float] = field(default_factory=dict)
    day: Mapping[int, float] = field(default_factory=dict)

    def usual_at(self, at: datetime) -> float:
        slot = _slot(at)
        found = self.season.get(slot)
        return self.day.get(slot % 24, self.usual) if found is None else found

    def deviations(self, at: datetime, value: float) -> float:
        """How many robust deviations above what is usual at that time; below 0: under it."""
        return (value - self.usual_at(at)) / self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """`score`: the sum's end in deviations, below 0 for a fall. `level`: the median since `since`; `usual`:
    what would be usual."""

    score: float
    since: datetime
    level: float
    usual: float


def learn(values: Values, unit: Unit) -> Normal | None:
    """None for fewer than two days of hours: what is normal is not known then."""
    if len(values) < LEAST:
        return None
    usual = median(value for _, value in values)
    day = _slots(values, 24)
    season = _slots(values, _HOURS_OF_WEEK)
    known = Normal(usual=usual, scale=1.0, season=season, day=day)
    off = [abs(value - known.usual_at(at)) for at, value in values]
    scale = _TO_DEVIATION * median(off) or _MEAN_TO_DEVIATION * fmean(off)
    floor = max(_FLOOR[unit], _RELATIVE_FLOOR * abs(usual))
    return Normal(usual=usual, scale=max(scale, floor), season=season, day=day)


def shift(normal: Normal, values: Values) -> Shift | None:
    """Where the level of the last `values` is another than `normal` says, and stays so. None: it is not, or
    not for six values, or it is back."""
    if len(values) < _STAYED:
        return None
    scores = [max(-_SPIKE, min(_SPIKE, normal.deviations(at, value))) for at, value in values]
    found = max((_run(scores, sign) for sign in (1, -1)), key=lambda run: run[0])
    total, begun, sign = found
    if len(values) - begun < _STAYED or sign * median(scores[-_STAYED:]) <= 2 * _SLACK:
        return None
    return Shift(
        score=sign * total,
        since=values[begun][0],
        level=median(value for _, value in values[begun:]),
        usual=median(normal.usual_at(at) for at, _ in values[begun:]),
    )


def _run(scores: Sequence[float], sign: int) -> tuple[float, int, int]:
    """The one-sided sum at the end, and since which value it is above 0."""
    total, begun = 0.0, len(scores)
    for place, score in enumerate(scores):
        if total == 0.0:
            begun = place
        total = max(0.0, total + sign * score - _SLACK)
    return total, begun, sign


def _slot(at: datetime) -> int:
    at = at.astimezone(UTC)
    return at.weekday() * 24 + at.hour


def _slots(values: Values, number: int) -> dict[int, float]:
    seen: dict[int, list[float]] = {}
    for at, value in values:
        seen.setdefault(_slot(at) % number, []).append(value)
    return {slot: median(found) for slot, found in seen.items() if len(found) >= _PER_SLOT}
