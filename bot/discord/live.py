"""One live message a sprint: how it stands, edited as things happen, not posted again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING

import discord

from bot.discord import board
from bot.discord.board import Standing
from bot.discord.channels import ProjectChannels
from bot.discord.faults import Remedy, judge
from bot.discord.notify import SEND_SECONDS, Home
from bot.discord.shares import Shares
from cogs.message import Message
from cogs.outgoing import editing, sending
from cogs.render_resources import compact
from core.bus import Bus
from core.clock import Clock
from core.domain.event import Event, EventKind
from core.domain.lifecycles import WorkflowState
from core.errors import NotFound
from core.ids import new_id
from core.store import posts, usage
from core.store.database import Store
from core.store.posts import Post

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 4.0  # between two edits of one message: five a channel in five seconds are for posts too
GLANCE_SECONDS = 0.3  # between two looks that found nothing to change: Discord was not asked
WATCH_SECONDS = 15.0  # between two looks at what is shared
TRIES = 5
OLD_EDIT_SECONDS = 10.0  # Discord rations edits of what is older than an hour; discord.py waits for its turn
_SPRINTING = frozenset({WorkflowState.SPRINT_ACTIVE, WorkflowState.SPRINT_PAUSED, WorkflowState.BLOCKED})
_CHANGING = frozenset(EventKind) - {
    EventKind.ALERT_CHANGED,
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
        clock: Clock,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._bus = bus
        self._commands = commands
        self._link = link
        self._channels = channels
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._stale: dict[str, asyncio.Event] = {}
        self._shown: dict[str, Message] = {}
        self._shares = Shares(commands)
        self._told_share: dict[str, str] = {}  # in messages of sprints that go on

    async def run(self) -> None:
        """Until cancelled."""
        with self._bus.subscribe() as events:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_shares(group), name="discord: live shares")
                for view in await self._commands.projects():
                    if view.project.workflow in _SPRINTING:
                        self._mark(group, view.project.name)
                await self._listen(group, events)

    async def _listen(self, group: asyncio.TaskGroup, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if event.project is not None and event.kind in _CHANGING:
                self._mark(group, event.project)

    async def _watch_shares(self, group: asyncio.TaskGroup) -> None:
        """What is shared changes without an event of the project: by the clock, by what others take."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                for project, shown in list(self._told_share.items()):
                    share = await self._shares.of(project)
                    if share is not None and compact(share) != shown:
                        self._mark(group, project)
            except Exception:
                _log.exception("%s: looking at shares failed", new_id("error"))

    def _mark(self, group: asyncio.TaskGroup, project: str) -> None:
        if project not in self._stale:
            self._stale[project] = asyncio.Event()
            group.create_task(self._keep(project), name=f"discord: live status of {project}")
        self._stale[project].set()

    async def _keep(self, project: str) -> None:
        failed = 0
        while True:
            await self._stale[project].wait()
            self._stale[project].clear()
            _, guild = await self._link.home()
            asked = True
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    asked = await self._show(guild, project)
            except Exception as error:
                failed += 1
                await self._recover(project, error, failed)
            else:
                failed = 0
            await asyncio.sleep(self._pause_seconds if asked else min(GLANCE_SECONDS, self._pause_seconds))

    async def _recover(self, project: str, error: Exception, failed: int) -> None:
        """Tries again some times; after that the next event does. What must arrive goes through the outbox,
        which also tells people of a permission that is missing."""
        fault = judge(error, failed - 1)
        _log.log(
            logging.INFO if fault.foreseen else logging.ERROR,
            "live status of %s: %s",
            project,
            fault.reason,
            exc_info=None if fault.foreseen else error,
        )
        self._shown.pop(project, None)
        if fault.remedy is Remedy.REMAKE:
            await self._channels.forget_channel(project)
        if failed < TRIES:
            await asyncio.sleep(fault.pause_seconds)
            self._stale[project].set()

    async def _show(self, guild: discord.Guild, project: str) -> bool:
        """Whether Discord was asked for something."""
        standing = await self._standing(project)
        if standing is None:
            return False
        message, sprint = board.live_status(standing), standing.sprint.sprint.id
        if self._shown.get(project) == message:
            return False
        if not await self._edit(guild, project, sprint, message):
            channel = await self._channels.channel(guild, project)
            posted = await channel.send(**sending(message))
            await self._store.write(
                lambda tx: posts.remember(tx, "status", sprint, channel_id=channel.id, message_id=posted.id)
            )
        self._shown[project] = message
        if standing.share is not None:
            self._told_share[project] = compact(standing.share)
        else:
            self._told_share.pop(project, None)
        return True

    async def _standing(self, project: str) -> Standing | None:
        """None before the project's first sprint has started."""
        try:
            view = await self._commands.sprint(project)
            if view.sprint.started_at is None:
                return None
            workflow = await self._commands.workflow(project)
            cycles = await self._commands.cycles(project) if view.sprint.ended_at is None else None
        except NotFound:
            return None
        limit = await self._store.read(lambda conn: usage.find(conn, project))
        share = await self._shares.of(project) if view.sprint.ended_at is None else None
        return Standing(workflow=workflow.state, sprint=view, cycles=cycles, limit=limit, share=share)

    async def _edit(self, guild: discord.Guild, project: str, sprint: str, message: Message) -> bool:
        """False: there is nothing to edit (any more), or Discord takes no more edits of an old message."""
        # By the sprint: one that starts meanwhile is never shown in the message of the last.
        post = await self._store.read(lambda conn: posts.find(conn, "status", sprint))
        if post is None or post.channel_id is None or post.message_id is None:
            return False
        place = discord.PartialMessageable(state=guild._state, id=post.channel_id, guild_id=guild.id)
        age = self._clock.now() - discord.utils.snowflake_time(post.message_id)
        old = age > timedelta(hours=1)
        try:
            async with asyncio.timeout(OLD_EDIT_SECONDS if old else None):
                await place.get_partial_message(post.message_id).edit(**editing(message))
        except (discord.NotFound, discord.Forbidden):
            return False
        except (discord.RateLimited, TimeoutError) as error:
            if not old:
                raise
            _log.info("a new live status for %s, edits of old ones are rationed: %s", project, error)
            await self._retire(place, post)
            return False
        except discord.HTTPException as error:
            if error.status == 400 or error.status == 429:
                _log.info("a new live status for %s: %s", project, error)
                await self._retire(place, post)
                return False
            raise
        return True

    async def _retire(self, place: discord.PartialMessageable, post: Post) -> None:
        """Takes the old one away, so that nobody reads what is no longer so."""
        try:
            await place.get_partial_message(post.message_id or 0).delete()
        except discord.HTTPException as error:
            _log.info("the old live status stays: %s", error)
