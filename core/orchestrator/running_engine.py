"""The running Orchard, as its commands see it."""

from __future__ import annotations

from pathlib import Path

from core.domain.project import Project
from core.gateway.service import Gateway, GatewayView
from core.orchestrator.budgets import Budgets
from core.orchestrator.dispatcher import Dispatcher
from core.orchestrator.epics import EpicDesigns
from core.orchestrator.resource_views import Optimization, ResourcesView
from core.orchestrator.scheduling.engine import ResourceEngine
from core.orchestrator.setups import Setups
from core.orchestrator.views import WorkerView
from core.worker.contract import SuiteReport
from core.worker.worktree import taken_mark


class RunningEngine:
    """`core.orchestrator.commands.topic.Engine`, by the parts that are at work."""

    def __init__(
        self,
        setups: Setups,
        *,
        dispatcher: Dispatcher,
        designs: EpicDesigns,
        resources: ResourceEngine,
        budgets: Budgets,
        gateway: Gateway,
    ) -> None:
        self._setups = setups
        self._dispatcher = dispatcher
        self._designs = designs
        self._resources = resources
        self._gateway = gateway
        self.budgets = budgets

    def why(self, story_id: str) -> str:
        if slow := self._gateway.why_slow(story_id):
            return f"its next call to a model waits: {slow}."
        return self._designs.why(story_id) or self._dispatcher.why(story_id)

    async def gateway(self) -> GatewayView:
        return await self._gateway.view()

    async def resources(self) -> ResourcesView:
        return await self._resources.view()

    async def optimize(self, strategy: str | None, dry_run: bool, by: str) -> Optimization:
        if dry_run:
            return await self._resources.dry_run(strategy)
        return await self._resources.rebalance(by=by)

    async def explain(self, story_id: str) -> tuple[str, tuple[str, ...], str]:
        return await self._dispatcher.explain(story_id)

    def worker_view(self, project: str) -> WorkerView:
        return self._dispatcher.supervisor.view(project)

    async def prepare(self, project: Project) -> None:
        self._setups.learn(project)
        self._setups.project(project.name)
        self._setups.check_agents(project.name)
        self._dispatcher.release(project.name)
        await self._dispatcher.supervisor.ensure(project.name)
        self._dispatcher.wake()

    async def halt(self, project: str) -> None:
        await self._dispatcher.supervisor.stop(project)

    async def cancel(self, project: str, story_id: str) -> None:
        await self._dispatcher.cancel(project, story_id)

    def nudge(self, story_id: str) -> None:
        self._dispatcher.nudge(story_id)

    def worktree(self, project: str, story_id: str) -> Path:
        return self._setups.state_path.resolve() / "worktrees" / project / story_id

    def is_open(self, project: str, story_id: str) -> bool:
        opened = taken_mark(self._setups.state_path, project, story_id).exists()
        return opened and self.worktree(project, story_id).exists()

    async def open_worktree(self, project: str, story_id: str) -> Path:
        return await self._dispatcher.requests.open_worktree(project, story_id)

    async def steer(self, project: str, story_id: str, text: str) -> bool:
        return await self._dispatcher.requests.steer(project, story_id, text)

    async def run_tests(self, project: str, story_id: str | None) -> SuiteReport:
        return await self._dispatcher.requests.run_tests(project, story_id)

    async def stop_tests(self, project: str, story_id: str | None) -> bool:
        return await self._dispatcher.requests.stop_tests(project, story_id)
