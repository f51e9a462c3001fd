"""What starts and what does not, decided over a real store."""

import asyncio
from dataclasses import replace
from datetime import UTC, time, timedelta

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import CycleEvent, CycleState
from core.isolation.limits import ProjectUse
from core.scheduler.workhours import Hours
from core.store import cycles, events, locks, projects
from core.store.database import Transaction

WIDE = {"max_parallel_agents": 50, "max_parallel_cycles": 50, "max_memory_mb": 65536, "agent_cpu_cores": 0}
TWO_GB = {**WIDE, "agent_memory_mb": 2048}


async def told(yard, kind):
    return [
        event for event in await yard.store.read(lambda conn: events.since(conn, 0)) if event.kind is kind
    ]


class TestAdmission:
    async def test_of_fifteen_agents_of_2_gb_only_those_start_that_fit(self, yard):
        yard.machine(memory_available_mb=24576.0 - 2500.0)  # of others
        await yard.project("shop", 15, **TWO_GB)
        started = await yard.start()
        assert len(started) == 9  # 0.9 x 24 GB, less 2.5: a tenth one would not fit
        assert await yard.start() == []
        assert "memory is full" in yard.engine.why("shop-15")
        assert yard.engine.why("shop-15").endswith(
            "next when 862 more MB of memory come free (shop itself holds 18,432 MB of it)."
        )

    async def test_what_agents_really_take_counts_where_it_is_more(self, yard):
        await yard.project("shop", 15, **{**TWO_GB, "max_parallel_agents": 3, "max_parallel_cycles": 3})
        await yard.project("calc", 15, **TWO_GB)
        assert len([one for one in await yard.start() if one.startswith("shop")]) == 3
        await yard.end(*[one for one in await yard.running() if one.startswith("calc")])
        yard.uses["shop"] = ProjectUse(memory_mb=16000.0)
        yard.machine(memory_available_mb=24576.0 - 16000.0)
        assert len(await yard.start()) == 2  # 22,118 - 16,000, not 22,118 - 6,144

    async def test_memory_that_others_take_meanwhile_stops_further_starts(self, yard):
        await yard.project("shop", 2, **TWO_GB)
        assert len(await yard.start()) == 2
        yard.uses["shop"] = ProjectUse(memory_mb=1000.0)
        await yard.project("shop", 8, **TWO_GB)
        yard.machine(memory_available_mb=24576.0 - 1000.0 - 17000.0)
        assert await yard.start() == []
        assert "(something outside Orchard holds" in yard.engine.why("shop-3")
        yard.machine(memory_available_mb=24576.0 - 1000.0 - 15000.0)
        assert len(await yard.start()) == 1

    async def test_what_an_idle_worker_holds_is_no_place_and_no_bar(self, yard):
        yard.configure(max_concurrent_projects=1)
        await yard.project("shop", 1, agent_memory_mb=2048)
        await yard.project("calc", 0)
        yard.uses["calc"] = ProjectUse(memory_mb=4000.0, disk_mb=50.0)
        yard.uses["shop"] = ProjectUse(memory_mb=4000.0)  # caches, all of its limit
        assert await yard.start() == ["shop-1"]

    async def test_a_busy_machine_gets_one_at_a_time_and_never_stands_still(self, yard):
        yard.machine(load_1m=40.0)
        await yard.project("shop", 3)
        assert await yard.start() == ["shop-1"]
        assert await yard.start() == []
        assert "waits: the machine is busy: 40.0 processes want its 8 cores" in yard.engine.why("shop-2")
        await yard.end("shop-1")
        assert len(await yard.start()) == 1
        yard.configure(max_load_per_core=None)
        assert len(await yard.start()) == 1

    @pytest.mark.timeout(300)  # making them takes a while
    async def test_ten_thousand_stories_hide_nobody_and_take_no_more_than_they_may(self, yard):
        await yard.project("crowd", 10_000)
        await yard.project("small", 1)
        assert sorted(await yard.start()) == ["crowd-1", "crowd-2", "small-1"]
        assert await yard.start() == []
        assert yard.engine.why("crowd-9999") == (
            "waits: crowd works on 2 of at most 2 stories at once; "
            "next when one of them is done or has to wait."
        )

    async def test_a_clock_that_jumps_changes_no_order_and_no_share(self, yard):
        yard.configure(max_total_agents=1)
        await yard.project("a", 1)
        await yard.project("b", 1)
        for jump in (timedelta(days=400), timedelta(days=-4000)):
            yard.clock.at += jump
            (first,) = await yard.start()
            assert await yard.start() == []
            yard.clock.advance(10)
            await yard.end(first)

    async def test_a_project_removed_between_the_look_and_the_start_is_told(self, yard):
        await yard.project("shop", 3)
        await yard.start()
        del yard.terms["shop"]  # its two stories still run, and still count
        await yard.project("calc", 30, **{**WIDE, "agent_memory_mb": 2048})
        assert len(await yard.start()) == 9  # (22,118 - 2 x 1,024) / 2,048
        assert yard.engine.why("shop-3") == "waits: shop is not configured any more; next when it is again."

    async def test_settings_that_nobody_can_count_with_start_nothing_and_raise_nothing(self, yard, caplog):
        await yard.project("shop", 1)
        yard.reading = None
        assert (await yard.engine.choose()).start == ()
        yard.machine = None
        assert "nothing could be decided" in caplog.text


