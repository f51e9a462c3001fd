"""What is measured: looked at in one pass for everything, shown by `readings`, kept by the store.

Measuring never costs state: what cannot be seen has no reading, what cannot be stored waits in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from config.monitoring_settings import MonitoringSettings
from core.clock import Clock
from core.domain.metric import METRICS, Count, Labels, MetricKind, Point, Sample, Series
from core.errors import OrchardError
from core.monitoring.builds import Builds
from core.monitoring.counters import Counters
from core.monitoring.figures import Figures, FiguresSource, figure_samples
from core.monitoring.keeping import HistoryKeeping
from core.monitoring.minutes import Minutes
from core.monitoring.projects import standing_samples, tree_samples
from core.monitoring.readings import Readings
from core.monitoring.system import LoopLag, System
from core.monitoring.trees import LiveFence, Trees, TreeUse
from core.store import metric_history
from core.store.database import Store
from core.store.metric_history import Span
from core.store.metric_standing import Standing, standing

log = logging.getLogger(__name__)

_FIGURES_SECONDS = 60.0


class Probe(Protocol):
    def samples(self, now: datetime) -> Iterable[Sample]:
        """What it sees now; nothing for what it cannot see. On the event loop: no I/O, less than a
        millisecond. A counter counts from the probe's own start on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is looked at, beside the store. None: not here, as in a test."""

    state_path: Path
    fences: Callable[[], Iterable[LiveFence]] = tuple
    figures: FiguresSource | None = None


@dataclass(slots=True)
class _Seen:
    """Of the present pass and what it goes on from."""

    trees: Mapping[str, TreeUse] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)
    series: dict[str, set[Series]] = field(default_factory=dict)  # by part: what it showed last
    figures_at: float = float("-inf")
    at_work: set[str] = field(default_factory=set)  # projects that had a story then
    counted: set[str | None] = field(default_factory=set)  # projects whose counts are shown; None: the system


