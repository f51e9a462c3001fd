"""A repository asked for beside no running Orchard, with the credential that a running one would use."""

from __future__ import annotations

from config.loader import Configuration
from core.bus import Bus
from core.clock import SystemClock
from core.github.api.gateway import GithubGateway
from core.github.keeping import found_of
from core.orchestrator.github_views import FoundRepository
from core.security.secrets import Secrets
from core.security.vault import Vault


async def ask_once(configuration: Configuration, project: str, repository: str) -> FoundRepository:
    """Raises OrchardError: GithubError, or what is wrong with the store or its key."""
    vault, clock = Vault(configuration), SystemClock()
    async with vault.open_store(clock=clock, bus=Bus()) as store:
        gateway = GithubGateway(
            store,
            lambda: configuration.settings,
            Secrets(store, vault.key, vault.auditor),
            root=configuration.root,
            clock=clock,
        )
        try:
            repo = await gateway.named(project, repository)
            return found_of(await repo.about(), repo.credential)
        finally:
            await gateway.close()
