"""Passes of the whole service over a real store: what is shown, kept and counted, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.monitoring_settings import MonitoringSettings
from core.bus import Bus
from core.domain.event import EventKind
from core.domain.metric import METRICS, Point, Sample
from core.errors import Unavailable
from core.monitoring.figures import Figures, ProjectTerms
from core.monitoring.keeping import HistoryKeeping
from core.monitoring.service import Monitoring, Sources
from core.store import metric_history
from core.store.database import Store
from core.store.metric_history import Span
from core.store.transaction import Transaction

New = Callable[..., Any]
SHOP = {"project": "shop"}


class Clock:
    """Of the `clock` fixture, what the tests move."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def advance(self, seconds: float) -> datetime: ...


class FakeFigures:
    def __init__(self) -> None:
        self.fails = False
        self.looks = 0

    async def look(self) -> Figures:
        self.looks += 1
        if self.fails:
            raise Unavailable("The engine is away.")
        return Figures(system_health=0.75, projects={"shop": ProjectTerms(budget_used=0.5)})


class Latency:
    """A probe of a gauge and of a counter."""

    def __init__(self) -> None:
        self.limited = 0.0
        self.fails = False

    def samples(self, now: datetime) -> Iterator[Sample]:
        if self.fails:
            raise RuntimeError("no such thing")
        yield Sample(metric="discord_latency", value=0.1, at=now, source="discord")
        yield Sample(metric="discord_rate_limited", value=self.limited, at=now, source="discord")


@pytest.fixture
def figures() -> FakeFigures:
    return FakeFigures()


@pytest.fixture
def monitoring(store: Store, clock: Clock, figures: FakeFigures, tmp_path: Path) -> Monitoring:
    sources = Sources(state_path=tmp_path, figures=figures)
    return Monitoring(store, clock, MonitoringSettings, sources)


@pytest.fixture
async def shop(store: Store, new_project: New) -> str:
    await store.write(new_project)
    return "shop"


async def merged(store: Store, times: int = 1) -> None:
    def emit(tx: Transaction) -> None:
        for _ in range(times):
            tx.emit(EventKind.STORY_MERGED, project="shop", story_id="shop-1")

    await store.write(emit)


async def points(monitoring: Monitoring, clock: Clock, metric: str, span: int = 60) -> tuple[Point, ...]:
    now = clock.now()
    found = await monitoring.history(
        metric, since=now - timedelta(days=1), until=now + timedelta(minutes=2), span=span
    )
    return tuple(one for each in found.values() for one in each)


async def test_a_pass_shows_the_machine_the_projects_and_the_counts(
    monitoring: Monitoring, store: Store, clock: Clock, shop: str
) -> None:
    await merged(store, 3)
    await monitoring.look()
    clock.advance(10)
    await monitoring.look()
    readings = monitoring.readings

    assert readings.value("stories_done", **SHOP) == 3
    assert readings.value("stories_failed", **SHOP) == 0  # none happened, and that is known
    assert readings.value("gate_failures", **SHOP, phase="design") == 0
    assert readings.value("completion_rate", **SHOP) == 1.0
    assert readings.value("error_rate", **SHOP) is None  # no phase ended
    assert readings.value("project_cpu", **SHOP) is None  # nothing of it runs
    assert readings.value("projects_active") == 1
    assert (readings.value("store_size") or 0) > 0
    assert (readings.value("store_latency") or 0) > 0
    assert (readings.value("control_memory") or 0) > 1 << 20
    assert readings.value("system_health") == 0.75
    assert readings.value("budget_used", **SHOP) == 0.5
    assert monitoring.troubles == ()


async def test_counts_go_on_after_a_restart_and_what_happened_meanwhile_is_counted(
    monitoring: Monitoring, store: Store, clock: Clock, shop: str, tmp_path: Path
) -> None:
    await merged(store, 2)
    await monitoring.look()
    await merged(store, 5)

    again = Monitoring(store, clock, MonitoringSettings, Sources(state_path=tmp_path))
    await again.look()

    assert again.readings.value("stories_done", **SHOP) == 7
    assert again.counts["stories_done", (("project", "shop"),)].count == 7
    assert [one.total for one in await points(again, clock, "stories_done")] == [7]


async def test_gauges_become_points_when_their_minute_is_over(
    monitoring: Monitoring, clock: Clock, shop: str
) -> None:
    for _ in range(13):  # from 12:00:00 to 12:02:00
        await monitoring.look()
        clock.advance(10)

    found = await points(monitoring, clock, "projects_active")

    assert [(one.count, one.mean) for one in found] == [(6, 1.0), (6, 1.0)]
    assert [one.count for one in await points(monitoring, clock, "projects_active", 3600)] == [12]
    assert await points(monitoring, clock, "project_cpu") == ()


