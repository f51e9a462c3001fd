"""What holds for every strategy, whatever the snapshot is. Four worlds an example."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scheduler.decision import Decision, Obstacle
from core.scheduler.dynamic import Dynamic
from core.scheduler.fair_share import FairShare
from core.scheduler.priority import PriorityBased
from core.scheduler.quota import quotas
from core.scheduler.reclaim import reaches, took_from
from core.scheduler.resources import Resources, total
from core.scheduler.snapshot import Snapshot
from tests.properties.scheduler.worlds import plain_worlds, slot_world, slot_worlds, worlds

STRATEGIES = (FairShare(), PriorityBased(), Dynamic())
every = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)


def held_after(snapshot: Snapshot, decision: Decision) -> dict[str, Resources]:
    held = {project.name: project.used for project in snapshot.projects}
    for start in decision.starts:
        held[start.project] = held[start.project].plus(start.demand)
    return held


@every
@given(several=worlds)
def test_never_above_capacity_nor_a_limit(strategy, several) -> None:
    for world in several:
        decision = strategy.decide(world)
        held = held_after(world, decision)
        free = world.capacity.minus(world.outside)
        grown = total([start.demand for start in decision.starts])
        everything = total(list(held.values()))
        for more, amount, there in zip(grown, everything, free, strict=True):
            assert not more or amount <= there * (1 + 1e-9) + 1e-9
        for project in world.projects:
            own = total([start.demand for start in decision.starts if start.project == project.name])
            for more, amount, limit in zip(own, held[project.name], project.limit, strict=True):
                assert not more or amount <= limit * (1 + 1e-9) + 1e-9


@every
@given(several=worlds)
def test_no_more_projects_are_at_work_than_may_be(strategy, several) -> None:
    for world in several:
        before = {project.name for project in world.projects if project.running or any(project.used)}
        after = before | {start.project for start in strategy.decide(world).starts}
        assert after == before or len(after) <= world.max_concurrent_projects


@every
@given(several=worlds, seed=st.integers(0, 1000))
def test_the_same_snapshot_gives_the_same_decision_in_whatever_order(strategy, several, seed) -> None:
    """The order is total: nothing is left to the order of projects, of tasks, or of what runs."""
    for world in several:
        chance = Random(seed)
        mixed = [
            replace(
                project,
                waiting=tuple(chance.sample(project.waiting, len(project.waiting))),
                running=tuple(chance.sample(project.running, len(project.running))),
            )
            for project in chance.sample(world.projects, len(world.projects))
        ]
        first, other = strategy.decide(world), strategy.decide(replace(world, projects=tuple(mixed)))
        assert first.starts == other.starts
        assert first.preemptions == other.preemptions
        assert list(first.waits) == list(other.waits)
        assert list(first.allocations) == list(other.allocations)
        assert strategy.decide(world).starts == first.starts


@every
@given(several=plain_worlds)
def test_when_it_stops_nobody_who_waits_fits(strategy, several) -> None:
    """Pareto efficiency of whole tasks, where nothing is kept on purpose."""
    for world in several:
        decision = strategy.decide(world)
        started = {start.task_id for start in decision.starts}
        for project in world.projects:
            for task in project.waiting:
                assert task.id in started or not task.demand.fits(decision.free)


@every
@given(several=worlds)
def test_every_task_is_decided_on_once_and_has_its_reason(strategy, several) -> None:
    for world in several:
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
@given(several=worlds)
def test_what_is_kept_free_is_kept_for_somebody(strategy, several) -> None:
    """A wait that the machine has room for names a limit, a guarantee or one that waited longer."""
    for world in several:
        for wait in strategy.decide(world).waits:
            if wait.obstacle is Obstacle.CAPACITY:
                assert wait.needed > wait.free
            if wait.obstacle is Obstacle.KEPT:
                assert wait.detail


@every
@given(several=worlds)
def test_allocations_stay_within_capacity_and_limits(strategy, several) -> None:
    for world in several:
        decision = strategy.decide(world)
        held = held_after(world, decision)
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
        taken = sum(amounts.agents for amounts in held.values())
        assert sum(agents) <= max(world.capacity.agents, taken) + 1e-6
        assert all(0.0 <= quota.allocated_cpu_percent <= 100.0 for quota in counted)


@every
@given(several=worlds)
def test_reclaims_make_room_and_never_ping_pong(strategy, several) -> None:
    for world in several:
        decision = strategy.decide(world)
        running = {(project.name, task.id): task for project in world.projects for task in project.running}
        parked = [(gone.victim, gone.task_id) for gone in decision.preemptions]
        assert len(set(parked)) == len(parked)
        assert all(running[key].preemptible and not running[key].parking for key in parked)
        took = took_from(world.reclaimed, world.now, strategy.reclaim.cooldown_seconds)
        for gone in decision.preemptions:
            assert gone.victim != gone.taker
            assert not reaches(took, gone.victim, gone.taker)
            took[gone.taker].add(gone.victim)
        parking = [task.demand for task in running.values() if task.parking]
        free = decision.free.plus(total([*(gone.frees for gone in decision.preemptions), *parking]))
        left = {
            name: [
                task
                for project in world.projects
                for task in project.waiting
                if project.name == name and not decision.why(task.id).startswith("starts")
            ]
            for name in {gone.taker for gone in decision.preemptions}
        }
        for tasks in left.values():
            assert any(
                all(not need or need <= there + 1e-6 for need, there in zip(task.demand, free, strict=True))
                for task in tasks
            )


@every
@given(several=worlds)
def test_who_is_reclaimed_from_keeps_what_it_is_due(strategy, several) -> None:
    """Nobody falls below its due, but for a lower tier; the reason shows both figures."""
    for world in several:
        for gone in strategy.decide(world).preemptions:
            if not strategy.reclaim.by_tier:
                assert gone.victim_share > gone.victim_entitled
                assert gone.taker_share < gone.taker_entitled + 1e-9


@every
@given(several=slot_worlds, lends=st.sampled_from([0.0, 0.5, 1.0]))
def test_nobody_starts_less_than_its_guarantee_while_it_has_work(strategy, several, lends) -> None:
    """On a free machine, where the guarantees fit together."""
    for there, projects in several:
        promised = {name: float(int(weight * 2)) for name, weight, _ in projects}
        if sum(promised.values()) > there:
            continue
        world = slot_world(there, projects, lends=lends)
        world = replace(
            world,
            projects=tuple(
                replace(one, guaranteed=Resources(agents=promised[one.name])) for one in world.projects
            ),
        )
        started = Counter(start.project for start in strategy.decide(world).starts)
        for name, _, tasks in projects:
            assert started[name] >= min(tasks, promised[name])


@every
@given(several=slot_worlds, cap=st.integers(0, 4))
def test_nobody_starts_more_than_its_limit_and_the_others_may_have_the_rest(strategy, several, cap) -> None:
    for there, projects in several:
        world = slot_world(there, projects, limit=Resources(*[math.inf] * 6)._replace(agents=float(cap)))
        started = Counter(start.project for start in strategy.decide(world).starts)
        assert max(started.values(), default=0) <= cap
        assert sum(started.values()) == min(there, sum(min(tasks, cap) for _, _, tasks in projects))
