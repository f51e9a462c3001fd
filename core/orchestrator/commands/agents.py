"""The agents of this machine: which there are, how they reach their models, fetching one, checking one."""

from __future__ import annotations

from datetime import UTC, datetime

from core.agents.conformance import Conformance
from core.agents.installed import Installed
from core.folder import variables
from core.orchestrator.agent_desk import AgentDesk, AgentView
from core.orchestrator.commands.topic import Topic
from core.orchestrator.model_view import ModelsView
from core.store import usage


class Agents(Topic):
    async def agents(self) -> tuple[AgentView, ...]:
        """Every row, by name: where it is, how it reaches its model, who uses it, what it lacks."""
        return self._desk().views()

    async def models(self) -> ModelsView:
        """The model gateway as of now, and which providers take no work until when."""
        holds = await self._store.read(usage.holds)
        now = datetime.now(UTC)
        gateway = await self._engine.gateway() if self._engine is not None else None
        return ModelsView(gateway=gateway, holds=tuple(one for one in holds if one.until > now))

    async def install_agent(self, name: str, version: str | None = None) -> Installed:
        """Fetches it, or another version of it, into Orchard's own folder; whole or not at all. Minutes."""
        return await self._desk().install(name, version=version)

    async def uninstall_agent(self, name: str) -> None:
        """Raises NotFound when Orchard did not install it."""
        await self._desk().uninstall(name)

    async def check_agent(self, name: str, upstream: str | None = None) -> Conformance:
        """A tiny story with it, as `orchard agents check`. A minute."""
        return await self._desk().check(name, upstream=upstream)

    def _desk(self) -> AgentDesk:
        configuration = self._registry.configuration
        return AgentDesk(configuration, variables(configuration.root))