async def test_what_is_gathered_is_stored_at_the_end(monitoring: Monitoring, clock: Clock, shop: str) -> None:
    running = asyncio.create_task(monitoring.run())
    with monitoring.readings.subscribe() as batches:
        async with asyncio.timeout(20):
            assert await anext(batches)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert [one.count for one in await points(monitoring, clock, "projects_active")] == [1]


async def test_a_probe_is_asked_and_its_counter_goes_on_over_restarts(
    monitoring: Monitoring, store: Store, clock: Clock, tmp_path: Path
) -> None:
    probe = Latency()
    monitoring.add(probe)
    for probe.limited in (2.0, 5.0, 5.0):
        await monitoring.look()
    again = Monitoring(store, clock, MonitoringSettings, Sources(state_path=tmp_path))
    again.add(probe)
    probe.limited = 1.0  # it began anew with its process
    await again.look()

    assert monitoring.readings.value("discord_latency") == 0.1
    assert monitoring.readings.value("discord_rate_limited") == 5
    assert again.readings.value("discord_rate_limited") == 6


async def test_one_probes_trouble_is_not_the_others_and_ends(
    monitoring: Monitoring, caplog: pytest.LogCaptureFixture, shop: str
) -> None:
    probe = Latency()
    monitoring.add(probe)
    await monitoring.look()
    probe.fails = True
    for _ in range(5):
        await monitoring.look()

    assert monitoring.readings.value("discord_latency") is None  # not what it was once
    assert monitoring.readings.value("projects_active") == 1
    assert [trouble for trouble in monitoring.troubles if "Latency" in trouble]
    assert len([one for one in caplog.records if "Latency" in one.getMessage()]) == 1

    probe.fails = False
    await monitoring.look()
    assert monitoring.readings.value("discord_latency") == 0.1
    assert monitoring.troubles == ()


async def test_figures_are_asked_for_each_minute_and_shown_meanwhile(
    monitoring: Monitoring, figures: FakeFigures, clock: Clock, shop: str
) -> None:
    for _ in range(12):
        await monitoring.look()
        assert monitoring.readings.value("system_health") == 0.75
        clock.advance(10)
    assert figures.looks == 2

    figures.fails = True
    await monitoring.look()
    assert monitoring.readings.value("system_health") is None
    for _ in range(3):  # it is tried with each pass, and said as long as it fails
        assert any("The engine is away." in trouble for trouble in monitoring.troubles)
        clock.advance(10)
        await monitoring.look()

    figures.fails = False
    await monitoring.look()
    assert monitoring.readings.value("system_health") == 0.75
    assert monitoring.troubles == ()


async def test_health_is_there_as_soon_as_a_project_has_a_story(
    monitoring: Monitoring, figures: FakeFigures, store: Store, clock: Clock, shop: str, new_cycle: New
) -> None:
    await monitoring.look()
    assert monitoring.readings.value("project_health", **SHOP) is None  # nothing to judge it by

    await store.write(new_cycle)
    for _ in range(3):
        clock.advance(10)
        await monitoring.look()
        assert monitoring.readings.value("project_health", **SHOP) == 1.0
    assert figures.looks == 2


async def test_a_project_that_is_gone_is_no_longer_shown(
    monitoring: Monitoring, store: Store, shop: str
) -> None:
    await monitoring.look()
    assert monitoring.readings.latest(project="shop")
    await store.write(lambda tx: tx.conn.execute("UPDATE projects SET status = 'archived'").rowcount)
    await monitoring.look()
    assert monitoring.readings.latest(project="shop") == ()

    await merged(store)
    await store.write(lambda tx: tx.conn.execute("UPDATE projects SET status = 'active'").rowcount)
    await monitoring.look()
    assert monitoring.readings.value("stories_done", **SHOP) == 1


async def test_on_a_full_disk_measuring_goes_on_and_is_stored_later(
    monitoring: Monitoring, store: Store, clock: Clock, shop: str, caplog: pytest.LogCaptureFixture
) -> None:
    await monitoring.look()
    await store.write(lambda tx: tx.conn.execute("PRAGMA max_page_count = 1").fetchone())
    for _ in range(60 * 6):
        clock.advance(10)
        await monitoring.look()
        if monitoring.troubles:
            break
    assert "Measurements cannot be stored" in monitoring.troubles[0]
    for _ in range(18):
        clock.advance(10)
        await monitoring.look()
    assert monitoring.readings.value("projects_active") == 1
    assert (monitoring.readings.value("history_pending") or 0) >= 3

    await store.write(lambda tx: tx.conn.execute("PRAGMA max_page_count = 1000000").fetchone())
    await monitoring.look()
    clock.advance(60)
    await monitoring.look()
    found = await points(monitoring, clock, "projects_active")
    assert monitoring.troubles == ()
    assert {one.count for one in found[:-1]} <= {5, 6, 7}  # each minute once, and whole
    times = [one.at for one in found]
    assert times == [times[0] + timedelta(minutes=number) for number in range(len(times))]
    assert len([one for one in caplog.records if "kept in memory" in one.getMessage()]) == 1


