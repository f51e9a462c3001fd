"""PURE: between a snapshot and the plain values of a strategy of the user's, and what it may answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.scheduler.resources import RESOURCES, SLACK, Resource, Resources, total
from core.scheduler.snapshot import ProjectShare, Snapshot

_NAMES = frozenset(resource.value for resource in RESOURCES)


def as_plain(snapshot: Snapshot) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The arguments of SchedulingStrategy.calculate_allocation, for a sound snapshot."""
    return [_plain(project, snapshot.now) for project in snapshot.projects], snapshot.capacity.named()


def _plain(project: ProjectShare, now: float) -> dict[str, Any]:
    waited = max((now - task.submitted_at for task in project.waiting), default=0.0)
    return {
        "name": project.name,
        "weight": project.weight,
        "priority": str(project.tier),
        "guaranteed": project.guaranteed.named(),
        "limit": project.limit.named(),
        "used": project.used.named(),
        "decayed_use": project.decayed_use.named(),
        "expected": project.expected.named(),
        "demand": total([project.used, *[task.demand for task in project.waiting]]).named(),
        "waiting": len(project.waiting),
        "waited_seconds": waited if math.isfinite(waited) else 0.0,
    }


def check_allocation(allocation: Mapping[str, Mapping[str, float]], snapshot: Snapshot) -> str:
    """What is wrong with it, in one sentence; empty: nothing."""
    projects = {project.name: project for project in snapshot.projects}
    sums = dict.fromkeys(RESOURCES, 0.0)
    for name, amounts in allocation.items():
        project = projects.get(name)
        if project is None:
            return f"there is no project {name}."
        for resource, amount in amounts.items():
            if resource not in _NAMES:
                return f"there is no resource {resource} ({', '.join(RESOURCES)})."
            if not (math.isfinite(amount) and amount >= 0.0):
                return f"{resource} of {name} is {amount}."
            limit = project.limit.named()[resource]
            if amount > limit + SLACK * max(amount, 1.0):
                return f"{name} gets {amount:g} {resource}, but its limit is {limit:g}."
            sums[Resource(resource)] += amount
    for resource, there in zip(RESOURCES, snapshot.capacity, strict=True):
        if sums[resource] > there + SLACK * max(there, 1.0):
            return f"it gives away {sums[resource]:g} {resource.value} of {there:g}."
    return ""


def within(project: ProjectShare, allocation: Mapping[str, Mapping[str, float]]) -> ProjectShare:
    """The project, limited by its allocation; without one it keeps what it holds and starts nothing."""
    amounts = allocation.get(project.name)
    if amounts is None:
        return replace(project, limit=project.limit.at_most(project.used))
    return replace(project, limit=project.limit.at_most(Resources.of(amounts, default=math.inf)))
