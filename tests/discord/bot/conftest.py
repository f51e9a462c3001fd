"""The real core (store, commands, no workers) behind the real bot in the local guild."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.discord.options import DiscordOptions
from bot.discord.pacing import Backoff
from bot.discord.service import DiscordService
from bot.localguild import LocalGuild, Person
from tests.discord.bot.real_core import Orchard, open_orchard
from tests.discord.patience import patient_bot
from tests.waiting import until


@pytest.fixture
async def orchard(tmp_path: Path) -> AsyncIterator[Orchard]:
    async with open_orchard(tmp_path) as orchard:
        await orchard.add_project("shop")
        yield orchard


RunBot = Callable[..., AbstractAsyncContextManager[DiscordService]]


@pytest.fixture
def run_bot(guild: LocalGuild, orchard: Orchard, monkeypatch: pytest.MonkeyPatch) -> RunBot:
    """`async with run_bot() as service:` the bot is in the guild and its commands are there; options may
    be given. With `wait=False` it only starts."""
    patient_bot(monkeypatch.setattr)
    # What is slow is not promised first either: an answer is there when it is there.
    monkeypatch.setattr("cogs.replies.SLOW_SECONDS", 30.0)

    @asynccontextmanager
    async def run(*, wait: bool = True, **options: Any) -> AsyncIterator[DiscordService]:
        defaults: dict[str, Any] = {
            "token": guild.token,
            "guild_id": guild.guild_id,
            "api_url": guild.api_url,
            "gateway_url": guild.gateway_url,
        }
        service = DiscordService(
            DiscordOptions(**{**defaults, **options}),
            store=orchard.store,
            bus=orchard.bus,
            commands=orchard.commands,
            clock=orchard.clock,
            backoff=Backoff(first_seconds=0.1, longest_seconds=0.3),
            live_pause_seconds=0.2,
            missed_idle_seconds=0.05,
        )
        orchard.commands.discord_status = lambda: service.status
        task = asyncio.create_task(service.run(), name="discord service")
        try:
            if wait:
                await until(lambda: service.connected or task.done(), "a connected bot")
                await until(guild.person("alice").commands, "registered commands")
            yield service
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.wait({task})

    return run


@pytest.fixture
async def service(run_bot: RunBot) -> AsyncIterator[DiscordService]:
    async with run_bot() as service:
        yield service


@pytest.fixture
def bob(guild: LocalGuild) -> Person:
    return guild.person("bob")
