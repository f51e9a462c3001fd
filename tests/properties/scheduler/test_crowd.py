"""A crowd that is filled at once gives the heap's decision: each start, in order, and each figure."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from core.scheduler import filling, ledger
from core.scheduler.decision import Decision
from core.scheduler.fair_share import FairShare
from core.scheduler.snapshot import ProjectShare, Snapshot
from tests.properties.scheduler.worlds import plain_worlds, slot_world, slot_worlds, worlds

_NOT = 10**9


def alike(project: ProjectShare) -> ProjectShare:
    """Its tasks all need what its first one does."""
    first = project.waiting[0].demand if project.waiting else None
    tasks = tuple(task if first is None else task._replace(demand=first) for task in project.waiting)
    return replace(project, waiting=tasks)


def decided(world: Snapshot, crowd: int, steps: int) -> Decision:
    with patch.object(ledger, "_CROWD", crowd), patch.object(filling, "_STEPS", steps):
        decision = FairShare().decide(world)
        assert len([*decision.waits, *decision.allocations]) >= len(world.projects)  # while it is so
    return decision


def same(world: Snapshot, steps: int) -> None:
    assert decided(world, 1, steps) == decided(world, _NOT, steps)


@given(several=worlds, steps=st.sampled_from([1, 2, 64]))
def test_whatever_else_there_is(several, steps) -> None:
    """Guarantees, limits, what runs, who is overdue, projects that have tasks of several kinds."""
    for world in several:
        same(replace(world, max_concurrent_projects=float("inf")), steps)


@given(several=plain_worlds, steps=st.sampled_from([1, 2, 64]))
def test_where_all_are_plain(several, steps) -> None:
    for world in several:
        same(replace(world, projects=tuple(map(alike, world.projects))), steps)


@given(several=slot_worlds, steps=st.sampled_from([1, 2, 64]))
def test_one_resource_and_many_tasks(several, steps) -> None:
    for there, projects in several:
        same(slot_world(there, projects), steps)
