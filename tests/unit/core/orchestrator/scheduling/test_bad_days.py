"""Restarts, settings that change halfway, a machine that is busy with nothing."""

import threading
from dataclasses import replace

from core.domain.event import EventKind
from core.errors import NotFound
from core.isolation.limits import ProjectUse
from core.store import load
from core.store.database import Transaction
from core.worker.contract import PhaseEnd

DAY = 86400.0


async def waited(yard, story):
    """By what the engine counts a wait."""
    await yard.engine.choose()
    return yard.clock.seconds - yard.engine._ages._since[story][1]


class TestRestart:
    async def reborn(self, yard, *, off=0.0):
        yard.clock.advance(off)
        yard.clock.seconds = 7.0  # of another machine's life
        again = replace(yard)
        await again.engine.load()
        return again

    async def full(self, yard):
        yard.configure(max_total_agents=1)
        await yard.project("busy", 1)
        await yard.start()
        await yard.project("shop", 1)
        await yard.engine.choose()

    async def test_a_wait_goes_on_and_the_time_off_is_none(self, yard):
        await self.full(yard)
        yard.clock.advance(3000)
        await yard.engine.rebalance()
        again = await self.reborn(yard, off=2 * DAY)
        assert await waited(again, "shop-1") == 3000.0
        again.clock.advance(60)
        assert await waited(again, "shop-1") == 3060.0

    async def test_a_clock_that_jumps_meanwhile_makes_nobody_older_than_a_day_or_younger_than_new(self, yard):
        for jump, age in ((400 * DAY, DAY), (-4000 * DAY, 0.0)):
            await self.full(yard)
            yard.clock.advance(jump)
            yard.clock.seconds = abs(jump)
            await yard.engine.rebalance()
            assert await waited(await self.reborn(yard), "shop-1") == age

    async def test_a_story_that_people_just_let_go_on_is_new(self, yard):
        await self.full(yard)
        yard.clock.advance(3000)
        await yard.store.write(lambda tx: tx.emit(EventKind.SPRINT_STARTED, project="shop"))
        yard.clock.advance(100)
        await yard.engine.rebalance()
        assert await waited(await self.reborn(yard), "shop-1") == 100.0

    async def test_whose_phase_was_cut_short_is_new(self, yard):
        await yard.project("shop", 1)
        await yard.start()
        yard.clock.advance(3000)
        await yard.engine.rebalance()
        yard.clock.advance(10)
        await yard.end("shop-1")  # as a new start releases it
        assert await waited(await self.reborn(yard), "shop-1") == 0.0


class TestBusyMachine:
    async def at_work(self, yard):
        yard.machine(load_1m=40.0)
        await yard.project("shop", 3, max_parallel_cycles=3, max_parallel_agents=3)
        assert await yard.start() == ["shop-1"]
        yard.uses["shop"] = ProjectUse(memory_mb=100.0, cpu_seconds=1.0)
        assert await yard.start() == []

    async def test_an_agent_that_hangs_holds_nobody_up_for_longer_than_a_minute(self, yard):
        await self.at_work(yard)
        yard.clock.advance(30)
        assert await yard.start() == []  # the load does not show yet what it does
        yard.clock.advance(31)
        assert await yard.start() == ["shop-2"]
        yard.clock.advance(5)
        assert await yard.start() == []
        yard.clock.advance(56)
        assert await yard.start() == ["shop-3"]

    async def test_agents_that_use_the_processor_are_waited_for(self, yard):
        await self.at_work(yard)
        for _ in range(20):
            yard.clock.advance(30)
            used = yard.uses["shop"].cpu_seconds
            yard.uses["shop"] = ProjectUse(memory_mb=100.0, cpu_seconds=used + 12.0)
            assert await yard.start() == []
        assert "or nothing that is at work here uses it." in yard.engine.why("shop-2")


async def test_settings_that_change_in_the_middle_of_a_decision_stop_nobody_else(yard, caplog):
    await yard.project("shop", 1)
    await yard.project("calc", 1)

    def batch_size(name):
        if name not in yard.terms:
            raise NotFound(f"{name} is not configured.")
        return 8

    def read_machine():
        yard.terms.pop("shop", None)
        return yard.reading

    yard.engine._surveyor._batch_size = batch_size
    yard.engine._surveyor._read_machine = read_machine
    assert "calc-1" in await yard.start()
    assert "nothing could be decided" not in caplog.text


async def test_what_projects_take_is_read_beside_the_loop(yard, monkeypatch):
    """Of a thousand fences that is half a second of file reads."""
    readers = []
    monkeypatch.setattr(
        type(yard), "measured", lambda self, project: readers.append(threading.current_thread())
    )
    await yard.project("shop", 1)
    await yard.engine.choose()
    assert readers
    assert threading.main_thread() not in readers


async def test_a_start_that_lost_its_race_keeps_its_place_in_the_queue(yard):
    await yard.project("shop", 1)
    await yard.engine.choose()  # and nobody claims it
    yard.clock.advance(500)
    assert await waited(yard, "shop-1") == 500.0


async def test_a_phase_that_was_cut_short_says_nothing_of_how_long_phases_take(yard):
    await yard.project("shop", 1)
    yard.engine.observe_phase("shop", 600.0, PhaseEnd.PASSED)
    for end in (PhaseEnd.PARKED, PhaseEnd.CANCELLED, PhaseEnd.LIMITED):
        yard.engine.observe_phase("shop", 1.0, end)
    await yard.engine.rebalance()
    memory = (await yard.store.read(load.memories))["shop"]
    assert (memory.durations.count, memory.durations.mean_seconds) == (1, 600.0)


async def test_limits_lowered_below_what_is_in_use_start_nothing_and_end_nothing(yard):
    wide = {
        "max_parallel_agents": 9,
        "max_parallel_cycles": 9,
        "max_memory_mb": 16384,
        "agent_memory_mb": 1024,
    }
    await yard.project("shop", 9, **wide)
    await yard.project("calc", 1, agent_memory_mb=1024)
    assert len(await yard.start()) == 10
    yard.limit("shop", **{**wide, "max_parallel_agents": 2, "max_memory_mb": 2048})
    yard.configure(max_total_agents=3, global_memory_limit_gb=4, max_concurrent_projects=1)
    choice = await yard.engine.choose()
    assert (choice.start, choice.park) == ((), ())
    view = await yard.engine.view()
    assert {project.project for project in view.projects} == {"shop", "calc"}
    await yard.end("calc-1")
    assert await yard.start() == []
    assert yard.engine.why("calc-1").startswith("waits: ")

    def over(tx: Transaction) -> None:
        tx.conn.execute("UPDATE cycles SET hold = 'stopped' WHERE project = 'shop'")

    await yard.store.write(over)
    await yard.end(*[f"shop-{at}" for at in range(1, 10)])
    assert await yard.start() == ["calc-1"]
