"""The composition root: the runtime and its faces. Nothing else builds services."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.configuration import loader as loader
from bot.discord.options import options_of
from bot.web.service import SWITCHED_OFF, WebService
from config.loader import Configuration
from core.runtime import Runtime, open_runtime

if TYPE_CHECKING:
    from bot.discord.service import DiscordService
    from bot.localguild.people import Link

log = logging.getLogger(__name__)

NO_TOKEN = "no token: running without Discord"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    runtime: Runtime
    discord: DiscordService | None
    web: WebService | None = None


@asynccontextmanager
async def open_app(
    load_configuration: Callable[[], Configuration],
    *,
    discord: bool = True,
    web: bool = True,
    guild: Link | None = None,
) -> AsyncIterator[App]:
    """The whole of Orchard, running. Without a token it runs with everything but Discord. `guild`: one on
    this machine, which the dashboard shows."""
    async with open_runtime(load_configuration) as runtime, AsyncExitStack() as stack:
        pages = await stack.enter_async_context(_web(runtime, guild)) if web else None
        chat = await stack.enter_async_context(_discord(runtime)) if discord else None
        if not discord:
            runtime.commands.discord_status = lambda: "switched off"
        yield App(runtime=runtime, discord=chat, web=pages)


@asynccontextmanager
async def _discord(runtime: Runtime) -> AsyncIterator[DiscordService | None]:
    options = options_of(lambda: runtime.configuration().settings)
    if options is None:
        runtime.commands.discord_status = lambda: NO_TOKEN
        yield None
        return
    # Half a second of processor time, which nobody waits for who has no token; in a thread, for all the rest
    # is at work already.
    discord = await asyncio.to_thread(importlib.import_module, "bot.discord.service")
    service: DiscordService = discord.DiscordService(
        options,
        store=runtime.store,
        bus=runtime.bus,
        commands=runtime.commands,
        clock=runtime.clock,
    )
    runtime.commands.discord_status = lambda: service.status
    runtime.monitoring.add(service.probe)
    async with _beside(service.run(), "Discord"):
        yield service


@asynccontextmanager
async def _web(runtime: Runtime, guild: Link | None) -> AsyncIterator[WebService | None]:
    if not runtime.configuration().settings.global_.web.enabled:
        runtime.commands.web_status = lambda: SWITCHED_OFF
        yield None
        return
    service = WebService(runtime, guild)
    runtime.commands.web_status = lambda: service.status
    async with _beside(service.run(), "the web server"):
        yield service


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """A face that may end by itself: the rest goes on."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_end)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended; everything else goes on", task.get_name(), exc_info=error)


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
