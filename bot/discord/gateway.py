"""Keeps one bot connected: starts it, notices that it died, waits, starts the next.

discord.py ends for good when its first connection fails, and knocks without a pause when a session is
refused again and again. So each connection is a bot of its own, and the pauses between them are ours.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import aiohttp
import discord

from bot.discord.client import BeforeIdentify, OrchardBot
from bot.discord.endpoint import use_gateway
from bot.discord.pacing import Backoff, IdentifyBudget
from core.clock import Clock
from core.errors import OrchardError
from core.ids import new_id

_log = logging.getLogger(__name__)

STEADY_SECONDS = 600.0  # a connection that held this long forgets the failures before it
LOGIN_SECONDS = 60.0
READY_SECONDS = 90.0
DROPS_ALLOWED = 5  # lost connections in a minute; discord.py itself knocks again without a pause
LONGEST_IDENTIFY_WAIT = 30.0  # discord.py gives a connection 60 s to identify


class Link(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"  # for the next try
    REFUSED = "refused"  # the token or the intents: no further try makes sense
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    link: Link
    sentence: str  # for people


class IdentifyHeld(Exception):
    """One more IDENTIFY now could cost the bot its token."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"held back for {seconds:.0f} s: Discord allows 1,000 sessions a day")
        self.seconds = seconds


class NotReady(Exception):
    """Connected, but Discord never said READY, or the connection keeps dropping."""


class MakeBot(Protocol):
    def __call__(
        self, *, before_identify: BeforeIdentify, on_home: Callable[[discord.Guild], None]
    ) -> OrchardBot: ...


