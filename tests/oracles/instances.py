"""Snapshots as the published cases give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from core.scheduler.decision import Decision
from core.scheduler.resources import Resources
from core.scheduler.snapshot import ProjectShare, RunningTask, Snapshot, Task

# The papers count processors and memory without a unit, YARN's tests slots.
NAMES = {"cpu": "cpu", "memory": "memory_mb", "slots": "agents"}


def amounts(given: Mapping[str, float], default: float = 0.0) -> Resources:
    return Resources.of({NAMES.get(name, name): amount for name, amount in given.items()}, default)


def project(
    name: str,
    demand: Mapping[str, float],
    tasks: int,
    *,
    used: float = 0,
    limit: Mapping[str, float] | None = None,
    guaranteed: Mapping[str, float] | None = None,
    **others,
) -> ProjectShare:
    """`tasks` wait; `used` such tasks run."""
    need = amounts(demand)
    more = dict(others)
    if limit is not None:
        more["limit"] = amounts(limit, default=float("inf"))
    if guaranteed is not None:
        more["guaranteed"] = amounts(guaranteed)
    return ProjectShare(
        name=name,
        waiting=tuple(Task(f"{name}-{number:05}", need) for number in range(tasks)),
        used=need.times(used),
        running=tuple(
            RunningTask(f"{name}-r{number:05}", need, float(number)) for number in range(int(used))
        ),
        **more,
    )


def snapshot(capacity: Mapping[str, float], *projects: ProjectShare, **others) -> Snapshot:
    return Snapshot(now=0.0, capacity=amounts(capacity), projects=projects, **others)


def started(decision: Decision) -> dict[str, int]:
    return dict(Counter(start.project for start in decision.starts))


def parked(decision: Decision) -> dict[str, int]:
    return dict(Counter(gone.victim for gone in decision.preemptions))
