"""What each rule judges: last values, means and rises of the last while, how far from normal they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.domain.alert import Comparison, Rule
from core.domain.metric import METRICS, Labels, MetricKind, Sample
from core.monitoring.alerts.evaluation import Reading
from core.monitoring.alerts.learning import History, Learning
from core.monitoring.alerts.windows import Windows
from core.monitoring.readings import Readings

_FRESH_SECONDS = 300.0
_MISSED_PASSES = 3
_MINUTES_UP_TO = 2 * 3600.0  # longer spans are begun from points of an hour
_HOUR = 3600.0

Span = tuple[str, float]
"""A metric and over how many seconds."""


@dataclass(slots=True)
class _Look:
    """What several rules need alike."""

    now: datetime
    steady: float
    latest: dict[str, Sequence[Reading]]


class Observing:
    def __init__(
        self, readings: Readings, history: History, learning: Learning, clock: Clock, *, began: float
    ) -> None:
        """`began`: the steady second from which on something should have been measured."""
        self._readings = readings
        self._history = history
        self._learning = learning
        self._clock = clock
        self._began = began
        self._windows: dict[Span, Windows] = {}
        self._spans: dict[str, list[Windows]] = {}
        self._arrived: dict[tuple[str, Labels], tuple[datetime, float]] = {}
        self.sample_seconds = 10.0

    async def follow(self, rules: Iterable[Rule]) -> None:
        """These rules are watched from now on. A span that is new begins with what the store knows of it."""
        wanted = {(rule.metric, rule.over) for rule in rules if rule.over}
        new = wanted - self._windows.keys()
        shown = {metric: self._values(metric) for metric, _ in new}
        seeded = {span: await self._seeded(*span) for span in new}
        # From here on nothing is awaited: what is published is either shown by now, or heard by the windows.
        for (metric, _), windows in seeded.items():
            windows.go_on(self._clock.monotonic(), shown[metric], self._values(metric))
        self._windows = {span: seeded.get(span) or self._windows[span] for span in wanted}
        self._spans = {}
        for (metric, _), windows in self._windows.items():
            self._spans.setdefault(metric, []).append(windows)

    def hear(self, batch: Iterable[Sample], steady: float) -> None:
        """What was published."""
        for sample in batch:
            for windows in self._spans.get(sample.metric, ()):
                windows.add(sample.labels, steady, sample.value)

    def look(self, now: datetime, steady: float) -> _Look:
        return _Look(now=now, steady=steady, latest={})

    def of(self, rule: Rule, look: _Look) -> Sequence[Reading]:
        if rule.comparison is Comparison.ABSENT:
            return self._ages(rule.metric, look)
        if rule.comparison is Comparison.SHIFTED:
            return self._shifts(rule.metric)
        values = self._of_span(rule, look) if rule.over else self._latest(rule.metric, look)
        if rule.comparison is Comparison.ANOMALOUS:
            return self._deviations(rule, values, look.now)
        return values

    def forget(self) -> None:
        """The windows of series that are not there any more."""
        for (metric, _), windows in self._windows.items():
            windows.keep(frozenset(sample.labels for sample in self._readings.latest(metric)))
        self._arrived = {series: came for series, came in self._arrived.items() if self._is_there(series[1])}

    def _values(self, metric: str) -> dict[Labels, float]:
        return {sample.labels: sample.value for sample in self._readings.latest(metric)}

    async def _seeded(self, metric: str, over: float) -> Windows:
        windows = Windows(METRICS[metric].kind, over)
        now, steady = self._clock.now(), self._clock.monotonic()
        span = 60 if over <= _MINUTES_UP_TO else 3600
        found = await self._history(metric, since=now - timedelta(seconds=over), until=now, span=span)
        for labels, points in found.items():
            for point in points:
                ago = (now - point.at).total_seconds()
                if 0 <= ago <= over:
                    windows.seed(labels, steady - ago, point)
        return windows

    def _latest(self, metric: str, look: _Look) -> Sequence[Reading]:
        """A gauge or an observation that is old says nothing of now; a count stands until it rises."""
        if (found := look.latest.get(metric)) is None:
            samples = self._readings.latest(metric)
            if METRICS[metric].kind is not MetricKind.COUNTER:
                oldest = look.now - timedelta(seconds=self._patience)
                samples = tuple(sample for sample in samples if sample.at >= oldest)
            found = [(sample.labels, sample.value, sample.value, None) for sample in samples]
            look.latest[metric] = found
        return found

    def _of_span(self, rule: Rule, look: _Look) -> Sequence[Reading]:
        windows = self._windows.get((rule.metric, rule.over))
        if windows is None:  # its rule was made this moment
            return ()
        return [(labels, value, value, None) for labels, value in windows.values(look.steady)]

    def _deviations(self, rule: Rule, values: Sequence[Reading], now: datetime) -> Sequence[Reading]:
        """What is learned of counters is what they rise in an hour."""
        normals = self._learning.normals.get(rule.metric, {})
        hours = rule.over / _HOUR if METRICS[rule.metric].kind is MetricKind.COUNTER else 1.0
        found: list[Reading] = []
        for labels, value, _, _ in values:
            if (normal := normals.get(labels)) is not None:
                deviations = normal.deviations(now, value / hours)
                found.append((labels, value, deviations, normal.usual_at(now) * hours))
        return found

    def _shifts(self, metric: str) -> Sequence[Reading]:
        return [
            (labels, 0.0, 0.0, None) if shift is None else (labels, shift.level, shift.score, shift.usual)
            for labels, shift in self._learning.shifts.get(metric, {}).items()
        ]

    def _ages(self, metric: str, look: _Look) -> Sequence[Reading]:
        """By steady time since each last sample came, also of a series that is shown no longer. A metric of
        the system that never came is as old as this life."""
        for sample in self._readings.latest(metric):
            if self._arrived.get(sample.series, (None, 0.0))[0] != sample.at:
                self._arrived[sample.series] = (sample.at, look.steady)
        found = [
            self._age(labels, look.steady - came)
            for (name, labels), (_, came) in self._arrived.items()
            if name == metric and self._is_there(labels)
        ]
        if not found and not METRICS[metric].labels:
            found.append(self._age((), look.steady - self._began))
        return found

    def _is_there(self, labels: Labels) -> bool:
        """Of a project that is gone nothing is missed."""
        project = dict(labels).get("project")
        return project is None or bool(self._readings.latest(project=project))

    def _age(self, labels: Labels, age: float) -> Reading:
        """Nothing is missed before a few passes were."""
        return (labels, age, age if age > _MISSED_PASSES * self.sample_seconds else 0.0, None)

    @property
    def _patience(self) -> float:
        return max(_FRESH_SECONDS, _MISSED_PASSES * self.sample_seconds)