class TestWaiting:
    async def test_the_place_in_the_queue_and_the_shares_are_said(self, yard):
        yard.configure(max_total_agents=1)
        await yard.project("shop", 1)
        await yard.project("calc", 3)
        assert await yard.start() == ["calc-1"]
        await yard.engine.choose()
        why = yard.engine.why("shop-1")
        assert why.startswith(
            "waits: the only agent is at work (max_total_agents), shop holds 0 % of its 50 %"
        )
        assert "calc-2 comes first" in yard.engine.why("calc-3")
        sentence, details, following = await yard.engine.explain("shop-1")
        assert sentence == why
        assert "It needs 1 agent; 0 of 1 are free." in details
        assert following == "That agent is done (calc has it)."

    async def test_nothing_starts_outside_work_hours(self, yard):
        night = Hours.named(start=time(20), end=time(23), days=("monday",), zone=UTC)
        await yard.project("shop", 1, hours=night)
        yard.floor.extra_agents.wish("shop-e1", "shop")
        assert await yard.start() == []
        wanted = "waits: it is outside the work hours of shop (20:00-23:00 UTC); next on Monday, 02 March"
        assert yard.engine.why("shop-1").startswith(wanted)
        assert yard.engine.why("shop-e1").startswith(wanted)
        yard.clock.advance(8 * 3600)
        assert sorted(await yard.start()) == ["shop-1", "shop-e1"]

    async def test_a_full_disk_and_a_resting_worker_bar_a_project(self, yard):
        await yard.project("shop", 1)
        await yard.project("calc", 1)
        yard.full["shop"] = "shop takes 11 MB of its 10 MB of disk."
        yard.floor.worker_ready_in = lambda name: 7.0 if name == "calc" else 0.0
        assert await yard.start() == []
        assert yard.engine.why("shop-1") == "waits: shop takes 11 MB of its 10 MB of disk."
        assert yard.engine.why("calc-1").startswith("waits: the project's worker ended")

    async def test_a_story_that_rests_lets_the_next_one_by(self, yard):
        await yard.project("shop", 3, max_parallel_cycles=1)
        yard.floor.pauses.begin("shop-1", 60.0, "the gate said no")
        assert await yard.start() == ["shop-2"]
        assert yard.engine.why("shop-1") == "waits: the gate said no; next in 60 s."

    async def test_a_design_counts_as_an_agent_and_goes_before_its_project_s_stories(self, yard):
        yard.configure(max_total_agents=1)
        await yard.project("shop", 2)
        yard.floor.extra_agents.wish("shop-e1", "shop")
        assert await yard.start() == ["shop-e1"]
        assert await yard.start() == []
        assert "max_total_agents" in yard.engine.why("shop-1")
        yard.floor.extra_agents.leave("shop-e1")
        assert await yard.start() == ["shop-1"]

    async def test_stories_ready_to_be_merged_take_one_place_and_no_agent(self, yard):
        yard.configure(max_total_agents=1)
        await yard.project("shop", 3)
        await yard.store.write(_pass_two)
        choice = await yard.engine.choose()
        (merge,) = [one for one in choice.start if len(one.cycles) == 2]
        assert [cycle.story_id for cycle in merge.cycles] == ["shop-1", "shop-2"]
        assert sorted(await yard.start(choice)) == ["shop-1", "shop-2", "shop-3"]


def _pass_two(tx: Transaction) -> None:
    tx.conn.execute("UPDATE cycles SET generation = 1 WHERE story_id IN ('shop-1', 'shop-2')")
    for story in ("shop-1", "shop-2"):
        for state in (CycleState.DESIGN, CycleState.TEST_RED, CycleState.CODE_GREEN, CycleState.REFACTOR):
            cycles.move(tx, story, CycleEvent.PASSED, state=state)


