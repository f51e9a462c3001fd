"""One live message a project: how its sprint stands, edited as things happen, not posted again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import discord

from bot.discord import render
from bot.discord.channels import ProjectChannels
from bot.discord.faults import judge
from bot.discord.notify import SEND_SECONDS, Home
from cogs.message import Message
from cogs.outgoing import editing, sending
from core.bus import Bus
from core.domain.event import Event, EventKind
from core.errors import OrchardError
from core.store import posts
from core.store.database import Store, Transaction

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 4.0  # between two edits of one message: five a channel in five seconds are for posts too
_CHANGING = frozenset(EventKind) - {
    EventKind.AGENT_SAID,
    EventKind.PROCESS_REAPED,
    EventKind.PROJECT_REGISTERED,
    EventKind.WORKER_STARTED,
}


class LiveStatus:
    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        commands: Commands,
        link: Home,
        channels: ProjectChannels,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._bus = bus
        self._commands = commands
        self._link = link
        self._channels = channels
        self._pause_seconds = pause_seconds
        self._stale: dict[str, asyncio.Event] = {}
        self._shown: dict[str, Message] = {}

    async def run(self) -> None:
        """Until cancelled."""
        with self._bus.subscribe() as events:
            async with asyncio.TaskGroup() as group:
                for view in await self._commands.projects():
                    if view.running or view.waiting or view.blocked:
                        self._mark(group, view.project.name)
                await self._listen(group, events)

    async def _listen(self, group: asyncio.TaskGroup, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if event.project is None or event.kind not in _CHANGING:
                continue
            if event.kind is EventKind.SPRINT_STARTED:  # a new sprint has a message of its own
                await self._forget(event.project)
            self._mark(group, event.project)

    def _mark(self, group: asyncio.TaskGroup, project: str) -> None:
        if project not in self._stale:
            self._stale[project] = asyncio.Event()
            group.create_task(self._keep(project), name=f"discord: live status of {project}")
        self._stale[project].set()

    async def _keep(self, project: str) -> None:
        while True:
            await self._stale[project].wait()
            self._stale[project].clear()
            _, guild = await self._link.home()
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await self._show(guild, project)
            except Exception as error:
                # The next event shows it again; posts that must arrive go through the outbox.
                fault = judge(error, 0)
                _log.log(
                    logging.INFO if fault.foreseen else logging.ERROR,
                    "live status of %s: %s",
                    project,
                    fault.reason,
                    exc_info=None if fault.foreseen else error,
                )
                self._shown.pop(project, None)
            await asyncio.sleep(self._pause_seconds)

    async def _show(self, guild: discord.Guild, project: str) -> None:
        try:
            view = await self._commands.sprint(project)
        except OrchardError:
            return  # no sprint yet
        if view.sprint.started_at is None:
            return
        message = render.live_status(view)
        if self._shown.get(project) == message:
            return
        if not await self._edit(guild, project, message):
            channel = await self._channels.channel(guild, project)
            posted = await channel.send(**sending(message))

            def remember(tx: Transaction) -> None:
                posts.remember(tx, "status", project, channel_id=channel.id, message_id=posted.id)

            await self._store.write(remember)
        self._shown[project] = message

    async def _edit(self, guild: discord.Guild, project: str, message: Message) -> bool:
        """False: there is nothing to edit any more, or Discord takes no more edits of an old message."""
        post = await self._store.read(lambda conn: posts.find(conn, "status", project))
        if post is None or post.channel_id is None or post.message_id is None:
            return False
        place = discord.PartialMessageable(state=guild._state, id=post.channel_id, guild_id=guild.id)
        try:
            await place.get_partial_message(post.message_id).edit(**editing(message))
        except (discord.NotFound, discord.Forbidden):
            return False
        except discord.HTTPException as error:
            if error.status == 400 or error.status == 429:
                _log.info("a new live status for %s: %s", project, error)
                return False
            raise
        return True

    async def _forget(self, project: str) -> None:
        self._shown.pop(project, None)
        await self._store.write(lambda tx: posts.forget(tx, "status", project))
