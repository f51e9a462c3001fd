"""What can be learned from all projects' figures."""

from __future__ import annotations

from core.domain.insights import Insights as Figures
from core.orchestrator.commands.topic import Topic
from core.store import insights


class Insights(Topic):
    async def insights(self) -> Figures:
        return await self._store.read(insights.look)
