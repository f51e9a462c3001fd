"""Resources: how they are shared, shared anew, and why a story waits."""

from __future__ import annotations

from core.orchestrator.commands.topic import Topic
from core.orchestrator.resource_views import Optimization, ResourcesView


class Resources(Topic):
    async def resources(self) -> ResourcesView:
        return await self._running("Shares are known").resources()

    async def optimize(
        self, *, strategy: str | None = None, dry_run: bool = False, actor: str
    ) -> Optimization:
        return await self._running("Resources are shared").optimize(strategy, dry_run, actor)
