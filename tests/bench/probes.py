"""What measuring costs: a pass over busy projects, and the file that a year of them leaves."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from config.monitoring_settings import MonitoringSettings
from core.bus import Bus
from core.clock import SystemClock
from core.domain.lifecycles import Phase, ProjectStatus, WorkflowState
from core.domain.metric import METRICS, Labels, MetricKind, Point, Series
from core.domain.project import Project
from core.isolation import enter
from core.isolation.fences import Fences
from core.isolation.limits import Breach
from core.monitoring.keeping import HistoryKeeping
from core.monitoring.service import Monitoring, Sources
from core.store import metric_history, projects
from core.store.database import Store
from core.store.metric_history import Span
from core.store.transaction import Transaction
from tests.bench.figure import Figure, milliseconds, quantile

_CPU_BAR, _YEAR_BAR_MB = 1.0, 500
_PASSES = 30
_PART = 10
_BROOD = (  # so many processes, until its input ends
    "import subprocess, sys\n"
    "others = [subprocess.Popen(['cat'], stdout=2) for _ in range(int(sys.argv[1]) - 1)]\n"
    "print(flush=True)\n"
    "[other.wait() for other in others]\n"
)


def measure(*, projects: int, processes: int) -> list[Figure]:
    return [asyncio.run(_passes(projects, processes))]


def measure_year(*, projects: int) -> list[Figure]:
    return [asyncio.run(_year(projects))]


class _Steps:
    """The wall clock, each pass `sample_seconds` after the one before."""

    def __init__(self, seconds: float) -> None:
        self.at = datetime.now(UTC)
        self._seconds = seconds

    def step(self) -> None:
        self.at += timedelta(seconds=self._seconds)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


async def _passes(count: int, processes: int) -> Figure:
    settings = MonitoringSettings()
    clock = _Steps(settings.sample_seconds)
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchard-bench-")))
        store = await stack.enter_async_context(Store.open(root / "orchard.db", clock=clock, bus=Bus()))
        await store.write(lambda tx: _register(tx, count))
        fences = await stack.enter_async_context(Fences.open(_ignore))
        for number in range(count):
            entry = json.dumps(fences.fence(_name(number)).entry)
            argv = [sys.executable, "-I", "-S", enter.__file__, entry, "--"]
            brood = subprocess.Popen(  # noqa: ASYNC220
                [*argv, sys.executable, "-I", "-S", "-c", _BROOD, str(processes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert brood.stdin is not None
            stack.callback(brood.wait)
            stack.callback(brood.stdin.close)  # also where no group ends what is below
            assert brood.stdout is not None
            brood.stdout.readline()
        monitoring = Monitoring(store, clock, lambda: settings, Sources(state_path=root, fences=fences.live))
        await monitoring.look()
        spent, began = [], time.process_time()
        for _ in range(_PASSES):
            clock.step()
            before = time.process_time()
            await monitoring.look()
            spent.append(time.process_time() - before)
        percent = (time.process_time() - began) / (_PASSES * settings.sample_seconds) * 100
        seen = sum(sample.value for sample in monitoring.readings.latest("project_processes"))
        assert seen >= count * processes, seen
        assert monitoring.troubles == ()
    return Figure(
        what=f"probes of {count} projects with {processes} processes each: processor",
        value=f"{percent:.2f} %",
        bar=f"<= {_CPU_BAR:g} %",
        holds=percent <= _CPU_BAR,
        note=f"of one core, with the minutes' storing; a pass {milliseconds(quantile(spent, 0.5))}, "
        f"worst {milliseconds(max(spent))}, every {settings.sample_seconds:g} s",
    )


async def _year(count: int) -> Figure:
    """All series of busy projects, no value like another: gauges each minute, tokens and money too, what
    happens now and then in one minute of ten. Of each span as much as is kept, pruned as Orchard does.

    Written in the order and by the statements of Orchard itself, for how full pages are depends on both; but
    for one project in `_PART`: the bytes of a point, times the points of all.
    """
    settings, numbers = MonitoringSettings(), random.Random(7)
    every = [one for number in range(count) for one in _series(_name(number))]
    system = [(name, ()) for name, metric in METRICS.items() if not metric.labels]
    chosen = set(map(_name, range(0, count, _PART)))
    series = [one for one in every if dict(one[1])["project"] in chosen] + system
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as folder:
        path = Path(folder) / "orchard.db"
        async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
            # All have their numbers: small ones would take less room.
            await store.write(lambda tx: metric_history.merge(tx, _first(every, start), (Span.DAY,)))
            empty = await _used(store)
            await _fill(store, series, start, settings, numbers)
            size = await _used(store) - empty
            rows = await store.read(_points) - len(every)
            began = time.perf_counter()
            found = await store.read(lambda conn: _read_back(conn, start + timedelta(days=365)))
            read = time.perf_counter() - began
    # A project has the same series as another, so as many points.
    system_rows = rows * len(system) / len(series)  # the system's are gauges: rather more than they have
    whole = (rows - system_rows) * count / len(chosen) + system_rows
    megabytes = size / rows * whole / 1e6
    return Figure(
        what=f"a year of {count} busy projects: the history's part of the store",
        value=f"{megabytes:.0f} MB",
        bar=f"< {_YEAR_BAR_MB} MB",
        holds=megabytes < _YEAR_BAR_MB,
        note=f"{whole / 1e6:.1f} M points of {size / rows:.1f} bytes, as {len(chosen)} projects left"
        f" {rows / 1e6:.1f} M; {found} minutes of one read in {milliseconds(read)}",
    )


async def _fill(
    store: Store,
    series: list[Series],
    start: datetime,
    settings: MonitoringSettings,
    numbers: random.Random,
) -> None:
    often = [
        one for one in series if METRICS[one[0]].kind is MetricKind.GAUGE or one[0] in ("tokens", "cost")
    ]
    seldom = [one for one in series if one not in set(often)]
    keeping = HistoryKeeping(store, SystemClock(), lambda: settings)
    for day in range(365):
        at = start + timedelta(days=day)
        if day < 365 - settings.hours_kept_days:
            await _write(store, series, [at], numbers, (Span.DAY,))
        elif day < 365 - settings.minutes_kept_days:
            hours = [at + timedelta(hours=hour) for hour in range(24)]
            await _write(store, series, hours, numbers, (Span.HOUR, Span.DAY))
        else:
            for minute in range(24 * 60):
                now = at + timedelta(minutes=minute)
                some = [one for one in seldom if numbers.random() < 0.1]
                await _write(store, often + some, [now], numbers, tuple(Span))
            await keeping.prune()


def _first(series: list[Series], at: datetime) -> list[tuple[Series, Point]]:
    return [(one, _point(at - timedelta(days=1), random.Random(1))) for one in series]


def _points(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM metric_points").fetchone()[0])


async def _used(store: Store) -> int:
    """Bytes of the file, once all is in it."""

    def size(conn: sqlite3.Connection) -> int:
        pages, of = (conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * of)

    return await store.read(size)


async def _write(
    store: Store, series: list[Series], times: list[datetime], numbers: random.Random, spans: tuple[Span, ...]
) -> None:
    for at in times:
        points = [(one, _point(at, numbers)) for one in series]
        await store.write(partial(metric_history.merge, points=points, spans=spans))


def _point(at: datetime, numbers: random.Random) -> Point:
    value = numbers.random()
    return Point(at=at, count=6, total=6 * value, minimum=value / 2, maximum=value * 2, last=value * 1.5)


def _read_back(conn: sqlite3.Connection, until: datetime) -> int:
    ids = metric_history.find_series(conn, "project_cpu", project=_name(0))
    since = until - timedelta(days=1)
    points = metric_history.points(conn, next(iter(ids)), since=since, until=until, span=Span.MINUTE)
    return len(points)


def _series(project: str) -> list[tuple[str, Labels]]:
    found: list[tuple[str, Labels]] = []
    for name, metric in METRICS.items():
        if "phase" in metric.labels:
            found += [(name, (("project", project), ("phase", phase.value))) for phase in Phase]
        elif "project" in metric.labels:
            found.append((name, (("project", project),)))
    return found


def _register(tx: Transaction, count: int) -> None:
    for number in range(count):
        projects.add(
            tx,
            Project(
                name=_name(number),
                path=Path(f"/srv/{_name(number)}"),
                main_branch="main",
                status=ProjectStatus.ACTIVE,
                workflow=WorkflowState.SPRINT_ACTIVE,
                registered_at=tx.now,
            ),
        )


def _name(number: int) -> str:
    return f"bench{number:03}"


def _ignore(_breach: Breach) -> None:
    """Nothing here goes over a limit."""