class Gateway:
    """`status` is readable at any time; `home()` waits until a bot is connected to its server."""

    def __init__(
        self,
        make_bot: MakeBot,
        token: str,
        *,
        clock: Clock,
        own_gateway: bool = False,
        backoff: Backoff | None = None,
        budget: IdentifyBudget | None = None,
    ) -> None:
        self._make_bot = make_bot
        self._token = token
        self._clock = clock
        self._own_gateway = own_gateway  # its address was given: do not ask the API for it
        self._backoff = backoff or Backoff()
        self._budget = budget or IdentifyBudget()
        self._status = Status(link=Link.CONNECTING, sentence="connecting")
        self._home: tuple[OrchardBot, discord.Guild] | None = None
        self._arrived = asyncio.Event()

    @property
    def status(self) -> Status:
        bot = self._home[0] if self._home else None
        if bot is not None and bot.user is not None and self._status.link is Link.CONNECTED:
            return Status(link=Link.CONNECTED, sentence=f"connected as {bot.user.name}")
        return self._status

    @property
    def current(self) -> tuple[OrchardBot, discord.Guild] | None:
        """The connected bot and its server, or None."""
        return self._home

    async def home(self) -> tuple[OrchardBot, discord.Guild]:
        """The connected bot and its server; waits for them."""
        while self._home is None:
            await self._arrived.wait()
        return self._home

    async def run(self) -> None:
        """Until cancelled, or until Discord refuses the token for good."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            pause: float | None = None
            try:
                await self._connect_once()
                reason = "Discord closed the connection"
            except discord.LoginFailure:
                self._refuse(
                    "Discord refuses the token: check DISCORD_TOKEN. Orchard goes on without Discord."
                )
                return
            except discord.PrivilegedIntentsRequired:
                self._refuse("Discord refuses the bot's intents. Orchard goes on without Discord.")
                return
            except IdentifyHeld as held:
                reason, pause = str(held), held.seconds
            except Exception as error:
                reason = _sentence(error)
            finally:
                self._leave()
            failures = 1 if self._clock.monotonic() - began > STEADY_SECONDS else failures + 1
            seconds = pause or self._backoff.delay(failures, random.random())  # noqa: S311
            self._status = Status(
                link=Link.WAITING, sentence=f"not connected ({reason}); next try in {seconds:.0f} s"
            )
            _log.warning("Discord: %s", self._status.sentence)
            await asyncio.sleep(seconds)

    # -- one connection ----------------------------------------------------------------------

    async def _connect_once(self) -> None:
        self._status = Status(link=Link.CONNECTING, sentence="connecting")
        bot = self._make_bot(before_identify=self._before_identify, on_home=self._arrive)
        self._bot = bot
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                await bot.login(self._token)
                await self._ask_for_gateway(bot)
            connection = asyncio.create_task(bot.connect(reconnect=False), name="discord: connection")
            watch = asyncio.create_task(self._watch(bot), name="discord: watch")
            try:
                await asyncio.wait({connection, watch}, return_when=asyncio.FIRST_COMPLETED)
                for task in (watch, connection):
                    if task.done():
                        task.result()
            finally:
                for task in (connection, watch):
                    task.cancel()
                await asyncio.gather(connection, watch, return_exceptions=True)
        finally:
            await _close(bot)

    async def _ask_for_gateway(self, bot: OrchardBot) -> None:
        """Where the gateway is and how many sessions are left, as Discord asks bots to do at start."""
        try:
            _, url, limit = await bot.http.get_bot_gateway()
        except (discord.HTTPException, discord.GatewayNotFound, KeyError, TypeError):
            _log.debug("no /gateway/bot", exc_info=True)
            return
        if not self._own_gateway:
            use_gateway(url)
        if limit.get("remaining", 1) <= 0:
            raise IdentifyHeld(limit.get("reset_after", 0) / 1000 or 60.0)

    async def _before_identify(self) -> None:
        seconds = self._budget.take(self._clock.monotonic())
        if seconds > LONGEST_IDENTIFY_WAIT:
            raise IdentifyHeld(seconds)
        if seconds > 0:
            await asyncio.sleep(seconds)
            self._budget.take(self._clock.monotonic())

    async def _watch(self, bot: OrchardBot) -> None:
        """Raises NotReady when the connection is of no use."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await bot.wait_until_ready()
        except TimeoutError:
            raise NotReady(f"Discord was not ready after {READY_SECONDS:.0f} s") from None
        self._status = Status(link=Link.CONNECTED, sentence="connected")
        if self._home is None:
            self._complain(bot)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            recent = [at for at in bot.drops if at > loop.time() - 60]
            if len(recent) > DROPS_ALLOWED:
                raise NotReady(f"the connection dropped {len(recent)} times in a minute")

    def _arrive(self, guild: discord.Guild) -> None:
        self._home = (self._bot, guild)
        self._status = Status(link=Link.CONNECTED, sentence="connected")
        self._arrived.set()

    def _leave(self) -> None:
        self._home = None
        self._arrived.clear()
        if self._status.link in (Link.CONNECTED, Link.CONNECTING):
            self._status = Status(link=Link.STOPPED, sentence="not connected")

    def _complain(self, bot: OrchardBot) -> None:
        try:
            bot.home()
        except OrchardError as error:
            self._status = Status(link=Link.CONNECTED, sentence=f"connected, but: {error}")

    def _refuse(self, sentence: str) -> None:
        self._status = Status(link=Link.REFUSED, sentence=sentence)
        _log.error("%s", sentence)


async def _close(bot: OrchardBot) -> None:
    try:
        async with asyncio.timeout(5):
            await bot.close()
    except (TimeoutError, OSError, aiohttp.ClientError):
        _log.debug("the old connection did not close in order", exc_info=True)


def _sentence(error: Exception) -> str:
    """Why there is no connection, in words; what we did not foresee is logged with its trace."""
    if isinstance(error, NotReady | OrchardError):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"nothing answers at {error.host}:{error.port}"
    if isinstance(error, discord.HTTPException):
        return f"Discord answered {error.status}"
    if isinstance(error, discord.ConnectionClosed):
        return f"the gateway closed the connection with code {error.code}"
    if isinstance(error, OSError | aiohttp.ClientError | TimeoutError | discord.GatewayNotFound):
        return f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, AttributeError) and "sequence" in str(error):
        return "the gateway does not answer"  # discord.py's own words for it are a crash
    error_id = new_id("error")
    _log.error("%s: the Discord connection broke", error_id, exc_info=error)
    return f"it broke: {error_id} in the log"
