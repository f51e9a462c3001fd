"""PURE: everything a decision is made from, as one value, and the snapshot that the strategies see of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.domain.story import Priority
from core.orchestrator.scheduling.candidates import Candidate, Kind, Places
from core.orchestrator.scheduling.demand import Terms
from core.orchestrator.scheduling.pressure import Ceilings, Reading, capacity_of, outside_of
from core.scheduler.resources import NOTHING, Resources, total
from core.scheduler.snapshot import ProjectShare, Reclaimed, RunningTask, Snapshot, Task

_STEP_SECONDS = 1e-6
_IDLE_CORES = 0.1  # of a project whose agents wait for something else than the processor


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """What runs: a phase, a batch that is merged, an epic's design. `since` in the snapshot's seconds."""

    id: str
    project: str
    kind: Kind
    since: float = 0.0
    priority: Priority = Priority.NORMAL
    parking: bool = False
    preemptible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of all that a project runs, now; None: it cannot be measured here."""

    memory_mb: float | None = None
    disk_mb: float | None = None
    cpu: float | None = None  # cores


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPicture:
    terms: Terms
    at_work: tuple[AtWork, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    measured: Measured = field(default_factory=Measured)
    decayed_use: Resources = NOTHING
    expected: Resources = NOTHING
    forecast: str = ""
    barred: str = ""  # why nothing of it may start now


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """`now` in seconds of a clock that never jumps; `since`: when each candidate could first have started."""

    now: float
    ceilings: Ceilings
    reading: Reading
    projects: Mapping[str, ProjectPicture] = field(default_factory=dict)
    shared: Mapping[str, Places] = field(default_factory=dict)
    since: Mapping[str, float] = field(default_factory=dict)
    reclaimed: tuple[Reclaimed, ...] = ()
    max_concurrent_projects: float = float("inf")

    @property
    def runs(self) -> int:
        return sum(len(project.at_work) for project in self.projects.values())

    @property
    def uses_processor(self) -> bool:
        """Whether anything at work does, as far as it is known. An agent that hangs uses none."""
        return any(
            project.measured.cpu is None or project.measured.cpu > _IDLE_CORES
            for project in self.projects.values()
            if project.at_work
        )


def demand_of(terms: Terms, kind: Kind) -> Resources:
    match kind:
        case Kind.MERGE:
            return terms.merge
        case Kind.DESIGN:
            return terms.design
        case Kind.PHASE:
            return terms.phase


def used_by(project: ProjectPicture) -> Resources:
    """What its tasks were admitted with, or what is measured where that is more.

    A project without a task uses nothing: what its worker and its caches still hold never keeps its own next
    task from starting. It counts as taken from the machine (`snapshot_of`).
    """
    if not project.at_work:
        return NOTHING
    terms, measured = project.terms, project.measured
    asked = total([demand_of(terms, task.kind) for task in project.at_work])
    return asked._replace(
        memory_mb=max(asked.memory_mb, measured.memory_mb or 0.0),
        disk_mb=max(asked.disk_mb, measured.disk_mb or 0.0),
    )


def capacity_in(picture: Picture) -> Resources:
    disk_mb = sum(project.measured.disk_mb or 0.0 for project in picture.projects.values())
    return capacity_of(picture.ceilings, picture.reading, disk_used_mb=disk_mb)


def snapshot_of(picture: Picture, candidates: Sequence[Candidate]) -> Snapshot:
    """With these of the picture's candidates."""
    waiting: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        waiting.setdefault(candidate.project, []).append(candidate)
    used = {name: used_by(project) for name, project in picture.projects.items()}
    capacity = capacity_in(picture)
    counted = [project.measured for name, project in picture.projects.items() if project.at_work]
    idle = [project.measured for name, project in picture.projects.items() if not project.at_work]
    outside = outside_of(
        capacity, picture.reading, memory_used_mb=sum(each.memory_mb or 0.0 for each in counted)
    )
    return Snapshot(
        now=picture.now,
        capacity=capacity,
        outside=outside._replace(disk_mb=sum(each.disk_mb or 0.0 for each in idle)),
        max_concurrent_projects=picture.max_concurrent_projects,
        reclaimed=picture.reclaimed,
        projects=tuple(
            _share(project, used[name], _tasks(picture, project, waiting.get(name, ())))
            for name, project in sorted(picture.projects.items())
        ),
    )


def _tasks(picture: Picture, project: ProjectPicture, candidates: Sequence[Candidate]) -> tuple[Task, ...]:
    """In the project's own order, which the strategies keep by the times: so the times of all are given out
    in that order, and whoever stands first has waited as long as any of them."""
    place = {candidate.id: at for at, candidate in enumerate(project.candidates)}
    ordered = sorted(candidates, key=lambda candidate: place[candidate.id])
    times = sorted(picture.since.get(candidate.id, picture.now) for candidate in candidates)
    found: list[Task] = []
    last = -math.inf
    for candidate, time in zip(ordered, times, strict=True):
        last = max(time, last + _STEP_SECONDS)
        task = Task(
            candidate.id,
            candidate.demand,
            submitted_at=last,
            priority=candidate.priority,
            reserved=candidate.kind is Kind.DESIGN,
        )
        found.append(task)
    # None may have come later than now: those would count as one moment.
    ahead = max(last - picture.now, 0.0) if found else 0.0
    return (
        tuple(task._replace(submitted_at=task.submitted_at - ahead) for task in found)
        if ahead
        else tuple(found)
    )


def _share(project: ProjectPicture, used: Resources, waiting: tuple[Task, ...]) -> ProjectShare:
    terms = project.terms
    return ProjectShare(
        name=terms.name,
        weight=terms.weight,
        tier=terms.tier,
        guaranteed=terms.guaranteed,
        limit=terms.limit,
        used=used,
        lends=terms.lends,
        decayed_use=project.decayed_use,
        expected=project.expected,
        waiting=waiting,
        running=tuple(
            RunningTask(
                task.id,
                demand_of(terms, task.kind),
                started_at=task.since,
                priority=task.priority,
                preemptible=task.preemptible and task.kind is Kind.PHASE,
                parking=task.parking,
            )
            for task in project.at_work
        ),
    )
