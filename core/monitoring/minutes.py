"""Samples of gauges, gathered to points of a minute. PURE: what it is given and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from core.domain.metric import Point, Sample, Series

_MINUTE = 60


class Minutes:
    """The minute that is not over yet, of each series."""

    def __init__(self) -> None:
        self._minute: int | None = None
        self._points: dict[Series, tuple[int, float, float, float, float]] = {}

    def add(self, samples: Iterable[Sample], now: datetime) -> tuple[tuple[Series, Point], ...]:
        """What is over by that: the whole minute, also when the clock was put back or forth."""
        minute = int(now.timestamp()) // _MINUTE
        over = () if self._minute in (None, minute) else self.take()
        self._minute = minute
        for sample in samples:
            value = sample.value
            count, total, low, high, _ = self._points.get(sample.series, (0, 0.0, value, value, value))
            self._points[sample.series] = (count + 1, total + value, min(low, value), max(high, value), value)
        return over

    def take(self) -> tuple[tuple[Series, Point], ...]:
        """What is there, which is then forgotten."""
        if self._minute is None:
            return ()
        at = datetime.fromtimestamp(self._minute * _MINUTE, UTC)
        found = tuple(
            (series, Point(at=at, count=count, total=total, minimum=low, maximum=high, last=last))
            for series, (count, total, low, high, last) in self._points.items()
        )
        self._points = {}
        return found
