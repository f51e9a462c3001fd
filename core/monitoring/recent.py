"""How often things happened lately, by the hour, for shares such as the error rate. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

_HOUR = 3600


class Recent:
    """Rises of counters of each project."""

    def __init__(self, *, hours: int) -> None:
        self._hours = hours
        self._rises: dict[tuple[str, str], dict[int, float]] = {}  # metric and project: hour: how many

    def add(self, metric: str, project: str, at: datetime, value: float) -> None:
        hours = self._rises.setdefault((metric, project), {})
        hour = int(at.timestamp()) // _HOUR
        hours[hour] = hours.get(hour, 0.0) + value
        if len(hours) > 2 * self._hours:
            for old in sorted(hours)[: -self._hours]:
                del hours[old]

    def sum(self, metrics: Iterable[str], project: str, now: datetime, *, hours: int) -> float:
        """Of the hour of `now` and those before it."""
        last = int(now.timestamp()) // _HOUR
        return sum(
            value
            for metric in metrics
            for hour, value in self._rises.get((metric, project), {}).items()
            if last - hours < hour <= last
        )

    def share(
        self, part: Iterable[str], rest: Iterable[str], project: str, now: datetime, *, hours: int
    ) -> float | None:
        """The part of all, 0 to 1; None: none of them happened."""
        some = self.sum(part, project, now, hours=hours)
        whole = some + self.sum(rest, project, now, hours=hours)
        return some / whole if whole else None
