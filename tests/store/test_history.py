"""What the scheduler remembers, over the real store."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from core.errors import Unavailable
from core.orchestrator.scheduling.history import Held, History
from core.scheduler.quota import Quota
from core.scheduler.resources import NOTHING, Resources
from core.scheduler.usage import HALF_LIFE_SECONDS
from core.store import load
from core.store.database import Store

ONE = Resources(agents=1, cycles=1, cpu=0.1, memory_mb=512)
MONDAY_NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class TwoClocks:
    """A wall clock that can be put wrong, and a monotonic one that cannot."""

    wall: datetime = MONDAY_NINE
    since_boot: float = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.since_boot

    def advance(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.since_boot += seconds


def quota(project: str, agents: int = 2) -> Quota:
    return Quota(
        project_name=project,
        allocated_agents=agents,
        allocated_memory_mb=1024,
        allocated_cpu_percent=50.0,
        priority_weight=1.0,
        reason="its share",
    )


def held(agents: float = 1, waiting: int = 0, **changes: Any) -> Held:
    used = ONE.times(agents)
    values = {"used": used, "measured": None, "allocated": ONE.times(4), "waiting": waiting, **changes}
    return Held(**values)


@pytest.fixture
def clock() -> TwoClocks:
    return TwoClocks()


@pytest_asyncio.fixture
async def history(store: Store, clock: TwoClocks, new_project: Callable[..., object]) -> History:
    await store.write(lambda tx: [new_project(tx, name) for name in ("shop", "post")])
    return await begun(store, clock)


async def begun(store: Store, clock: TwoClocks) -> History:
    history = History(store, clock)
    await history.load()
    return history


async def rebalance(history: History, clock: TwoClocks, times: int = 1, **rows: Held) -> None:
    for _ in range(times):
        clock.advance(300)
        await history.record(clock.now(), rows, [quota(name) for name in rows], "dynamic")


def expected(history: History, clock: TwoClocks, backlog: int = 0, most: float = 8) -> tuple[Resources, str]:
    return history.expected("shop", now=clock.now(), backlog_phases=backlog, each=ONE, most_agents=most)


async def test_a_new_project_has_no_past_and_nothing_is_expected(history: History, clock: TwoClocks) -> None:
    assert history.decayed_use("shop") == NOTHING
    assert history.allocation("shop") is None
    assert expected(history, clock, backlog=50) == (NOTHING, "")
    assert history.recorded_at is None


async def test_use_is_halved_in_a_half_life(history: History, clock: TwoClocks) -> None:
    clock.advance(HALF_LIFE_SECONDS)
    await history.record(clock.now(), {"shop": held(4)}, [], "dynamic")
    assert history.decayed_use("shop").agents == pytest.approx(2)
    clock.advance(HALF_LIFE_SECONDS)
    await history.record(clock.now(), {"shop": held(0)}, [], "dynamic")
    assert history.decayed_use("shop").agents == pytest.approx(1)
    clock.advance(HALF_LIFE_SECONDS)
    await history.record(clock.now(), {"post": held(0)}, [], "dynamic")  # shop is not there: it holds nothing
    assert history.decayed_use("shop").memory_mb == pytest.approx(256)


async def test_the_habit_of_an_hour_is_expected_a_week_later(history: History, clock: TwoClocks) -> None:
    await rebalance(history, clock, 12, shop=held(2, waiting=2))
    await rebalance(history, clock, 12, shop=held(0))
    clock.advance((7 * 24 - 2) * 3600 - 60)
    busy, why = expected(history, clock)
    clock.advance(6 * 3600)
    quiet, _ = expected(history, clock)
    assert busy.agents > 1.25 * quiet.agents
    assert busy.memory_mb == pytest.approx(512 * busy.agents)
    assert "at this time of the week" in why


async def test_a_rebalancing_that_stands_for_hours_counts_for_each_of_them(
    history: History, clock: TwoClocks, store: Store
) -> None:
    clock.advance(3 * 3600)
    await history.record(clock.now(), {"shop": held(2)}, [], "dynamic")
    profile = (await store.read(load.memories))["shop"].profile
    assert [hour for hour in range(168) if profile.weights[hour]] == [9, 10, 11]
    assert sum(profile.weights) == pytest.approx(3)
    assert profile.means[9:12] == pytest.approx((2, 2, 2))


async def test_the_backlog_is_expected_by_the_length_of_phases(history: History, clock: TwoClocks) -> None:
    for seconds in (math.nan, -5, 1800):
        history.observe_phase("shop", seconds)
    assert expected(history, clock, backlog=8)[0].agents == pytest.approx(4)  # 8 half hours in an hour
    assert expected(history, clock, backlog=8, most=3)[0] == ONE.times(3)


async def test_ten_thousand_waiting_stories_do_not_become_a_habit(history: History, clock: TwoClocks) -> None:
    await rebalance(history, clock, 12, shop=held(1, waiting=10_000, most_agents=3))
    assert expected(history, clock, most=math.inf)[0].agents <= 3


async def test_a_restart_goes_on(history: History, clock: TwoClocks, store: Store) -> None:
    history.observe_phase("shop", 600)
    await rebalance(history, clock, 5, shop=held(3), post=held(1))
    again = await begun(store, clock)
    for name in ("shop", "post"):
        assert again.decayed_use(name) == pytest.approx(history.decayed_use(name), abs=0.001)
        assert again.allocation(name) == quota(name)
    assert expected(again, clock, backlog=5) == expected(history, clock, backlog=5)
    assert again.recorded_at == clock.now()


async def test_while_orchard_is_off_nothing_is_held(history: History, clock: TwoClocks, store: Store) -> None:
    await rebalance(history, clock, 5, shop=held(3))
    before = history.decayed_use("shop").agents
    clock.advance(HALF_LIFE_SECONDS)
    again = await begun(store, clock)
    assert again.decayed_use("shop").agents == pytest.approx(before / 2, abs=0.001)
    await rebalance(again, clock, shop=held(3))
    (*_, last) = await store.read(lambda conn: load.samples(conn, since=MONDAY_NINE))
    assert last.seconds == 300  # not the week


@pytest.mark.parametrize("days", [-400, -3, 3, 400])
async def test_a_clock_that_jumps_changes_nothing_that_was_learnt(
    history: History, clock: TwoClocks, store: Store, days: int
) -> None:
    await rebalance(history, clock, 20, shop=held(3), post=held(1))
    use, kept = history.decayed_use("shop"), await store.read(_all_samples)
    right = clock.wall
    clock.wall = right + timedelta(days=days)
    await rebalance(history, clock, 3, shop=held(3), post=held(1))
    clock.wall = right + timedelta(seconds=900)
    await rebalance(history, clock, 3, shop=held(3), post=held(1))
    assert history.decayed_use("shop").agents == pytest.approx(use.agents * 26 / 20, rel=0.01)
    found = await store.read(_all_samples)
    assert set(kept) <= set(found)
    assert {one.seconds for one in found} == {300}


def _all_samples(conn: Any) -> tuple[load.Sample, ...]:
    return load.samples(conn, since=datetime(2000, 1, 1, tzinfo=UTC))


async def test_a_start_with_a_clock_behind_the_last_run_takes_nothing_away(
    history: History, clock: TwoClocks, store: Store
) -> None:
    await rebalance(history, clock, 5, shop=held(3))
    clock.wall -= timedelta(days=30)
    again = await begun(store, clock)
    assert again.decayed_use("shop") == pytest.approx(history.decayed_use("shop"), abs=0.001)


async def test_samples_are_kept_for_five_weeks(history: History, clock: TwoClocks, store: Store) -> None:
    await rebalance(history, clock, shop=held())
    clock.advance(34 * 86400)
    await rebalance(history, clock, shop=held())
    assert len(await store.read(_all_samples)) == 2
    clock.advance(2 * 86400)
    await rebalance(history, clock, shop=held())
    assert len(await store.read(_all_samples)) == 2


async def test_what_was_learnt_is_kept_when_the_store_fails(
    history: History, clock: TwoClocks, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rebalance(history, clock, shop=held(2))
    before = history.decayed_use("shop")

    async def fails(work: object) -> None:
        raise Unavailable("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "write", lambda self, work: fails(work))
        with pytest.raises(Unavailable, match="full"):
            await rebalance(history, clock, shop=held(2))
    assert history.decayed_use("shop") == before
    await rebalance(history, clock, shop=held(2))
    assert history.decayed_use("shop").agents == pytest.approx(3 * before.agents, rel=0.01)
    assert [one.seconds for one in await store.read(_all_samples)] == [300, 600]


async def test_a_project_that_is_gone_is_left_out(history: History, clock: TwoClocks, store: Store) -> None:
    history.observe_phase("gone", 60)
    await rebalance(history, clock, shop=held(), gone=held())
    assert list(await store.read(load.memories)) == ["shop"]
    assert history.decayed_use("gone") == NOTHING
    assert history.allocation("gone") is None


async def test_figures_that_make_no_sense_do_not_stay(
    history: History, clock: TwoClocks, store: Store
) -> None:
    bad = Resources(agents=math.nan, cycles=-4, cpu=math.inf, memory_mb=512)
    await rebalance(history, clock, shop=held(used=bad, measured=bad, waiting=-7))
    use = history.decayed_use("shop")
    assert (use.agents, use.cycles, use.cpu) == (0, 0, 0)
    assert use.memory_mb > 0
    (one,) = await store.read(_all_samples)
    assert (one.used, one.waiting) == (Resources(memory_mb=512), 0)


async def test_two_rebalancings_at_once_count_the_time_once(
    history: History, clock: TwoClocks, store: Store
) -> None:
    clock.advance(HALF_LIFE_SECONDS)
    first = asyncio.create_task(history.record(clock.now(), {"shop": held(4)}, [], "dynamic"))
    await asyncio.sleep(0)  # it is being written
    clock.advance(1)
    await history.record(clock.now(), {"shop": held(4)}, [], "dynamic")
    await first
    assert [one.seconds for one in await store.read(_all_samples)] == [HALF_LIFE_SECONDS, 1]
    assert history.decayed_use("shop").agents == pytest.approx(2, abs=0.001)


async def test_a_phase_that_ends_while_it_is_written_is_not_lost(history: History, clock: TwoClocks) -> None:
    history.observe_phase("shop", 100)
    clock.advance(300)
    writing = asyncio.create_task(history.record(clock.now(), {"shop": held()}, [], "dynamic"))
    await asyncio.sleep(0)
    history.observe_phase("shop", 300)
    await writing
    assert "3 minutes each" in expected(history, clock, backlog=1)[1]  # 200 s
