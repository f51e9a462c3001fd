"""Orchard's commands for a command line: those of the running Orchard, or of the store when none runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.app import loader
from config.loader import Configuration
from core.errors import Unavailable
from core.orchestrator.commands import Commands
from core.orchestrator.control import connect, socket_path
from core.runtime import open_commands


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    commands: Commands
    configuration: Configuration
    running: bool  # False: nothing runs, what is changed waits for the next start


@asynccontextmanager
async def open_session(root: Path) -> AsyncIterator[Session]:
    """Raises OrchardError: a bad configuration, a state folder that cannot be used."""
    load = loader(root)
    configuration = load()
    try:
        connection = connect(socket_path(configuration.state_path))
        commands = await connection.__aenter__()
    except Unavailable:
        async with open_commands(configuration, load) as local:
            yield Session(commands=local, configuration=configuration, running=False)
        return
    try:
        yield Session(commands=commands, configuration=configuration, running=True)
    finally:
        await connection.__aexit__(None, None, None)
