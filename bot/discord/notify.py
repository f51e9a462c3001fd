"""The outbox's sender: turns events into posts, in order a project, once each, woken by the bus."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import discord

from bot.discord import notices, render
from bot.discord.audience import Call, called_in
from bot.discord.budget_notices import budget_key, raised_line
from bot.discord.channels import GENERAL, ProjectChannels
from bot.discord.composing import Composed, Composer
from bot.discord.crier import Crier
from bot.discord.faults import Fault, Remedy, judge
from bot.discord.notice import Place
from cogs.message import Message
from cogs.outgoing import answered, editing, keeping_mark, sending
from core.bus import Bus
from core.clock import Clock
from core.domain.event import POSTED, Event, EventKind
from core.errors import LostRace
from core.ids import new_id
from core.store import approvals, outbox, posts
from core.store.database import Store, Transaction
from core.store.outbox import OutboxRow
from core.store.posts import Post
from core.wake import Wake

_log = logging.getLogger(__name__)

SEND_SECONDS = 40.0  # discord.py itself retries a 500 for 25 s
NEWS_HOURS = 24  # what is older is history, and the store keeps it
IDLE_SECONDS = 15.0  # the bus wakes us; this is for what it could have lost
LOOK_BACK = 50  # messages in which a post of before a crash is looked for
LANES_AT_ONCE = 16
ROWS = 1000


class Home(Protocol):
    """Waits until a bot is connected to its server."""

    async def home(self) -> tuple[Any, discord.Guild]: ...


class Notifier:
    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        clock: Clock,
        link: Home,
        channels: ProjectChannels,
        composer: Composer,
        crier: Crier,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._link = link
        self._channels = channels
        self._composer = composer
        self._crier = crier
        self._started_at = clock.now()
        self._wake = Wake()
        self._busy: set[str] = set()  # projects whose head is being sent
        self._looked: set[str] = set()  # projects whose first row was looked for among the old posts
        self._retry_at: dict[str, datetime] = {}
        self._complained: set[str] = set()
        self._room = asyncio.Semaphore(LANES_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled. What was said while Orchard ran without Discord for long is not caught up on."""
        stale = self._clock.now() - timedelta(hours=NEWS_HOURS)
        await self._store.write(partial(outbox.drop_stale, before=stale))
        with self._bus.subscribe() as events:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(events), name="discord: outbox listener")
                group.create_task(self._dispatch(group), name="discord: outbox")

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if event.kind in POSTED:
                self._wake.set()

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._link.home()
            now = self._clock.now()
            # As of before the read: what it still finds due may be sent by the time that we see it.
            busy = set(self._busy)
            rows = await self._store.read(partial(outbox.due, now=now, limit=ROWS))
            for row in rows:
                lane = row.event.project or ""
                if row.target == "discord" and lane not in busy:
                    busy.add(lane)
                    self._busy.add(lane)
                    self._retry_at.pop(lane, None)
                    group.create_task(self._send_row(row, lane), name=f"discord: post {row.id}")
            self._retry_at = {lane: at for lane, at in self._retry_at.items() if at > now}
            pause = IDLE_SECONDS
            if self._retry_at:
                pause = min(pause, max(0.0, (min(self._retry_at.values()) - now).total_seconds()) + 0.01)
            await self._wake.rest(pause)

    # -- one row -----------------------------------------------------------------------------

    async def _send_row(self, row: OutboxRow, lane: str) -> None:
        try:
            async with self._room:
                await self._send_or_judge(row, lane)
        finally:
            self._busy.discard(lane)
            self._wake.set()

    async def _send_or_judge(self, row: OutboxRow, lane: str) -> None:
        try:
            _, guild = await self._link.home()
            async with asyncio.timeout(SEND_SECONDS):
                await self._deliver(guild, row, lane)
        except LostRace:
            return  # settled by somebody else
        except Exception as error:
            await self._recover(row, lane, error)

    async def _recover(self, row: OutboxRow, lane: str, error: Exception) -> None:
        fault = judge(error, row.attempts)
        if not fault.foreseen:
            _log.error("%s: posting %s failed", new_id("error"), row.event.kind, exc_info=error)
        elif fault.needs_people or fault.remedy is Remedy.DEAD:
            await self._complain(row.event, fault)
        else:
            _log.info("posting %s of %s: %s", row.event.kind, lane, fault.reason)
        if fault.remedy is Remedy.REMAKE:
            await self._forget_place(row.event)
        if fault.remedy is Remedy.DEAD:
            _log.error("gave up posting %s #%s: %s", row.event.kind, row.event.seq, fault.reason)
            await self._give_up(row, fault.reason)
            return
        retry_at = self._clock.now() + timedelta(seconds=fault.pause_seconds)
        self._retry_at[lane] = retry_at
        await self._settle(lambda tx: outbox.failed(tx, row.id, fault.reason, retry_at))

    async def _give_up(self, row: OutboxRow, reason: str) -> None:
        """Whoever would have been called hears of it with what else they missed, where that can be posted."""
        notice = notices.notice(row.event)
        call = None
        if notice is not None and notice.ping is not None:
            _, guild = await self._link.home()
            call = await self._crier.call(row.event, notice.ping, guild)

        def settle(tx: Transaction) -> None:
            outbox.dead(tx, row.id, reason)
            if call is not None:
                self._crier.miss(tx, row.event, call, frozenset())

        await self._settle(settle)

    async def _deliver(self, guild: discord.Guild, row: OutboxRow, lane: str) -> None:
        event = row.event
        composed = await self._composer.compose(event)
        if composed is None:
            await self._settle(lambda tx: outbox.sent(tx, row.id))
            return
        if composed.amends and composed.known_as and await self._amended(guild, composed):
            await self._settle(lambda tx: outbox.sent(tx, row.id))
            return
        await self._close_questions(guild, event)
        notice = composed.notice
        if notice.place is Place.THREAD and event.story_id and event.project:
            title = await self._composer.title(event.story_id)
            place = await self._channels.thread(guild, event.project, event.story_id, title)
        else:
            place = await self._channels.channel(guild, event.project or GENERAL)
        call = await self._crier.call(event, notice.ping, guild) if notice.ping is not None else None
        posted = await self._already_posted(guild, place, row, lane)
        if posted is None:
            posted = await self._post(place, row, notice.message, call)
        # What counts is whom the post names, and it may be of a try before a crash.
        named = called_in(posted.content)

        def settle(tx: Transaction) -> None:
            outbox.sent(tx, row.id)
            if composed.known_as is not None:
                posts.remember(tx, *composed.known_as, channel_id=place.id, message_id=posted.id)
            if call is not None and self._crier.miss(tx, event, call, named):
                posts.remember(tx, "event", str(event.seq), channel_id=place.id, message_id=posted.id)

        await self._settle(settle)

    async def _amended(self, guild: discord.Guild, composed: Composed) -> bool:
        """False when the post that it belongs to is gone: then it is one of its own."""
        assert composed.known_as is not None
        known_as = composed.known_as
        post = await self._store.read(lambda conn: posts.find(conn, *known_as))
        if post is None or post.message_id is None:
            return False
        try:
            posted = await _fetch(guild, post)
            await posted.edit(**editing(composed.notice.message))
        except discord.NotFound:
            return False
        return True

    async def _post(
        self, place: discord.abc.Messageable, row: OutboxRow, message: Message, call: Call | None
    ) -> discord.Message:
        nonce = nonce_of(row.dedup_key)
        allowed = discord.AllowedMentions.none()
        if call is not None:
            message, allowed = replace(message, text=call.text), call.allowed()
        try:
            return await place.send(**sending(message), nonce=nonce, allowed_mentions=allowed)
        except discord.HTTPException as error:
            if judge(error, row.attempts).remedy is not Remedy.PLAIN:
                raise
            _log.error("Discord does not take our post of %s: %s", row.event.kind, error)
            return await place.send(**sending(notices.bare(row.event)), nonce=nonce)

    async def _already_posted(
        self, guild: discord.Guild, place: discord.abc.Messageable, row: OutboxRow, lane: str
    ) -> discord.Message | None:
        """The post of a row that may have been sent before a crash or a time-out.

        Discord itself remembers our nonce for minutes only; the footer and the time of the post stay.
        """
        first = lane not in self._looked
        self._looked.add(lane)
        if row.attempts == 0 and not (first and row.event.at < self._started_at):
            return None
        wanted, at = notices.mark(row.event), row.event.at
        async for message in place.history(limit=LOOK_BACK):
            if message.author.id != guild.me.id:
                continue
            for shown in message.embeds:
                when = shown.timestamp or datetime.min.replace(tzinfo=UTC)
                if shown.footer.text == wanted and abs(when - at) < timedelta(milliseconds=2):
                    return message
        return None

    # -- questions that are over -------------------------------------------------------------

    async def _close_questions(self, guild: discord.Guild, event: Event) -> None:
        """Takes the buttons off a question that was answered, here or elsewhere."""
        if event.kind is EventKind.APPROVAL_ANSWERED:
            approval_id = str(event.data.get("approval", ""))
            asked = await self._store.read(lambda conn: approvals.get(conn, approval_id))
            shown = self._composer.question(asked, await self._composer.title(asked.story_id))
            await self._replace(guild, ("approval", approval_id), lambda posted: keeping_mark(shown, posted))
            words = render.answer_line(asked)
            for reminder in ("escalated", "overdue"):
                await self._replace(guild, (reminder, approval_id), lambda posted: answered(posted, words))
        elif event.kind is EventKind.USAGE_RESET and event.project:
            by = render.who(event.actor) if event.actor != "orchard" else "itself, at the time it was said"
            await self._replace(
                guild, ("usage", event.project), lambda posted: answered(posted, f"Resumed by {by}.")
            )
        elif event.kind is EventKind.BUDGET_RAISED:
            line = raised_line(event)
            await self._replace(guild, ("budget", budget_key(event)), lambda posted: answered(posted, line))
        elif event.kind in _UNBLOCKING and event.story_id:
            words = _how_unblocked(event)
            await self._replace(guild, ("blocked", event.story_id), lambda posted: answered(posted, words))

    async def _replace(self, guild: discord.Guild, known_as: tuple[str, str], change: Any) -> None:
        post = await self._store.read(lambda conn: posts.find(conn, *known_as))
        if post is None or post.channel_id is None or post.message_id is None:
            return
        try:
            posted = await _fetch(guild, post)
            if posted.components:
                await posted.edit(**editing(change(posted), keep_files=True))
        except (discord.NotFound, discord.Forbidden) as gone:
            _log.info("the question %s is gone: %s", known_as, gone)
        if known_as[0] in {"blocked", "usage", "budget"}:  # it may come again, and that is another post
            await self._store.write(lambda tx: posts.forget(tx, *known_as))

    # -- small things ------------------------------------------------------------------------

    async def _settle(self, change: Any) -> None:
        try:
            await self._store.write(change)
        except LostRace:
            _log.debug("settled by somebody else", exc_info=True)

    async def _forget_place(self, event: Event) -> None:
        if event.story_id:
            await self._channels.forget_thread(event.story_id)
        await self._channels.forget_channel(event.project or GENERAL)

    async def _complain(self, event: Event, fault: Fault) -> None:
        """Says once a project, in the log and where we still may write, what somebody has to mend."""
        project = event.project or ""
        if project in self._complained:
            return
        self._complained.add(project)
        sentence = (
            f"I cannot post for {project}: {fault.reason}. I need View Channel, Send Messages, Embed Links, "
            "Attach Files, Read Message History, Create Public Threads, Send Messages in Threads and Manage "
            "Channels."
        )
        _log.error("%s", sentence)
        _, guild = await self._link.home()
        if guild.system_channel is not None:
            try:
                await guild.system_channel.send(**sending(Message(text=sentence)))
            except discord.HTTPException:
                _log.debug("nor in the system channel", exc_info=True)


def nonce_of(key: str) -> str:
    """At most 25 characters, the same for the same key: Discord makes one message of two tries. PURE."""
    return hashlib.sha256(key.encode()).hexdigest()[:25]


_UNBLOCKING = frozenset({EventKind.STORY_UNBLOCKED, EventKind.STORY_SKIPPED, EventKind.STORY_ABORTED})


def _how_unblocked(event: Event) -> str:
    by = str(event.data.get("by") or event.actor)
    if event.kind is EventKind.STORY_UNBLOCKED:
        return render.helped(by, str(event.data.get("text", "")))
    return render.skipped(by, str(event.data.get("reason", "")))


async def _fetch(guild: discord.Guild, post: Post) -> discord.Message:
    place = discord.PartialMessageable(state=guild._state, id=post.channel_id or 0, guild_id=guild.id)
    return await place.fetch_message(post.message_id or 0)
