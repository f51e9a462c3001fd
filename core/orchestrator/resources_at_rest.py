"""What can be said of shares and limits where nothing runs: from the settings and the store."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from config.settings import ProjectSettings, Settings
from core.domain.lifecycles import ProjectStatus
from core.domain.project import Project
from core.monitoring.machine import Reading
from core.orchestrator.project_terms import project_terms
from core.orchestrator.resource_views import (
    SHOWN,
    UNITS,
    LockView,
    ProjectResources,
    ResourcesView,
    ResourceView,
    limited,
)
from core.orchestrator.scheduling.bars import hours_bar
from core.orchestrator.scheduling.pressure import capacity_of
from core.scheduler.quota import Quota
from core.scheduler.resources import Resource, Resources
from core.store import cycles, load, locks, projects
from core.store.load import Memory
from core.store.locks import SharedResource


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRest:
    projects: tuple[Project, ...]
    memories: Mapping[str, Memory]
    locks: tuple[SharedResource, ...]
    runnable: Mapping[str, int]  # stories, by project


def read_at_rest(conn: sqlite3.Connection) -> AtRest:
    return AtRest(
        projects=projects.every(conn),
        memories=load.memories(conn),
        locks=locks.every(conn),
        runnable=Counter(cycle.project for cycle in cycles.runnable(conn)),
    )


def view_at_rest(
    found: AtRest,
    settings: Settings,
    reading: Reading,
    *,
    now: datetime,
    problems: Mapping[str, str],
) -> ResourcesView:
    """`problems`: why a project's settings cannot be used, by name."""
    capacity = capacity_of(settings.global_, reading, disk_used_mb=0.0)
    weights = math.fsum(
        each.resource_limits.cpu_priority
        for project in found.projects
        if project.status is ProjectStatus.ACTIVE
        and (each := settings.projects.get(project.name)) is not None
    )
    rows = [
        _project(project, each, found, capacity, weights, now)
        for project in found.projects
        if (each := settings.projects.get(project.name)) is not None
    ]
    return ResourcesView(
        at=now,
        strategy=settings.global_.resource_allocation_strategy,
        total=tuple(
            ResourceView(
                resource=resource.value,
                unit=UNITS[resource],
                used=None,
                reserved=0.0,
                allocated=None,
                limit=limited(capacity.get(resource)),
            )
            for resource in SHOWN
            if resource is not Resource.CYCLES
        ),
        projects=tuple(rows),
        locks=_locks(found, settings, now),
        enforcement=(),
        problems=tuple(f"{name} is left out: {why}" for name, why in problems.items()),
        pressure="Orchard is not running: nothing starts.",
        rebalanced_at=max((memory.sampled_at for memory in found.memories.values()), default=None),
    )


def _project(
    project: Project,
    settings: ProjectSettings,
    found: AtRest,
    capacity: Resources,
    weights: float,
    now: datetime,
) -> ProjectResources:
    limits = settings.resource_limits
    terms = project_terms(project.name, settings)
    memory = found.memories.get(project.name)
    last = memory.allocation if memory else None
    quota = last or Quota(
        project_name=project.name,
        allocated_agents=None,
        allocated_memory_mb=None,
        allocated_cpu_percent=0.0,
        priority_weight=limits.cpu_priority,
        reason="nothing was allocated yet",
    )
    is_active = project.status is ProjectStatus.ACTIVE
    barred = hours_bar(project.name, terms.hours, now).removeprefix("waits: ")
    if not is_active:
        barred = f"it is {project.status}: nothing of it runs."
    given = {
        Resource.AGENTS: quota.allocated_agents,
        Resource.MEMORY_MB: quota.allocated_memory_mb,
        Resource.CPU: quota.allocated_cpu_percent / 100 * capacity.cpu
        if memory and memory.allocation
        else None,
    }
    return ProjectResources(
        project=project.name,
        tier=settings.priority,
        quota=quota,
        running=0,
        waiting=found.runnable.get(project.name, 0),
        share=0.0,
        entitled=limits.cpu_priority / weights if is_active and weights else 0.0,
        resources=tuple(
            ResourceView(
                resource=resource.value,
                unit=UNITS[resource],
                used=None,
                reserved=0.0,
                allocated=given.get(resource),
                limit=limited(terms.limit.get(resource)),
            )
            for resource in SHOWN
        ),
        barred=barred,
    )


def _locks(found: AtRest, settings: Settings, now: datetime) -> tuple[LockView, ...]:
    """As the settings name them; those of the store that they name no more, while somebody holds them."""
    held = {lock.name: lock for lock in found.locks}
    places = dict(settings.global_.shared_resources)
    for lock in found.locks:
        if lock.name not in places and lock.holds:
            places[lock.name] = lock.places
    return tuple(
        LockView(
            name=name,
            places=count,
            holders=tuple(
                hold.story_id for hold in (held[name].holds if name in held else ()) if hold.expires_at > now
            ),
            waiting=(),
        )
        for name, count in sorted(places.items())
    )
