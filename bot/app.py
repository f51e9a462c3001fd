"""The composition root: the runtime and its faces. Nothing else builds services."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.configuration import loader as loader
from bot.discord.options import options_of
from bot.discord.service import NO_TOKEN, DiscordService
from config.loader import Configuration
from core.runtime import Runtime, open_runtime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    runtime: Runtime
    discord: DiscordService | None


@asynccontextmanager
async def open_app(
    load_configuration: Callable[[], Configuration], *, discord: bool = True
) -> AsyncIterator[App]:
    """The whole of Orchard, running. Without a token it runs with everything but Discord."""
    async with open_runtime(load_configuration) as runtime:
        options = options_of(lambda: runtime.configuration().settings)
        if not discord:
            runtime.commands.discord_status = lambda: "switched off"
            yield App(runtime=runtime, discord=None)
            return
        if options is None:
            runtime.commands.discord_status = lambda: NO_TOKEN
            yield App(runtime=runtime, discord=None)
            return
        service = DiscordService(
            options,
            store=runtime.store,
            bus=runtime.bus,
            commands=runtime.commands,
            clock=runtime.clock,
        )
        runtime.commands.discord_status = lambda: service.status
        task = asyncio.create_task(service.run(), name="discord")
        task.add_done_callback(_log_end)
        try:
            yield App(runtime=runtime, discord=service)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("Discord ended; everything else goes on", exc_info=error)


async def until_stopped() -> None:
    """Waits for SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
