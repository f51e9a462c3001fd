"""Every waiting task is served in the end, whatever the others do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.story import Priority
from core.scheduler.dynamic import Dynamic
from core.scheduler.fair_share import FairShare
from core.scheduler.priority import PriorityBased
from core.scheduler.resources import Resources, total
from core.scheduler.snapshot import ProjectShare, RunningTask, Snapshot, Task
from tests.properties.scheduler.draws import several
from tests.properties.scheduler.worlds import demand

STRATEGIES = (FairShare(), PriorityBased(), Dynamic())
every = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
pairs = several(lambda draws: (demand(draws), demand(draws)), count=1, size=12)


@every
@settings(max_examples=10)
@given(drawn=pairs, slots=st.integers(2, 5))
def test_every_waiting_task_is_served_in_the_end(strategy, drawn, slots) -> None:
    """A rival sends a new task, of the highest tier and a large weight, for each that ends."""
    ((rival, own),) = drawn
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