class Monitoring:
    """`open` it; then a pass is made every `sample_seconds`."""

    def __init__(
        self, store: Store, clock: Clock, settings: Callable[[], MonitoringSettings], sources: Sources
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._sources = sources
        self._probes: list[Probe] = []
        self._trees = Trees()
        self._system = System(sources.state_path, store.path)
        self._lag = LoopLag()
        self._minutes = Minutes()
        self._counters = Counters(store, clock)
        self._builds = Builds(sources.state_path / "environments")
        self._keeping = HistoryKeeping(store, clock, settings)
        self._faults: dict[str, str] = {}
        self._seen = _Seen()
        self._written = (0, 0.0)
        self._loaded = False
        self._looking = asyncio.Lock()
        self.readings = Readings()

    def add(self, probe: Probe) -> None:
        """It is asked with each pass."""
        self._probes.append(probe)

    @property
    def counts(self) -> Mapping[Series, Count]:
        """How often each counter rose and each observation was made, and what that comes to, since the store
        was made."""
        return self._counters.counts

    @property
    def troubles(self) -> tuple[str, ...]:
        """What cannot be measured or stored now, in sentences."""
        stored = (self._keeping.trouble,) if self._keeping.trouble else ()
        return (*stored, *(self._faults[part] for part in sorted(self._faults)))

    # -- passes ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until it is cancelled; what was gathered by then is stored. What one pass cannot do is logged, and
        tried again by the next."""
        beat = asyncio.create_task(self._lag.run(), name="monitoring: how late the loop is")
        try:
            while True:
                began = self._clock.monotonic()
                await self.look()
                spent = self._clock.monotonic() - began
                await asyncio.sleep(max(0.1, self._settings().sample_seconds - spent))
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            self._keeping.put(self._minutes.take())
            await self._keeping.store()

    async def look(self) -> None:
        """One pass; one at a time."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        now = self._clock.now()
        gauges: list[Sample] = []
        counters: list[Sample] = []
        async with self._part("the processes", gauges):
            gauges += await self._look_at_machine(now)
        async with self._part("the store", gauges):
            gauges += await self._look_at_store(now)
        async with self._part("the probes", gauges):
            for sample in self._probed(now):
                counted = METRICS[sample.metric].kind is MetricKind.COUNTER
                (counters if counted else gauges).append(sample)
        async with self._part("the figures", gauges):
            gauges += await self._look_at_figures(now)
        gauges.append(Sample(metric="history_pending", value=self._keeping.pending, at=now, source="store"))
        rose: list[Sample] = []
        async with self._part("the counts", rose):
            rose += await self._count(counters, now)
        self.readings.publish((*gauges, *rose))
        self._keeping.put(self._minutes.add(gauges, now))
        await self._keep()

    @contextlib.asynccontextmanager
    async def _part(self, name: str, found: list[Sample]) -> AsyncIterator[None]:
        """Of a pass: what it no longer sees, or cannot look at, is shown no longer. Counts stay."""
        already = len(found)
        try:
            yield
        except OrchardError as error:
            self._tell(name, f"{name} cannot be measured: {error}")
            del found[already:]
        except Exception:  # edge: one part's trouble is not the others'
            incident = secrets.token_hex(4)
            if name not in self._faults:
                log.exception("%s cannot be measured, incident %s", name, incident)
            self._faults.setdefault(name, f"{name} cannot be measured (incident {incident}); see the log.")
            del found[already:]
        else:
            self._faults.pop(name, None)
        if name == "the counts":
            return
        seen = {sample.series for sample in found[already:]}
        self.readings.drop(self._seen.series.get(name, set()) - seen)
        self._seen.series[name] = seen

    def _tell(self, name: str, sentence: str) -> None:
        if self._faults.get(name) != sentence:
            log.warning("%s", sentence)
        self._faults[name] = sentence

    async def _look_at_machine(self, now: datetime) -> list[Sample]:
        fences = tuple(self._sources.fences())
        trees, system = await asyncio.to_thread(lambda: (self._trees.read(fences), self._system.read(now)))
        self._seen.trees = trees
        samples = [*tree_samples(trees, now), *system]
        if (lag := self._lag.take()) is not None:
            samples.append(Sample(metric="loop_lag", value=lag, at=now, source="loop"))
        return samples

    async def _look_at_store(self, now: datetime) -> list[Sample]:
        found = await self._store.read(lambda conn: standing(conn, now))
        known, self._seen.standing = self._seen.standing, found
        for project in known.projects.keys() - found.projects.keys():
            self.readings.forget(project)
        samples = list(standing_samples(found, self._counters.recent, now))
        count, seconds = self._store.written, self._store.write_seconds
        before, self._written = self._written, (count, seconds)
        if count > before[0]:
            mean = (seconds - before[1]) / (count - before[0])
            samples.append(Sample(metric="store_latency", value=mean, at=now, source="store"))
        return samples

    def _probed(self, now: datetime) -> Iterable[Sample]:
        for probe in self._probes:
            try:
                yield from tuple(probe.samples(now))
            except Exception:  # edge: as a part of a pass
                name = type(probe).__name__
                if name not in self._faults:
                    log.exception("%s failed", name)
                self._faults[name] = f"{name} failed; see the log."
            else:
                self._faults.pop(type(probe).__name__, None)

    async def _look_at_figures(self, now: datetime) -> list[Sample]:
        """Each minute, and when a project has its first story; meanwhile the last ones are shown."""
        at_work = {project for project, own in self._seen.standing.projects.items() if own.open}
        fresh = self._clock.monotonic() - self._seen.figures_at < _FIGURES_SECONDS
        if fresh and at_work <= self._seen.at_work:
            known = self._seen.series.get("the figures", set())
            return [sample for sample in self.readings.latest() if sample.series in known]
        self._counters.observe(await asyncio.to_thread(self._builds.read, now))
        figures = Figures() if self._sources.figures is None else await self._sources.figures.look()
        # Not before: what failed is tried with the next pass, and stays a trouble until then.
        self._seen.figures_at, self._seen.at_work = self._clock.monotonic(), at_work
        recent = self._counters.recent
        return list(figure_samples(figures, self._seen.standing, self._seen.trees, recent, now))

    async def _count(self, probed: Iterable[Sample], now: datetime) -> list[Sample]:
        if not self._loaded:
            await self._counters.load()
            self._loaded = True
        rose = await self._counters.look(probed)
        unshown = [
            project for project in (None, *self._seen.standing.projects) if project not in self._seen.counted
        ]
        self._seen.counted = {None, *self._seen.standing.projects}
        return [*(sample for each in unshown for sample in self._counters.samples_of(each, now)), *rose]

    async def _keep(self) -> None:
        try:
            await self._keeping.store()
            await self._keeping.prune_in_time()
        except OrchardError as error:
            self._tell("the history", f"Old measurements cannot be removed: {error}")
        except Exception:  # edge: as a part of a pass
            log.exception("keeping measurements failed, incident %s", secrets.token_hex(4))

    # -- what was ----------------------------------------------------------------------------

    async def history(
        self,
        metric: str,
        *,
        project: str | None = None,
        labels: Mapping[str, str] | None = None,
        since: datetime,
        until: datetime,
        span: int,
    ) -> Mapping[Labels, tuple[Point, ...]]:
        """Of each series of the metric with these labels, the points of spans of 60, 3600 or 86400 seconds
        from `since` to before `until`, the oldest first; spans without data have none. Raises KeyError for a
        metric that there is not, ValueError for another span."""
        wanted = Span(span)
        return await self._store.read(
            lambda conn: {
                known: metric_history.points(conn, series, since=since, until=until, span=wanted)
                for series, known in metric_history.find_series(
                    conn, metric, project=project, labels=labels
                ).items()
            }
        )
