"""What holds for every strategy, whatever the snapshot is."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.scheduler.decision import Obstacle
from core.scheduler.dynamic import Dynamic
from core.scheduler.fair_share import FairShare
from core.scheduler.priority import PriorityBased
from core.scheduler.quota import quotas
from core.scheduler.reclaim import reaches, took_from
from core.scheduler.resources import NOTHING, Resources, total
from core.scheduler.snapshot import Snapshot, Task
from core.scheduler.soundness import is_sound
from tests.properties.scheduler.worlds import NOW, demands, nonsense, worlds

STRATEGIES = (FairShare(), PriorityBased(), Dynamic())
every = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
# A hundred instances a law and strategy, thousands in all; `--hypothesis-profile=thorough` takes more.
many = settings(phases=[Phase.explicit, Phase.generate])  # shrinking such worlds takes minutes


def _after(snapshot: Snapshot, decision) -> dict[str, Resources]:
    held = {project.name: project.used for project in snapshot.projects}
    for start in decision.starts:
        held[start.project] = held[start.project].plus(start.demand)
    return held


@every
@many
@given(world=worlds())
def test_never_above_capacity_nor_a_limit(strategy, world) -> None:
    decision = strategy.decide(world)
    held = _after(world, decision)
    if decision.starts:
        free = world.capacity.minus(world.outside)
        grown = total([start.demand for start in decision.starts])
        everything = total(list(held.values()))
        for more, amount, there in zip(grown, everything, free, strict=True):
            assert not more or amount <= there * (1 + 1e-9) + 1e-9
    started = {start.project for start in decision.starts}
    for project in world.projects:
        if project.name in started:
            grown = total([start.demand for start in decision.starts if start.project == project.name])
            for more, amount, limit in zip(grown, held[project.name], project.limit, strict=True):
                assert not more or amount <= limit * (1 + 1e-9) + 1e-9


@every
@many
@given(world=worlds(), seed=st.randoms(use_true_random=False))
def test_the_same_snapshot_gives_the_same_decision_in_whatever_order_it_comes(strategy, world, seed) -> None:
    shuffled = list(world.projects)
    seed.shuffle(shuffled)
    first, other = strategy.decide(world), strategy.decide(replace(world, projects=tuple(shuffled)))
    assert first.starts == other.starts
    assert first.preemptions == other.preemptions
    assert list(first.waits) == list(other.waits)
    assert list(first.allocations) == list(other.allocations)


@every
@many
@given(world=worlds(plain=True))
def test_when_it_stops_nobody_who_waits_fits(strategy, world) -> None:
    """Pareto efficiency of whole tasks, where nothing is kept on purpose."""
    decision = strategy.decide(world)
    started = {start.task_id for start in decision.starts}
    for project in world.projects:
        for task in project.waiting:
            assert task.id in started or not task.demand.fits(decision.free)


@every
@many
@given(world=worlds())
def test_every_task_is_decided_on_once_and_has_its_reason(strategy, world) -> None:
    decision = strategy.decide(world)
    seen = Counter(start.task_id for start in decision.starts)
    seen.update(task for wait in decision.waits for task in wait.task_ids)
    assert seen == Counter(task.id for project in world.projects for task in project.waiting)
    for part in (*decision.starts, *decision.waits, *decision.preemptions, *decision.allocations):
        assert len(part.reason) > 20
        assert "nan" not in part.reason
        assert "None" not in part.reason
    for wait in decision.waits:
        assert "Next when" in wait.reason
        if wait.obstacle is not Obstacle.DRAINING:
            assert any(letter.isdigit() for letter in wait.reason) or wait.detail


@every
@many
@given(world=worlds())
def test_what_is_kept_free_is_kept_for_somebody(strategy, world) -> None:
    """A wait that the machine has room for names a limit, a guarantee or one that waited longer."""
    decision = strategy.decide(world)
    for wait in decision.waits:
        if wait.obstacle is Obstacle.CAPACITY:
            assert wait.needed > wait.free
        if wait.obstacle is Obstacle.KEPT:
            assert wait.detail


@every
@many
@given(world=worlds())
def test_allocations_stay_within_capacity_and_limits(strategy, world) -> None:
    decision = strategy.decide(world)
    held = _after(world, decision)
    for at, there in enumerate(world.capacity):
        sum_of_all = math.fsum(one.amounts[at] for one in decision.allocations)
        taken = math.fsum(amounts[at] for amounts in held.values())
        assert sum_of_all <= max(there, taken) * (1 + 1e-9) + 1e-9
    limits = {project.name: project.limit for project in world.projects}
    for one in decision.allocations:
        for amount, limit, now in zip(one.amounts, limits[one.project], held[one.project], strict=True):
            assert amount <= max(limit, now) + 1e-9
    counted = quotas(decision.allocations, world.capacity)
    agents = [quota.allocated_agents for quota in counted if quota.allocated_agents is not None]
    assert sum(agents) <= max(world.capacity.agents, sum(amounts.agents for amounts in held.values())) + 1e-6
    assert all(0.0 <= quota.allocated_cpu_percent <= 100.0 for quota in counted)


@every
@many
@given(world=worlds())
def test_reclaims_make_room_and_never_ping_pong(strategy, world) -> None:
    decision = strategy.decide(world)
    running = {(project.name, task.id): task for project in world.projects for task in project.running}
    parked = [(gone.victim, gone.task_id) for gone in decision.preemptions]
    assert len(set(parked)) == len(parked)
    assert all(running[key].preemptible for key in parked)
    took = took_from(world.reclaimed, world.now, strategy.reclaim.cooldown_seconds)
    for gone in decision.preemptions:
        assert gone.victim != gone.taker
        assert not reaches(took, gone.victim, gone.taker)
        took[gone.taker].add(gone.victim)
    if decision.preemptions:
        free = decision.free.plus(total([gone.frees for gone in decision.preemptions]))
        takers = {gone.taker for gone in decision.preemptions}
        for name in takers:
            waiting = [wait for wait in decision.waits if wait.project == name]
            tasks = {task.id: task for p in world.projects if p.name == name for task in p.waiting}
            left = [tasks[task] for wait in waiting for task in wait.task_ids]
            assert any(
                all(not need or need <= there + 1e-6 for need, there in zip(task.demand, free, strict=True))
                for task in left
            )


@every
@many
@given(world=nonsense())
def test_nonsense_gives_a_defined_result(strategy, world) -> None:
    decision = strategy.decide(world)
    for part in (*decision.starts, *decision.waits, *decision.preemptions, *decision.allocations):
        assert part.reason
    for start in decision.starts:
        assert is_sound(start.demand)
    if decision.starts:
        grown = total([start.demand for start in decision.starts])
        for more, there in zip(grown, world.capacity, strict=True):
            # Compared as the strategies do: what is no number or below zero is nothing.
            known = there if isinstance(there, float | int) and there >= 0 else 0.0
            assert not more or more <= known * (1 + 1e-9) + 1e-9
    for one in decision.allocations:
        assert not any(math.isnan(amount) or amount < 0 for amount in one.amounts)


@every
@settings(max_examples=10)
@given(rival=demands, own=demands, slots=st.integers(2, 5))
def test_every_waiting_task_is_served_in_the_end(strategy, rival, own, slots) -> None:
    """A rival sends a new task, of the highest tier and a large weight, for each that ends."""
    from core.domain.story import Priority
    from core.scheduler.snapshot import ProjectShare, RunningTask

    need = Resources(agents=1.0, cpu=3.0, memory_mb=3000.0).at_least(own)
    capacity = need.plus(rival.times(slots)).at_least(rival)
    running: list[RunningTask] = []
    patient = Task("patient", need, 0.0, Priority.LOW)
    for step in range(200):
        now = step * 1800.0
        fresh = tuple(Task(f"r{step}-{at}", rival, now, Priority.CRITICAL) for at in range(20))
        world = Snapshot(
            now=now,
            capacity=capacity,
            projects=(
                ProjectShare(
                    name="rival",
                    weight=100.0,
                    tier=Priority.CRITICAL,
                    waiting=fresh,
                    running=tuple(running),
                    used=total([task.demand for task in running]),
                ),
                ProjectShare(name="small", weight=0.01, tier=Priority.LOW, waiting=(patient,)),
            ),
        )
        decision = strategy.decide(world)
        if any(start.task_id == "patient" for start in decision.starts):
            return
        running += [RunningTask(start.task_id, rival, now, preemptible=False) for start in decision.starts]
        running = running[1:]
    raise AssertionError("it waited for 200 rounds")


@every
@settings(max_examples=3)
@given(most=st.integers(1, 3))
def test_no_project_is_kept_out_by_others_that_always_have_work(strategy, most) -> None:
    """As many projects as may be are at work, and each always has one more task."""
    from core.scheduler.snapshot import ProjectShare, RunningTask

    one = Resources(agents=1.0)
    running = {f"p{at}": [RunningTask(f"p{at}-r", one, 0.0)] for at in range(most)}
    for step in range(1, 200):
        now = step * 1800.0
        busy = tuple(
            ProjectShare(
                name=name,
                used=one.times(len(tasks)),
                running=tuple(tasks),
                waiting=(Task(f"{name}-{step}", one, now),),
            )
            for name, tasks in running.items()
        )
        waiting = ProjectShare(name="waiting", waiting=(Task("patient", one, 0.0),))
        decision = strategy.decide(
            Snapshot(
                now=now,
                capacity=Resources(agents=10.0),
                projects=(*busy, waiting),
                max_concurrent_projects=float(most),
            )
        )
        if any(start.task_id == "patient" for start in decision.starts):
            return
        for start in decision.starts:
            running[start.project].append(RunningTask(start.task_id, one, now))
        for tasks in running.values():
            del tasks[:1]
    raise AssertionError("it waited for 200 rounds")


@many
@given(world=worlds(plain=True), data=st.data())
def test_live_decisions_leave_nobody_waiting_who_fits(world, data) -> None:
    """The same heap, one event at a time: what is open is what is free, and nobody who fits is passed."""
    ledger = FairShare(patience_seconds=math.inf).live(world)
    waiting = {task.id: (project.name, task) for project in world.projects for task in project.waiting}
    running: list[tuple[str, Resources]] = []
    names = [project.name for project in world.projects]
    for step in range(8):
        for start in ledger.starts():
            del waiting[start.task_id]
            running.append((start.project, start.demand))
        used = total([demand for _, demand in running]) if running else NOTHING
        free = world.capacity.minus(used)
        assert ledger.free == pytest.approx(tuple(free), abs=1e-6)
        assert not any(task.demand.fits(free) for _, task in waiting.values())
        event = data.draw(st.sampled_from(["end", "come", "leave"]))
        if event == "end" and running:
            ledger.release(*running.pop(data.draw(st.integers(0, len(running) - 1))))
        elif event == "leave" and waiting:
            task_id = data.draw(st.sampled_from(sorted(waiting)))
            assert ledger.withdraw(waiting.pop(task_id)[0], task_id)
        elif names:
            name = data.draw(st.sampled_from(names))
            task = Task(f"new-{step}", data.draw(demands), NOW)
            waiting[task.id] = (name, task)
            ledger.submit(name, task)
