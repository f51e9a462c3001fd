"""A checked local guild for tests of the bot and of the server itself.

Fixtures: `guild` (a running LocalGuild; every exchange is checked and a refusal fails the test),
`checker`, `guild_settings` (override to change the guild), `person` (a factory), `alice`, and
`running_client`, which runs an unmodified discord.py client against `guild` until it is ready.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest

from bot.discord.endpoint import endpoint
from bot.localguild import GuildSettings, LocalGuild, Person
from tests.discord.openapi_checker import ExchangeChecker, OpenApiChecker
from tests.discord.patience import patient_guild
from tests.waiting import SECONDS

DESCRIPTION = Path(__file__).parents[3] / "shared" / "discord" / "openapi.json"
WITHOUT_DESCRIPTION = "Discord's OpenAPI description is not beside the project"


@pytest.fixture(scope="session")
def openapi() -> OpenApiChecker:
    """Discord's description, compiled; without its file only the extra rules are checked."""
    description: Any = json.loads(DESCRIPTION.read_text("utf-8")) if DESCRIPTION.exists() else None
    return OpenApiChecker(description)


@pytest.fixture
def described_openapi(openapi: OpenApiChecker) -> OpenApiChecker:
    """For tests that are about the description: skipped where it is absent."""
    if openapi.description is None:
        pytest.skip(WITHOUT_DESCRIPTION)
    return openapi


@pytest.fixture
def checker(openapi: OpenApiChecker) -> Iterator[ExchangeChecker]:
    checker = ExchangeChecker(openapi)
    yield checker
    checker.verify()


@pytest.fixture
def guild_settings() -> GuildSettings:
    return patient_guild()


@pytest.fixture
async def guild(guild_settings: GuildSettings, checker: ExchangeChecker) -> AsyncIterator[LocalGuild]:
    async with LocalGuild(guild_settings, on_exchange=checker, on_event=checker.see_event) as guild:
        yield guild


@pytest.fixture
def person(guild: LocalGuild) -> Callable[[str], Person]:
    return guild.person


@pytest.fixture
def alice(guild: LocalGuild) -> Person:
    return guild.person("alice")


RunClient = Callable[[discord.Client], AbstractAsyncContextManager[discord.Client]]


@pytest.fixture
def running_client(guild: LocalGuild) -> RunClient:
    """`async with running_client(client):` the client is ready inside, and closed after."""

    @asynccontextmanager
    async def run(client: discord.Client) -> AsyncIterator[discord.Client]:
        with endpoint(guild.api_url, guild.gateway_url):
            task = asyncio.create_task(client.start(guild.token), name="discord-client")
            ready = asyncio.create_task(_until_ready(client, guild), name="until-ready")
            try:
                await asyncio.wait({task, ready}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    task.result()
                assert ready.done(), "the client did not become ready"
                yield client
            finally:
                ready.cancel()
                await client.close()
                await asyncio.wait({task}, timeout=SECONDS)
                if not task.cancelled() and task.exception() is not None:
                    raise task.exception()  # a bot that died of an event must not pass

    return run


async def _until_ready(client: discord.Client, guild: LocalGuild) -> None:
    # discord.py's own wait_until_ready may be called only after its login
    await guild.world.gateway.wait_until(lambda: bool(guild.world.gateway.live_sessions), timeout=SECONDS)
    await client.wait_until_ready()


Api = Callable[..., Any]


@pytest.fixture
async def api(guild: LocalGuild) -> AsyncIterator[Api]:
    """`await api("POST", "/channels/1/messages", {...})` gives (status, body) as a bot without a library."""
    headers = {"Authorization": f"Bot {guild.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def call(method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
            if body is not None:
                more["json"] = body
            async with session.request(method, guild.api_url + path, **more) as response:
                is_json = response.content_type == "application/json"
                return response.status, (await response.json() if is_json else await response.text())

        yield call