async def test_a_clock_that_jumps_makes_no_damage(
    monitoring: Monitoring, store: Store, clock: Clock, shop: str
) -> None:
    for _ in range(7):
        await monitoring.look()
        clock.advance(10)
    before = await points(monitoring, clock, "projects_active")
    for jump in (86400.0 * 4000, -86400.0 * 8000, 86400.0 * 4000):
        clock.advance(jump)
        await merged(store)
        await monitoring.look()
        assert monitoring.troubles == ()
        assert await HistoryKeeping(store, clock, MonitoringSettings).prune() == 0
    clock.advance(60)
    await monitoring.look()

    assert (await points(monitoring, clock, "projects_active"))[: len(before)] == before
    assert monitoring.readings.value("stories_done", **SHOP) == 3
    assert 0 <= (monitoring.readings.value("completion_rate", **SHOP) or 0) <= 1


async def test_old_points_go_when_newer_ones_fill_their_place(store: Store, clock: Clock) -> None:
    series = ("machine_load", ())
    settings = MonitoringSettings(minutes_kept_days=1, hours_kept_days=1, days_kept_days=2)

    def fill(tx: Transaction) -> None:
        start = clock.now()
        for number in range(1500):
            at = start + timedelta(minutes=number)
            one = Point(at=at, count=1, total=1.0, minimum=1.0, maximum=1.0, last=1.0)
            metric_history.merge(tx, [(series, one)])

    await store.write(fill)
    removed = await HistoryKeeping(store, clock, lambda: settings).prune()

    def kept(conn: Any) -> dict[int, int]:
        return dict(conn.execute("SELECT span, count(*) FROM metric_points GROUP BY span").fetchall())

    assert await store.read(kept) == {Span.MINUTE: 1440, Span.HOUR: 24, Span.DAY: 2}
    assert removed == 1500 - 1440 + 25 - 24


async def test_what_is_asked_wrongly_of_the_history_is_an_error(monitoring: Monitoring, clock: Clock) -> None:
    asked = {"since": clock.now(), "until": clock.now()}
    with pytest.raises(KeyError):
        await monitoring.history("no_such_metric", **asked, span=60)
    with pytest.raises(ValueError, match="61"):
        await monitoring.history("machine_load", **asked, span=61)


async def test_a_new_environment_is_observed_once(
    monitoring: Monitoring, clock: Clock, shop: str, tmp_path: Path
) -> None:
    made(tmp_path, "old", 5.0)
    await monitoring.look()
    made(tmp_path, "new", 12.5)
    (tmp_path / "environments" / "shop" / "half").mkdir()
    for _ in range(3):
        clock.advance(60)
        await monitoring.look()

    assert monitoring.readings.value("build_duration", **SHOP) == 12.5
    assert monitoring.counts["build_duration", (("project", "shop"),)].count == 1


def made(state: Path, key: str, seconds: float) -> None:
    folder = state / "environments" / "shop" / key
    folder.mkdir(parents=True)
    (folder / "ready.json").write_text(f'{{"command": "x", "seconds": {seconds}}}')


async def test_all_samples_fit_their_metric(monitoring: Monitoring, store: Store, shop: str) -> None:
    await merged(store)
    await monitoring.look()

    assert fits(monitoring.readings.latest())


def fits(samples: Iterable[Sample]) -> bool:
    return all(tuple(name for name, _ in one.labels) == METRICS[one.metric].labels for one in samples)


async def test_a_second_orchard_on_the_store_counts_nothing_twice(
    path: Path, store: Store, clock: Clock, shop: str, tmp_path: Path
) -> None:
    await merged(store, 4)
    async with Store.open(path, clock=clock, bus=Bus(), busy_seconds=20) as other:
        both = [
            Monitoring(one, clock, MonitoringSettings, Sources(state_path=tmp_path)) for one in (store, other)
        ]
        await asyncio.gather(*(one.look() for one in both))
        for one in both:
            await one.look()

    counted = await store.read(metric_history.counts)
    assert counted["stories_done", (("project", "shop"),)].total == 4
