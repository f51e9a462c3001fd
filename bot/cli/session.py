"""Orchard's commands for a command line: those of the running Orchard, or of the store when none runs."""

from __future__ import annotations

import asyncio
import fcntl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot.configuration import loader
from config.loader import Configuration
from core.errors import Unavailable
from core.orchestrator.control import connect, socket_path

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands

_STARTING_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    commands: Commands
    configuration: Configuration
    running: bool  # False: nothing runs, what is changed waits for the next start


@asynccontextmanager
async def open_session(root: Path, *, looking: bool = False) -> AsyncIterator[Session]:
    """Raises OrchardError: a bad configuration, a state folder that cannot be used.

    `looking`: nothing will be changed, so an Orchard that was never used here is not begun either.
    """
    load = loader(root)
    configuration = load()
    async with AsyncExitStack() as stack:
        commands = await _running(stack, configuration.state_path)
        running = commands is not None
        if commands is None:
            from core.offline import open_commands  # not needed, and not waited for, beside a running one

            used = configuration
            if looking and not (configuration.state_path / "orchard.db").exists():
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchard-look-"))
                used = replace(configuration, state_path=Path(folder))
            commands = await stack.enter_async_context(open_commands(used, load))
        yield Session(commands=commands, configuration=configuration, running=running)


async def _running(stack: AsyncExitStack, state_path: Path) -> Commands | None:
    """The running Orchard's commands. One that is just starting is waited for: the store is its own then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _STARTING_SECONDS
    while True:
        try:
            return await stack.enter_async_context(connect(socket_path(state_path)))
        except (Unavailable, NotADirectoryError):
            holder = running_pid(state_path)
            if holder is None:
                return None
        except OSError as error:
            raise Unavailable(
                "The running Orchard cannot be reached.",
                why=f"{socket_path(state_path)}: {error.strerror or error}.",
                hint="Only the user who runs it may speak to it.",
            ) from error
        if loop.time() > deadline:
            raise Unavailable(
                f"Orchard (pid {holder}) is starting or stopping, and does not answer.",
                hint="Try again in a moment.",
            )
        await asyncio.sleep(0.1)


def running_pid(state_path: Path) -> int | None:
    """The process that holds the state folder, if one does."""
    try:
        with (state_path / "orchard.lock").open() as file:
            pid = int(file.read().strip() or 0)
            if not pid or not Path(f"/proc/{pid}").exists():
                return None
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return pid
    except (OSError, ValueError):
        pass
    return None
