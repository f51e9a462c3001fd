"""What the running parts know of all projects together, as it is measured each minute."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core.monitoring.figures import Figures, ProjectTerms
from core.orchestrator.commands.topic import Engine
from core.orchestrator.resource_views import Metrics, ProjectResources
from core.scheduler.resources import Resource

_MB = 1 << 20
# WorkerView.state, as for the system's health.
_ALIVE, _LOST = "running", ("backing off", "quarantined")


class EngineFigures:
    """`core.monitoring.figures.FiguresSource`. `metrics`: the four figures of all projects."""

    def __init__(self, engine: Engine, metrics: Callable[[], Awaitable[Metrics]]) -> None:
        self._engine = engine
        self._metrics = metrics

    async def look(self) -> Figures:
        figures, view = await self._metrics(), await self._engine.resources()
        return Figures(
            system_health=figures.system_health_score,
            resource_efficiency=figures.resource_efficiency,
            projects={one.project: self._terms(one) for one in view.projects},
        )

    def _terms(self, one: ProjectResources) -> ProjectTerms:
        by_name = {each.resource: each for each in one.resources}
        memory, disk = by_name[Resource.MEMORY_MB].limit, by_name[Resource.DISK_MB].limit
        state = self._engine.worker_view(one.project).state
        return ProjectTerms(
            cores=by_name[Resource.CPU].allocated,
            memory_bytes=None if memory is None else memory * _MB,
            disk_bytes=None if disk is None else disk * _MB,
            budget_used=self._engine.budgets.used(one.project),
            workers_wanted=int(state == _ALIVE or state in _LOST),
            workers_alive=int(state == _ALIVE),
        )
