"""The counts: what happened, each thing once, also over crashes; what it comes to, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import product
from types import MappingProxyType

from core.clock import Clock
from core.domain.counting import EVENT_COUNTERS, Rise
from core.domain.metric import LABEL_VALUES, METRICS, Count, Labels, MetricKind, Sample, Series
from core.errors import LostRace
from core.monitoring.projects import RECENT, WEEK_HOURS
from core.monitoring.recent import Recent
from core.store import metric_facts, metric_history
from core.store.database import Store
from core.store.metric_facts import Uncounted
from core.store.metric_standing import LedgerSums

_AT_ONCE = 500
_PAUSE_SECONDS = 0.05  # between two portions of a long history: others write, too
_LEDGER = ("tokens", "cost")


class Counters:
    """`load` first, then one `look` at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: dict[Series, Count] = {}
        self._ledger = LedgerSums()
        self._seen: dict[Series, float] = {}  # what probes said last of their counters
        self._observed: list[Rise] = []  # not counted yet
        self.recent = Recent(hours=WEEK_HOURS)

    @property
    def counts(self) -> Mapping[Series, Count]:
        """Of observations and counters."""
        return MappingProxyType(self._counts)

    async def load(self) -> None:
        """Goes on where an earlier run ended."""
        week_ago = self._clock.now() - timedelta(hours=WEEK_HOURS)
        self._counts, rises = await self._store.read(
            lambda conn: (
                metric_history.counts(conn),
                tuple(metric_history.rises_since(conn, RECENT, week_ago)),
            )
        )
        for metric, project, at, value in rises:
            if project is not None:
                self.recent.add(metric, project, at, value)

    def observe(self, rises: Iterable[Rise]) -> None:
        """What no event says; counted with the next look."""
        self._observed += rises

    async def look(self, probed: Iterable[Sample] = ()) -> tuple[Sample, ...]:
        """Counts what happened since the last look; samples of what rose. `probed`: counters of probes, each
        from its own start on. Raises OrchardError; then nothing was counted, and the next look does it."""
        whole = {sample.series: sample for sample in probed}
        samples: list[Sample] = []
        while True:
            now = self._clock.now()
            found, sums = await self._store.read(
                lambda conn, now=now: (  # type: ignore[misc]
                    metric_facts.uncounted(conn, limit=_AT_ONCE),
                    self._ledger.read(conn, now),
                )
            )
            more = (*self._of_ledger(sums, now), *self._of_probes(whole.values()), *self._observed)
            if found.cursors or more:
                samples += await self._count(found, more, now)
            self._observed = []
            self._seen.update((series, sample.value) for series, sample in whole.items())
            if not found.more:
                return tuple(samples)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _count(self, found: Uncounted, more: tuple[Rise, ...], now: datetime) -> tuple[Sample, ...]:
        try:
            counted = await self._store.write(lambda tx: metric_facts.count(tx, found, more))
        except LostRace:
            self._counts = await self._store.read(metric_history.counts)
            return self._samples(self._counts, now)
        self._counts |= counted
        for rise in found.rises:
            project = dict(rise.labels).get("project")
            if rise.metric in RECENT and project is not None:
                self.recent.add(rise.metric, project, rise.at, rise.value)
        return self._samples(counted, now)

    def _of_ledger(self, sums: Mapping[str, tuple[int, int]], now: datetime) -> Iterable[Rise]:
        """The ledger is the count itself: what it says more than was counted is new."""
        for project, (tokens, microdollars) in sums.items():
            labels = (("project", project),)
            for metric, value in zip(_LEDGER, (float(tokens), microdollars / 1e6), strict=True):
                known = self._counts.get((metric, labels))
                rise = value - (0.0 if known is None else known.total)
                if rise > 5e-7:  # below the smallest amount that there is
                    yield Rise(metric=metric, labels=labels, at=now, value=rise)

    def _of_probes(self, probed: Iterable[Sample]) -> Iterable[Rise]:
        """One that is lower than before was begun anew."""
        for sample in probed:
            before = self._seen.get(sample.series, 0.0)
            rise = sample.value - before if sample.value >= before else sample.value
            if rise > 0:
                yield Rise(metric=sample.metric, labels=sample.labels, at=sample.at, value=rise)

    def samples_of(self, project: str | None, now: datetime) -> tuple[Sample, ...]:
        """All of the project, or of the system. What is counted from events and never happened there is 0:
        that is known."""
        own = {
            series: count
            for series, count in self._counts.items()
            if dict(series[1]).get("project") == project
        }
        never = [
            (metric, labels)
            for metric in (*EVENT_COUNTERS, *_LEDGER)
            for labels in _labels(metric, project)
            if (metric, labels) not in own
        ]
        return self._samples(own | dict.fromkeys(never, Count()), now)

    @staticmethod
    def _samples(counts: Mapping[Series, Count], now: datetime) -> tuple[Sample, ...]:
        return tuple(
            Sample(
                metric=metric,
                value=count.last if METRICS[metric].kind is MetricKind.OBSERVATION else count.total,
                at=now,
                source="ledger" if metric in _LEDGER else "events",
                labels=labels,
            )
            for (metric, labels), count in counts.items()
        )


def _labels(metric: str, project: str | None) -> tuple[Labels, ...]:
    """All that a series of it can have: of the project, or of the system."""
    names = METRICS[metric].labels
    if (project is None) != ("project" not in names):
        return ()
    values = [(str(project),) if name == "project" else LABEL_VALUES[name] for name in names]
    return tuple(tuple(zip(names, one, strict=True)) for one in product(*values))
