"""The last so many seconds of series, for rules that judge a mean or a rise. PURE: in memory, of steady time.

A window is thirty buckets: what is older than its span falls out bucket by bucket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from core.domain.metric import Labels, MetricKind, Point

_BUCKETS = 30
_COVERED = 0.5  # of the span has to have been seen before a mean is one


class Window:
    """Of one series. A counter's values are whole counts, and what counts is by how much they rose; one that
    fell began anew."""

    __slots__ = ("_buckets", "_count", "_first", "_kind", "_last", "_over", "_total")

    def __init__(self, kind: MetricKind, over: float) -> None:
        self._kind = kind
        self._over = over
        self._buckets: deque[list[float]] = deque()  # begin, count, total
        self._count = self._total = 0.0
        self._first: float | None = None  # when the first value came
        self._last: float | None = None

    def add(self, at: float, value: float) -> None:
        """`at`: steady seconds, never before those of the last one."""
        before, self._last = self._last, value
        if self._first is None:
            self._first = at
        if self._kind is MetricKind.COUNTER:
            if before is None:
                return
            value = value - before if value >= before else value
        width = self._over / _BUCKETS
        if not self._buckets or at - self._buckets[-1][0] >= width:
            self._buckets.append([at, 0.0, 0.0])
        bucket = self._buckets[-1]
        bucket[1] += 1
        bucket[2] += value
        self._count += 1
        self._total += value

    def seed(self, at: float, count: float, total: float, last: float) -> None:
        """What was stored of an earlier span, before anything is added; of a counter `total` is its rise."""
        self._last = last
        if self._first is None:
            self._first = at
        self._buckets.append([at, count, total])
        self._count += count
        self._total += total

    def go_on(self, at: float, before: float, now: float) -> None:
        """Of a counter, which may have been read before the seeds, and so be behind them."""
        if self._last is None:
            self.add(at, before)
        if self._last is not None and now >= self._last:
            self.add(at, now)

    def value(self, now: float) -> float | None:
        """A counter's rise, a gauge's or an observation's mean; None: too little is known."""
        self._forget(now - self._over)
        if self._first is None:
            return None
        if self._kind is MetricKind.COUNTER:
            return self._total
        if not self._count:
            return None
        if self._kind is MetricKind.GAUGE and now - self._first < self._over * _COVERED:
            return None
        return self._total / self._count

    def _forget(self, before: float) -> None:
        fell = False
        while self._buckets and self._buckets[0][0] < before:
            self._buckets.popleft()
            fell = True
        if fell:  # added up anew: differences would gather errors
            self._count = sum(bucket[1] for bucket in self._buckets)
            self._total = sum(bucket[2] for bucket in self._buckets)


class Windows:
    """Of every series of one metric, for one span."""

    def __init__(self, kind: MetricKind, over: float) -> None:
        self._kind = kind
        self._over = over
        self._of: dict[Labels, Window] = {}
        self._heard: set[Labels] = set()

    def add(self, labels: Labels, at: float, value: float) -> None:
        if self._kind is MetricKind.OBSERVATION and labels not in self._heard:
            self._heard.add(labels)  # what is shown first was observed in an earlier life, whenever that was
            return
        self._window(labels).add(at, value)

    def seed(self, labels: Labels, at: float, point: Point) -> None:
        self._window(labels).seed(at, point.count, point.total, point.last)

    def go_on(self, at: float, before: Mapping[Labels, float], now: Mapping[Labels, float]) -> None:
        """After the seeds: what was shown `before` they were read, and is `now`. Counts are shown when they
        rise, so that the next one would be taken for the first, and the rise that it tells of be missed."""
        if self._kind is MetricKind.OBSERVATION:
            self._heard |= before.keys()
        elif self._kind is MetricKind.COUNTER:
            for labels, value in now.items():
                self._window(labels).go_on(at, before.get(labels, value), value)

    def _window(self, labels: Labels) -> Window:
        if (window := self._of.get(labels)) is None:
            window = self._of[labels] = Window(self._kind, self._over)
        return window

    def values(self, now: float) -> Iterator[tuple[Labels, float]]:
        for labels, window in self._of.items():
            if (value := window.value(now)) is not None:
                yield labels, value

    def keep(self, known: frozenset[Labels]) -> None:
        """Forgets the series that are not `known` any more."""
        for labels in self._of.keys() - known:
            del self._of[labels]
        self._heard &= known
