"""The server: REST, gateway, attachments and the people's door on one loopback port."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.localguild.control import Control, Switches
from bot.localguild.desk import Desk
from bot.localguild.exchange import OnExchange
from bot.localguild.gateway import OnEvent
from bot.localguild.people import InProcess, Person
from bot.localguild.rest.service import PREFIX, RestService
from bot.localguild.settings import GuildSettings
from bot.localguild.world import World

_GATEWAY_PATH = "/gateway"
_MAX_BODY_BYTES = 64 << 20


class LocalGuild:
    """A Discord of one guild on 127.0.0.1. Use as an async context manager, or start() and stop().

    `on_exchange` is called with every REST exchange after it was answered, `on_event` with the name
    and data of every gateway event sent.
    """

    def __init__(
        self,
        settings: GuildSettings | None = None,
        *,
        on_exchange: OnExchange | None = None,
        on_event: OnEvent | None = None,
        port: int = 0,
    ) -> None:
        self.settings = settings or GuildSettings()
        self.world = World(self.settings, now=lambda: datetime.now(UTC), monotonic=time.monotonic)
        self.world.gateway.on_event = on_event
        self.desk = Desk(self.world)
        self.switches = Switches(self.world)
        self._rest = RestService(self.world, on_exchange)
        self._wanted_port = port
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken.

        After a stop it listens on the same port again, with everything as it was: Discord was down.
        """
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.add_routes(self._rest.routes())
        application.router.add_get(_GATEWAY_PATH, self.world.gateway.handle)
        application.router.add_get(_GATEWAY_PATH + "/", self.world.gateway.handle)
        application.router.add_get("/{folder:(ephemeral-)?attachments}/{channel}/{id}/{name}", self._download)
        Control(self.desk, self.switches).add_to(application)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._wanted_port)
        await site.start()
        address = self._runner.addresses[0]
        self.port = self._wanted_port = int(address[1])  # the same again after a stop
        self.world.base_url = f"http://127.0.0.1:{self.port}"
        self.world.gateway.url = self.gateway_url

    async def stop(self) -> None:
        await self.world.gateway.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The server's address, where also the people's door is."""
        return self.world.base_url

    @property
    def api_url(self) -> str:
        return f"{self.world.base_url}{PREFIX}"

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{_GATEWAY_PATH}/"

    @property
    def token(self) -> str:
        return self.world.token

    @property
    def guild_id(self) -> int:
        return self.world.guild.id

    @property
    def environment(self) -> Mapping[str, str]:
        """What a bot needs in its environment to live here."""
        return {
            "DISCORD_TOKEN": self.token,
            "DISCORD_API_URL": self.api_url,
            "DISCORD_GATEWAY_URL": self.gateway_url,
        }

    def person(self, name: str) -> Person:
        """A person of the guild (who joins if need be), driven from this process."""
        return Person(InProcess(self.desk), name)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        found = self.world.files.get(
            int(request.match_info["id"]) if request.match_info["id"].isdigit() else 0
        )
        if found is None or found.filename != request.match_info["name"]:
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=found.content, headers={"Content-Type": found.content_type})
