"""The commands beside no running Orchard: the store is read and written, nothing is run.

Apart from `runtime`, since a command line starts each time anew and should not wait for what it does not use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from config.loader import Configuration
from core.bus import Bus
from core.clock import SystemClock
from core.folder import state_folder
from core.orchestrator.commands import Commands
from core.orchestrator.commands.admission import admitted
from core.orchestrator.registry import Registry
from core.security.access import AT_THE_MACHINE
from core.security.vault import Vault


@asynccontextmanager
async def open_commands(
    configuration: Configuration, load: Callable[[], Configuration]
) -> AsyncIterator[Commands]:
    """Raises Unavailable when the state folder or the store cannot be used."""
    state_folder(configuration)
    vault = Vault(configuration)
    async with vault.open_store(clock=SystemClock(), bus=Bus()) as store:
        registry = Registry(store, configuration, load)
        await registry.adopt(announce=False)
        yield admitted(Commands(store, registry, None, vault=vault), AT_THE_MACHINE)
