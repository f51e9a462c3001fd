"""What is normal for each series that a rule compares with it, learned each hour from the stored history.

Counters are learned by what they rose in an hour, everything else by an hour's mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from core.clock import Clock
from core.domain.alert import Comparison, Rule
from core.domain.alert_rules import LEARNED
from core.domain.metric import METRICS, Labels, MetricKind, Point
from core.monitoring.alerts.anomaly import Normal, Shift, Values, learn, shift
from core.store import projects
from core.store.database import Store

_SPAN = timedelta(days=56)
_RECENT = timedelta(days=3)  # in which a change of the level is looked for
_HOUR = timedelta(hours=1)
_BREATH_SECONDS = 0.01  # between series: others' turn on the event loop


class History(Protocol):
    async def __call__(
        self, metric: str, *, project: str | None = None, since: datetime, until: datetime, span: int
    ) -> Mapping[Labels, tuple[Point, ...]]: ...


class Learning:
    """`normals` and `shifts` by metric; a series of which too little is known has none. A shift of None: the
    level is as it was."""

    def __init__(self, store: Store, clock: Clock, history: History) -> None:
        self._store = store
        self._clock = clock
        self._history = history
        self.normals: dict[str, dict[Labels, Normal]] = {}
        self.shifts: dict[str, dict[Labels, Shift | None]] = {}

    async def learn(self, rules: Iterable[Rule]) -> None:
        """For these rules; what no rule needs any more is forgotten."""
        wanted: dict[str, set[Comparison]] = {}
        for rule in rules:
            if rule.enabled and rule.comparison in LEARNED:
                wanted.setdefault(rule.metric, set()).add(rule.comparison)
        names = tuple(one.name for one in await self._store.read(projects.every))
        for metric, comparisons in wanted.items():
            normals: dict[Labels, Normal] = {}
            shifts: dict[Labels, Shift | None] = {}
            for project in names if "project" in METRICS[metric].labels else (None,):
                for labels, values in (await self._values(metric, project)).items():
                    self._learn(metric, comparisons, labels, values, normals, shifts)
                await asyncio.sleep(_BREATH_SECONDS)
            self.normals[metric], self.shifts[metric] = normals, shifts
        for learned in (self.normals, self.shifts):
            for metric in learned.keys() - wanted.keys():
                learned.pop(metric, None)

    def _learn(
        self,
        metric: str,
        comparisons: set[Comparison],
        labels: Labels,
        values: Values,
        normals: dict[Labels, Normal],
        shifts: dict[Labels, Shift | None],
    ) -> None:
        unit = METRICS[metric].unit
        if Comparison.ANOMALOUS in comparisons and (normal := learn(values, unit)) is not None:
            normals[labels] = normal
        if Comparison.SHIFTED in comparisons:
            begin = self._clock.now() - _RECENT
            before = learn([each for each in values if each[0] < begin], unit)
            recent = [each for each in values if each[0] >= begin]
            if before is not None and recent:
                shifts[labels] = shift(before, recent)

    async def _values(self, metric: str, project: str | None) -> dict[Labels, Values]:
        """By whole hours; the one that is under way is left out."""
        until = self._clock.now().replace(minute=0, second=0, microsecond=0)
        found = await self._history(metric, project=project, since=until - _SPAN, until=until, span=3600)
        if METRICS[metric].kind is MetricKind.COUNTER:
            return {labels: _rises(points, until) for labels, points in found.items() if points}
        return {labels: [(point.at, point.mean) for point in points] for labels, points in found.items()}


def _rises(points: tuple[Point, ...], until: datetime) -> Values:
    """An hour in which nothing was counted has no point, and is one in which the count rose by 0."""
    rose = {point.at: point.total for point in points}
    hours = round((until - points[0].at) / _HOUR)
    return [(at, rose.get(at, 0.0)) for at in (points[0].at + _HOUR * n for n in range(hours))]