class TestSharedResources:
    async def test_two_projects_take_turns_with_one_place(self, yard):
        yard.configure(shared_resources={"staging": 1})
        for name in ("a", "b"):
            await yard.project(name, 1, shared={"staging": 1})
        turns = []
        for _ in range(4):
            (started,) = await yard.start()
            assert await yard.start() == []
            other = "b-1" if started == "a-1" else "a-1"
            assert yard.engine.why(other) == (
                f"waits: staging is taken (the only place) by {started}; next when {started} gives it back."
            )
            turns.append(started)
            yard.clock.advance(5)
            await yard.end(started)
        assert turns == ["a-1", "b-1", "a-1", "b-1"]

    async def test_a_place_is_not_kept_for_who_cannot_start(self, yard):
        yard.configure(shared_resources={"staging": 1})
        await yard.project("a", 1, shared={"staging": 1}, agent_memory_mb=8000)  # more than it may have
        await yard.project("b", 1, shared={"staging": 1})
        assert await yard.start() == ["b-1"]

    async def test_what_nobody_defined_is_said_and_comes_with_the_settings(self, yard):
        await yard.project("a", 1, shared={"staging": 1})
        assert await yard.start() == []
        assert "global.shared_resources" in yard.engine.why("a-1")
        yard.configure(shared_resources={"staging": 2})
        assert await yard.start() == ["a-1"]
        yard.configure(shared_resources={})  # held: it goes when it is given back
        await yard.engine.choose()
        assert len(await yard.store.read(locks.every)) == 1
        await yard.end("a-1")
        await yard.engine.choose()
        assert await yard.store.read(locks.every) == ()

    async def test_more_places_than_there_are_is_said(self, yard):
        yard.configure(shared_resources={"staging": 1})
        await yard.project("a", 1, shared={"staging": 3})
        assert await yard.start() == []
        assert "so it can never start" in yard.engine.why("a-1")


class TestStrategies:
    async def test_a_weight_decides_who_starts_more(self, yard):
        yard.configure(max_total_agents=4)
        await yard.project("heavy", 9, **{**WIDE, "cpu_priority": 3})
        await yard.project("light", 9, **WIDE)
        started = await yard.start()
        assert sorted(name.split("-")[0] for name in started) == ["heavy", "heavy", "heavy", "light"]

    async def test_a_guarantee_is_reclaimed_from_who_borrows_and_not_asked_for_twice(self, yard):
        yard.configure(max_total_agents=2)
        await yard.project("shop", 4, **WIDE)
        assert len(await yard.start()) == 2
        yard.clock.advance(60)
        await yard.project("calc", 1, guaranteed_agents=1)
        (parked,) = (await yard.engine.choose()).park
        assert (parked.victim, parked.taker) == ("shop", "calc")
        yard.engine.asked_to_park(parked.task_id)
        yard.floor.is_parking = {parked.task_id}.__contains__
        assert (await yard.engine.choose()).park == ()

    async def test_a_changed_setting_is_another_strategy_at_once(self, yard):
        await yard.project("shop", 1)
        assert (await yard.engine.view()).strategy == "fair_share"
        yard.configure(resource_allocation_strategy="dynamic")
        assert (await yard.engine.view()).strategy == "dynamic"

    async def test_one_that_cannot_be_used_is_told_once_and_work_goes_on(self, yard):
        yard.configure(resource_allocation_strategy="no.such.module:Strategy")
        await yard.project("shop", 1)
        assert await yard.start() == ["shop-1"]
        await yard.engine.choose()
        (event,) = await told(yard, EventKind.STRATEGY_REFUSED)
        assert event.data["strategy"] == "no.such.module:Strategy"
        assert event.data["kept"] == "shares are fair"
        assert "no.such.module" in (await yard.engine.view()).problems[0]

    async def test_an_error_in_a_decision_is_told_and_fair_shares_decide(self, yard, monkeypatch):
        await yard.project("shop", 1)
        await yard.engine.choose()

        class Broken:
            name = "fair_share"

            def decide(self, snapshot):
                raise ZeroDivisionError("nothing to share")

        monkeypatch.setattr(yard.engine._strategist, "_strategy", Broken())
        assert await yard.start() == ["shop-1"]
        (event,) = await told(yard, EventKind.STRATEGY_REFUSED)
        assert "nothing to share" in event.data["why"]

    async def test_a_slow_strategy_keeps_the_loop_free(self, yard, monkeypatch):
        await yard.project("shop", 1)
        await yard.engine.choose()
        entered = asyncio.Event()
        loop = asyncio.get_running_loop()
        release = asyncio.Event()

        class Slow:
            name = "fair_share"

            def decide(self, snapshot):
                loop.call_soon_threadsafe(entered.set)
                asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
                raise RuntimeError("slow")

        monkeypatch.setattr(yard.engine._strategist, "_strategy", Slow())
        choosing = asyncio.create_task(yard.engine.choose())
        await entered.wait()  # the loop goes on while it decides
        assert not choosing.done()
        release.set()
        assert [one.id for one in (await choosing).start] == ["shop-1"]


