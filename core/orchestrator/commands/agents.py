"""The agents of this machine: which there are, how they reach their models, fetching one, checking one."""

from __future__ import annotations

from datetime import UTC, datetime

from core.agents.conformance import Conformance
from core.agents.installed import Installed
from core.errors import InvalidInput
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
        made = await self._desk().install(name, version=version)
        await self.agent_changed(name, "agent_installed", " ".join(made.versions.values()))
        return made

    async def uninstall_agent(self, name: str) -> None:
        """Raises NotFound when Orchard did not install it."""
        await self._desk().uninstall(name)
        await self.agent_changed(name, "agent_removed")

    async def agent_changed(self, name: str, deed: str, version: str = "") -> None:
        """What may run here is another now: a row of the audit log. `deed`: agent_installed or
        agent_removed."""
        from core.security.audit import AuditKind

        if deed not in ("agent_installed", "agent_removed"):
            raise InvalidInput(f"'{deed[:40]}' is nothing that is done with agents.")
        auditor, data = self._vault.auditor, {"deed": deed, "version": version[:60]}
        subject = f"agent:{name.strip()[:100]}"
        await self._store.write(
            lambda tx: auditor.record(tx, AuditKind.OPERATOR_ACTED, actor="cli", subject=subject, data=data)
        )

    async def check_agent(self, name: str, upstream: str | None = None) -> Conformance:
        """A tiny story with it, as `orchard agents check`. A minute."""
        return await self._desk().check(name, upstream=upstream)

    def _desk(self) -> AgentDesk:
        configuration = self._registry.configuration
        return AgentDesk(configuration, variables(configuration.root))
