"""What people missed in their quiet hours, or where a post had no room for all: told to each once, later."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

import discord

from bot.discord import catch_up
from bot.discord.audience import only
from bot.discord.catch_up import Missed
from bot.discord.channels import GENERAL, ProjectChannels
from bot.discord.composing import raised_since
from bot.discord.crier import left_alone_until
from bot.discord.faults import Remedy, judge
from bot.discord.notify import LOOK_BACK, SEND_SECONDS, Home, nonce_of
from cogs.outgoing import sending
from cogs.text import post_link
from core.clock import Clock
from core.domain.approval import ApprovalState
from core.domain.event import Event, EventKind
from core.store import approvals, cycles, people, posts, stories
from core.store.database import Store, Transaction

_log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0  # one small read; who ends their quiet hours looks at what comes
HOPELESS_SECONDS = 3600.0  # what Discord does not take is tried again, but seldom


class MissedCalls:
    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        link: Home,
        channels: ProjectChannels,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._link = link
        self._channels = channels
        self._idle_seconds = idle_seconds
        self._attempts: dict[str, int] = {}  # that failed, by person
        self._looked: set[tuple[str, str]] = set()  # person and project whose last summary was looked for

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            _, guild = await self._link.home()
            for person in await self._store.read(lambda conn: people.due(conn, self._clock.now())):
                await self._tell_or_judge(guild, person)
            await asyncio.sleep(self._idle_seconds)

    async def _tell_or_judge(self, guild: discord.Guild, person: str) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._tell(guild, person)
        except Exception as error:
            attempts = self._attempts.get(person, 0)
            self._attempts[person] = attempts + 1
            fault = judge(error, attempts)
            pause = fault.pause_seconds
            if fault.remedy in (Remedy.PLAIN, Remedy.DEAD):
                pause = HOPELESS_SECONDS
            _log.log(
                logging.INFO if fault.foreseen and pause < HOPELESS_SECONDS else logging.ERROR,
                "what %s missed is told in %.0f s: %s",
                person,
                pause,
                fault.reason,
                exc_info=None if fault.foreseen else error,
            )
            self._looked = {known for known in self._looked if known[0] != person}
            later = self._clock.now() + timedelta(seconds=pause)
            await self._store.write(lambda tx: people.postpone(tx, person, later))
        else:
            self._attempts.pop(person, None)

    async def _tell(self, guild: discord.Guild, person: str) -> None:
        now = self._clock.now()
        if await self._store.write(lambda tx: _left_alone(tx, person, now)):
            return
        events = await self._store.read(lambda conn: people.missed(conn, person))
        for project in dict.fromkeys(event.project or "" for event in events):
            await self._tell_project(
                guild, person, project, [event for event in events if (event.project or "") == project]
            )

    async def _tell_project(
        self, guild: discord.Guild, person: str, project: str, events: Sequence[Event]
    ) -> None:
        try:
            channel = await self._channels.channel(guild, project or GENERAL)
            told = await self._told_before(guild, channel, person, project, events)
            rest = [event for event in events if event.seq > told]
            if rest:
                user = person.partition(":")[2]
                missed = await self._store.read(lambda conn: _missed(conn, guild.id, rest))
                message = catch_up.summary(user, project, missed)
                await channel.send(
                    **sending(message),
                    nonce=nonce_of(message.cards[0].footer),
                    allowed_mentions=only([int(user)]),
                )
        except discord.NotFound:
            await self._channels.forget_channel(project or GENERAL)
            raise
        await self._store.write(lambda tx: people.told(tx, person, [event.seq for event in events]))

    async def _told_before(
        self,
        guild: discord.Guild,
        channel: discord.TextChannel,
        person: str,
        project: str,
        events: Sequence[Event],
    ) -> int:
        """The last event of a summary that was posted, but not marked as told: before a crash or a time-out.

        Only the first time that we tell this person of the project, and after a failure.
        """
        if (person, project) in self._looked:
            return 0
        async for message in channel.history(limit=LOOK_BACK):
            if message.author.id != guild.me.id:
                continue
            for shown in message.embeds:
                last = catch_up.told_up_to(shown.footer.text or "", person.partition(":")[2], events[0].seq)
                if last is not None:
                    return last
        self._looked.add((person, project))
        return 0


def _left_alone(tx: Transaction, person: str, now: datetime) -> bool:
    """Whether it is their quiet hours; then they are told after them.

    Looked at and put off in one transaction: hours that end in between would be put off to all the same.
    """
    hours = people.quiet_of(tx.conn, [person]).get(person)
    until = None if hours is None else left_alone_until(now, hours)
    if until is not None:
        people.postpone(tx, person, until)
    return until is not None


def _missed(conn: sqlite3.Connection, guild_id: int, events: Sequence[Event]) -> tuple[Missed, ...]:
    found = []
    for event in events:
        story = stories.find(conn, event.story_id) if event.story_id else None
        post = posts.find(conn, "event", str(event.seq))
        link = ""
        if post is not None and post.channel_id is not None and post.message_id is not None:
            link = post_link(guild_id, post.channel_id, post.message_id)
        found.append(
            Missed(event=event, title=story.title if story else "", link=link, over=_is_over(conn, event))
        )
    return tuple(found)


def _is_over(conn: sqlite3.Connection, event: Event) -> bool:
    """Whether somebody has answered or helped meanwhile."""
    if event.kind is EventKind.STORY_BLOCKED and event.story_id:
        cycle = cycles.get(conn, event.story_id)
        return cycle is None or not cycle.blocked_reason
    if event.kind is EventKind.BUDGET_REACHED:
        return raised_since(conn, event)
    asked = approvals.find(conn, str(event.data.get("approval", "")))
    return asked is not None and asked.state is not ApprovalState.PENDING
