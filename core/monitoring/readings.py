"""The latest sample of every series, in memory, for whoever shows or judges them. One event loop only.

The history is the store's; what is lost here comes again with the next pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from core.domain.metric import METRICS, Labels, Sample, Series, labels_of


class _Listener:
    """What was published since it last looked, of each series the newest: more a slow one never holds."""

    __slots__ = ("news", "wake")

    def __init__(self) -> None:
        self.news: dict[Series, Sample] = {}
        self.wake = asyncio.Event()

    async def batches(self) -> AsyncIterator[tuple[Sample, ...]]:
        while True:
            await self.wake.wait()
            self.wake.clear()
            batch, self.news = tuple(self.news.values()), {}
            if batch:
                yield batch


class Readings:
    def __init__(self) -> None:
        self._latest: dict[str, dict[Labels, Sample]] = {}  # by metric
        self._listeners: set[_Listener] = set()

    def publish(self, samples: Iterable[Sample]) -> None:
        """In place of the earlier ones of their series. Raises KeyError for a metric that there is not."""
        batch = tuple(samples)
        for sample in batch:
            self._latest.setdefault(METRICS[sample.metric].name, {})[sample.labels] = sample
        if not batch:
            return
        for listener in self._listeners:
            listener.news.update((sample.series, sample) for sample in batch)
            listener.wake.set()

    def latest(self, metric: str | None = None, project: str | None = None) -> tuple[Sample, ...]:
        """Of each series the last sample, of that metric and that project where they are given."""
        families = self._latest.values() if metric is None else (self._latest.get(metric, {}),)
        found = (sample for family in families for sample in family.values())
        return tuple(sample for sample in found if project is None or sample.project == project)

    def value(self, metric: str, **labels: str) -> float | None:
        """None: no data. Raises KeyError for a metric, or a label of it, that there is not."""
        sample = self._latest.get(metric, {}).get(labels_of(metric, **labels))
        return None if sample is None else sample.value

    def drop(self, series: Iterable[Series]) -> None:
        """What these showed can no longer be seen: "no data" from now on."""
        for metric, labels in series:
            self._latest.get(metric, {}).pop(labels, None)

    def forget(self, project: str) -> None:
        """All that is known of a project that is gone."""
        self.drop([sample.series for sample in self.latest(project=project)])

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[tuple[Sample, ...]]]:
        """Batches from now on. Who comes late gets what came meanwhile as one batch, of each series the
        newest; publishing never waits for anybody."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            yield listener.batches()
        finally:
            self._listeners.discard(listener)
