"""What the engine knows, as the faces show it. Plain values in, plain values out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from core.orchestrator.resource_views import (
    SHOWN,
    UNITS,
    LockView,
    ProjectResources,
    ResourcesView,
    ResourceView,
    limited,
)
from core.orchestrator.scheduling.candidates import Kind
from core.orchestrator.scheduling.picture import ProjectPicture, demand_of, used_by
from core.orchestrator.scheduling.surveyor import Survey
from core.scheduler.decision import Allocation, Decision
from core.scheduler.quota import Quota
from core.scheduler.resources import NOTHING, Resource, Resources, total
from core.scheduler.snapshot import Snapshot
from core.store.locks import SharedResource

BY_FORECAST = "dynamic"  # the others do not look ahead


def resources_view(
    survey: Survey,
    snapshot: Snapshot,
    decision: Decision,
    given: Sequence[Quota],
    *,
    words: Mapping[str, str],
    shared: Sequence[SharedResource],
    pressure: str,
    enforcement: tuple[str, ...],
    problems: tuple[str, ...],
    problems_of: Callable[[str], tuple[str, ...]],
    rebalanced_at: datetime | None,
) -> ResourcesView:
    allocations = {one.project: one for one in decision.allocations}
    quotas = {quota.project_name: quota for quota in given}
    pictures = survey.picture.projects
    held = {name: _reserved(project) for name, project in pictures.items()}
    return ResourcesView(
        at=survey.at,
        strategy=decision.strategy,
        total=_total(survey, snapshot, held, decision),
        projects=tuple(
            _project(
                pictures[name],
                held[name],
                allocations[name],
                quotas[name],
                share=used_by(pictures[name]).share(snapshot.capacity),
                waiting=survey.backlog.get(name, 0),
                problems=problems_of(name),
            )
            for name in sorted(pictures)
            if name in allocations and name in quotas
        ),
        locks=tuple(_lock(one, survey, words) for one in shared),
        enforcement=enforcement,
        problems=problems,
        pressure=f"{pressure[:1].upper()}{pressure[1:]}." if pressure else "",
        rebalanced_at=rebalanced_at,
    )


def held_back(survey: Survey, story_id: str, project: str) -> tuple[str, ...]:
    """What is behind a wait, of the project as a whole."""
    picture = survey.picture.projects.get(project)
    if picture is None:
        return ()
    details = []
    place = next((at for at, each in enumerate(picture.candidates, 1) if each.id == story_id), 0)
    if place and len(picture.candidates) > 1:
        of = len(picture.candidates)
        details.append(f"It is number {place} of the {of} that {project} may start next.")
    stories = [task.id for task in picture.at_work if task.kind is not Kind.DESIGN and task.id != story_id]
    if stories:
        details.append(f"At work for {project}: {', '.join(stories[:5])}{_more(stories)}.")
    if picture.forecast and survey.settings.resource_allocation_strategy == BY_FORECAST:
        details.append(f"{project} {picture.forecast}.")
    return tuple(details)


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 5} more" if len(names) > 5 else ""


def _reserved(project: ProjectPicture) -> Resources:
    return total([demand_of(project.terms, task.kind) for task in project.at_work])


def _project(
    project: ProjectPicture,
    held: Resources,
    allocation: Allocation,
    quota: Quota,
    *,
    share: float,
    waiting: int,
    problems: tuple[str, ...],
) -> ProjectResources:
    terms = project.terms
    return ProjectResources(
        project=terms.name,
        tier=terms.tier,
        quota=quota,
        running=int(held.agents),
        waiting=waiting,
        share=_part(share),  # not with what was decided to start, and may not yet
        entitled=_part(allocation.entitled),
        resources=tuple(
            ResourceView(
                resource=resource.value,
                unit=UNITS[resource],
                used=_used(project, resource, held),
                reserved=held.get(resource),
                allocated=limited(allocation.amounts.get(resource)),
                limit=limited(terms.limit.get(resource)),
            )
            for resource in SHOWN
        ),
        barred=project.barred.removeprefix("waits: "),
        forecast=project.forecast,
        problems=problems,
    )


def _used(project: ProjectPicture, resource: Resource, held: Resources) -> float | None:
    match resource:
        case Resource.MEMORY_MB:
            return project.measured.memory_mb
        case Resource.DISK_MB:
            return project.measured.disk_mb
        case Resource.CPU:
            return project.measured.cpu
        case _:
            return held.get(resource)


def _total(
    survey: Survey, snapshot: Snapshot, held: Mapping[str, Resources], decision: Decision
) -> tuple[ResourceView, ...]:
    reserved = total(list(held.values())) if held else NOTHING
    reading, pictures = survey.picture.reading, survey.picture.projects.values()
    used = {
        Resource.AGENTS: reserved.agents,
        Resource.CPU: reading.load_1m,
        Resource.MEMORY_MB: reading.memory_total_mb - reading.memory_available_mb,
        Resource.DISK_MB: math.fsum(each.measured.disk_mb or 0.0 for each in pictures),
    }
    given = total([one.amounts for one in decision.allocations]) if decision.allocations else NOTHING
    return tuple(
        ResourceView(
            resource=resource.value,
            unit=UNITS[resource],
            used=used[resource],
            reserved=reserved.get(resource),
            allocated=limited(given.get(resource)),
            limit=limited(snapshot.capacity.get(resource)),
        )
        for resource in SHOWN
        if resource is not Resource.CYCLES
    )


def _lock(one: SharedResource, survey: Survey, words: Mapping[str, str]) -> LockView:
    holders = tuple(hold.story_id for hold in one.holds)
    waiting = tuple(
        candidate.id
        for candidate in survey.offered
        if one.name in candidate.wants and words.get(candidate.id, "").startswith(f"waits: {one.name} ")
    )
    return LockView(name=one.name, places=one.places, holders=holders, waiting=waiting)


def _part(share: float) -> float:
    return min(max(share, 0.0), 1.0) if math.isfinite(share) else 1.0
