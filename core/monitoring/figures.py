"""What takes a look at everything together and so is asked for less often: health, allocations, budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from core.domain.metric import Sample
from core.monitoring.projects import DONE, NOT_DONE, WEEK_HOURS
from core.monitoring.recent import Recent
from core.monitoring.trees import TreeUse
from core.scheduler.metrics import HealthFacts, system_health_score
from core.store.metric_standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectTerms:
    """What a project may use, and whether its worker is there. None: no limit, or not known."""

    cores: float | None = None  # allocated
    memory_bytes: float | None = None
    disk_bytes: float | None = None
    budget_used: float | None = None
    workers_wanted: int = 0
    workers_alive: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    system_health: float | None = None
    resource_efficiency: float | None = None
    projects: Mapping[str, ProjectTerms] = field(default_factory=dict)


class FiguresSource(Protocol):
    async def look(self) -> Figures:
        """As of now. Raises OrchardError."""
        ...


def figure_samples(
    figures: Figures, standing: Standing, trees: Mapping[str, TreeUse], recent: Recent, now: datetime
) -> Iterator[Sample]:
    system = {"system_health": figures.system_health, "resource_efficiency": figures.resource_efficiency}
    for metric, value in system.items():
        if value is not None:
            yield Sample(metric=metric, value=value, at=now, source="scheduler")
    for project, terms in figures.projects.items():
        if project not in standing.projects:
            continue
        use = trees.get(project)
        measured = {
            "share_used": _share(None if use is None else use.cores, terms.cores),
            "budget_used": terms.budget_used,
            "project_health": system_health_score(_facts(project, terms, standing, use, recent, now)),
        }
        for metric, value in measured.items():
            if value is not None:
                labels = (("project", project),)
                yield Sample(metric=metric, value=value, at=now, source="scheduler", labels=labels)


def _facts(
    project: str,
    terms: ProjectTerms,
    standing: Standing,
    use: TreeUse | None,
    recent: Recent,
    now: datetime,
) -> HealthFacts:
    """Of the last week's outcomes. Without a worker that should be there, `workers` is no part of it."""
    own = standing.projects[project]
    memory, disk = (None, None) if use is None else (use.memory_bytes, use.disk_bytes)
    return HealthFacts(
        workers_wanted=terms.workers_wanted,
        workers_alive=terms.workers_alive,
        stories_open=own.open,
        stories_blocked=own.blocked,
        cycles_done=round(recent.sum(DONE, project, now, hours=WEEK_HOURS)),
        cycles_aborted=round(recent.sum(NOT_DONE, project, now, hours=WEEK_HOURS)),
        memory_used_share=_share(memory, terms.memory_bytes),
        disk_used_share=_share(disk, terms.disk_bytes),
    )


def _share(used: float | None, given: float | None) -> float | None:
    return None if used is None or not given else used / given
