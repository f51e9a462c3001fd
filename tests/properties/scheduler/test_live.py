"""A ledger kept live gives what whole passes give, one event at a time."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given

from core.scheduler.fair_share import FairShare
from core.scheduler.resources import NOTHING, Resources, total
from core.scheduler.snapshot import Snapshot, Task
from tests.properties.scheduler.draws import Draws, several
from tests.properties.scheduler.worlds import NOW, demand, plain_world

EVENTS = 8


def world_and_events(draws: Draws) -> tuple[Snapshot, list[tuple[str, int, Resources]]]:
    events = [(draws.of(("end", "come", "leave")), draws.number(256), demand(draws)) for _ in range(EVENTS)]
    return plain_world(draws), events


@given(drawn=several(world_and_events, size=240))
def test_live_decisions_leave_nobody_waiting_who_fits(drawn) -> None:
    """What is open is what is free, and nobody who fits is passed."""
    for world, events in drawn:
        ledger = FairShare(patience_seconds=math.inf).live(world)
        waiting = {task.id: (project.name, task) for project in world.projects for task in project.waiting}
        running: list[tuple[str, Resources]] = []
        names = [project.name for project in world.projects]
        for step, (event, number, need) in enumerate(events):
            for start in ledger.starts():
                del waiting[start.task_id]
                running.append((start.project, start.demand))
            free = world.capacity.minus(total([demand for _, demand in running]))
            assert ledger.free == pytest.approx(tuple(free), abs=1e-6)
            assert not any(task.demand.fits(free) for _, task in waiting.values())
            if event == "end" and running:
                ledger.release(*running.pop(number % len(running)))
            elif event == "leave" and waiting:
                task_id = sorted(waiting)[number % len(waiting)]
                assert ledger.withdraw(waiting.pop(task_id)[0], task_id)
            elif names:
                name = names[number % len(names)]
                task = Task(f"new-{step}", need, NOW)
                waiting[task.id] = (name, task)
                ledger.submit(name, task)


@given(drawn=several(plain_world, size=200))
def test_one_by_one_is_the_whole_pass(drawn) -> None:
    """`next` asked again and again starts what a pass starts, in the same order."""
    for world in drawn:
        strategy = FairShare()
        ledger, found = strategy.live(world), []
        while (start := ledger.next()) is not None:
            found.append(start)
        assert tuple(found) == strategy.decide(world).starts


@given(drawn=several(plain_world, size=200))
def test_a_project_may_be_taken_away_in_the_middle(drawn) -> None:
    """Half of the starts made, one project goes: what it waits for never starts, the others lose nothing."""
    for world in drawn:
        if not world.projects:
            continue
        ledger = FairShare(patience_seconds=math.inf).live(world)
        gone = world.projects[0]
        begun = [start for start in (ledger.next() for _ in range(3)) if start is not None]
        ledger.remove(gone.name)
        later = ledger.starts()
        assert gone.name not in {start.project for start in later}
        mine = Counter(start.project for start in begun)[gone.name]
        held = total([start.demand for start in [*begun, *later] if start.project != gone.name])
        free = world.capacity.minus(held)
        assert mine == 0 or ledger.free == pytest.approx(tuple(free), abs=1e-6)
        started = {start.task_id for start in [*begun, *later]}
        for project in world.projects[1:]:
            for task in project.waiting:
                assert task.id in started or not task.demand.fits(Resources(*ledger.free))
        ledger.remove(gone.name)  # twice is no fault
        ledger.release(gone.name, NOTHING)  # nor is the end of a task that ran then