class TestSharingAnew:
    async def test_what_changed_is_told_in_words(self, yard):
        yard.configure(max_total_agents=12)
        await yard.project("shop", 0, **{**WIDE, "max_memory_mb": 8192})
        first = await yard.engine.rebalance()
        assert first.changes == ("Gave shop 12 agents, 8,192 MB of memory and 100 % of the CPU",)
        assert (first.dry_run, yard.applied) == (False, 1)
        again = await yard.engine.rebalance()
        assert again.changes == ()
        await yard.project("calc", 0, **WIDE)
        yard.limit("shop", **{**WIDE, "max_memory_mb": 4096})
        changed = (await yard.engine.rebalance(by="discord:1")).changes
        assert "Took 6 agents from shop" in changed
        assert "Reduced memory allocation for shop by 4,096 MB" in changed
        assert "Reduced CPU allocation for shop to 50 %" in changed
        assert changed[0].startswith("Gave calc 6 agents")
        seen = await told(yard, EventKind.RESOURCES_REBALANCED)
        assert [(event.actor, len(event.data["changes"])) for event in seen] == [
            ("orchard", 1),
            ("discord:1", 4),
        ]

    async def test_a_dry_run_says_what_would_be_and_touches_nothing(self, yard):
        yard.configure(max_total_agents=1, shared_resources={"staging": 1})
        await yard.project("shop", 1)
        before = await yard.store.read(lambda conn: events.since(conn, 0))
        run = await yard.engine.dry_run("priority_based")
        assert (run.strategy, run.dry_run) == ("priority_based", True)
        assert run.starts[0].startswith("shop-1 starts: shop holds")
        assert await yard.running() == []
        assert await yard.store.read(lambda conn: events.since(conn, 0)) == before
        assert await yard.store.read(locks.every) == ()
        assert yard.applied == 0

    async def test_a_restart_tells_only_what_is_different_now(self, yard):
        await yard.project("shop", 0)
        await yard.engine.rebalance()
        reborn = replace(yard)
        await reborn.engine.load()
        assert (await reborn.engine.rebalance()).changes == ()

    async def test_the_view_shows_shares_limits_locks_and_bars(self, yard):
        yard.configure(shared_resources={"staging": 1})
        await yard.project("shop", 3, shared={"staging": 1})
        await yard.start()
        yard.uses["shop"] = ProjectUse(memory_mb=700.0, disk_mb=10.0)
        await yard.engine.choose()
        view = await yard.engine.view()
        (shop,) = view.projects
        memory = next(one for one in shop.resources if one.resource == "memory_mb")
        assert (shop.running, memory.used, memory.reserved, memory.limit) == (1, 700.0, 1024.0, 4096.0)
        assert [(lock.name, lock.holders, lock.waiting) for lock in view.locks] == [
            ("staging", ("shop-1",), ("shop-2",))
        ]
        assert {one.resource for one in view.total} == {"agents", "cpu", "memory_mb", "disk_mb"}

    async def test_nothing_of_a_project_that_is_not_started(self, yard):
        await yard.project("shop", 1)

        def stop(tx: Transaction) -> None:
            tx.conn.execute("UPDATE projects SET status = 'paused'")

        await yard.store.write(stop)
        assert await yard.start() == []
        assert (await yard.engine.view()).projects == ()
        assert (await yard.store.read(projects.every))[0].status == "paused"


@pytest.mark.parametrize("strategy", ["fair_share", "priority_based", "dynamic"])
async def test_no_strategy_ever_takes_more_than_there_is(yard, strategy):
    yard.configure(max_total_agents=7, max_concurrent_projects=3, resource_allocation_strategy=strategy)
    for at in range(5):
        await yard.project(f"p{at}", 20, **TWO_GB)
    for step in range(6):
        await yard.start()
        running = await yard.running()
        assert len(running) <= 7
        assert len({story.split("-")[0] for story in running}) <= 3
        assert len(running) * 2048 <= 0.9 * 24576
        yard.clock.advance(30)
        await yard.end(*running[step % 3 :: 3])
