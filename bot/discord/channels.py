"""Where things are posted: one category, a channel a project, a thread a story.

Found again by the id that was remembered, else by name, else made; made again after somebody deleted them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, cast

import discord

from bot.discord import render
from cogs.outgoing import sending
from cogs.text import one_line
from core.store import posts
from core.store.database import Store, Transaction
from core.store.posts import Post

_log = logging.getLogger(__name__)

GENERAL = "*"  # no project's name: the channel for what belongs to none
ALERTS = "!"  # nor this, which stands before the configured name or id of the channel for alerts
CHANNELS_IN_CATEGORY = 50  # Discord's limit
KEEP_OPEN_MINUTES: Final = 10080  # a thread without a post is archived after a week
_THREAD_EXISTS = 160004
_SPOILT = re.compile(r"[^\w-]+")
_DASHES = re.compile(r"-{2,}")


def channel_name(project: str, configured: str | None) -> str:
    """A name as Discord keeps it: lower case, no spaces, 1 to 100 characters. PURE."""
    made_up = "orchard" if project == GENERAL else f"proj-{project.removeprefix(ALERTS)}"
    wanted = configured.lstrip("#") if configured else made_up
    name = _DASHES.sub("-", _SPOILT.sub("-", wanted.strip().lower())).strip("-")[:100]
    return name or "proj"


class ProjectChannels:
    """`channel_of` gives a project's configured channel: a name, an id, or None."""

    def __init__(self, store: Store, *, category: str, channel_of: Callable[[str], str | None]) -> None:
        self._store = store
        self._category = category
        self._channel_of = channel_of
        self._projects: dict[int, set[str]] = defaultdict(set)
        self._stories: dict[int, str] = {}  # thread -> story
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._being_made: dict[str, str] = {}  # name -> project
        self._threadless: set[int] = set()  # channels in which we may open no thread

    async def load(self) -> None:
        """Reads which channels are whose; call it once before use."""
        for post in await self._store.read(lambda conn: posts.every(conn, "channel")):
            self._know(post.ref, post.channel_id)
        for post in await self._store.read(lambda conn: posts.every(conn, "thread")):
            if post.thread_id is not None:
                self._stories[post.thread_id] = post.ref

    def story_of(self, channel: Any) -> str | None:
        """The story whose thread this is."""
        return self._stories.get(channel.id)

    def project_of(self, channel: Any) -> str | None:
        """The one project of this channel, or of its parent; None where none or several share it."""
        for candidate in (channel.id, getattr(channel, "parent_id", None)):
            found = self._projects.get(candidate, set()) if candidate is not None else set()
            if len(found) == 1:
                return next(iter(found))
        # Somebody may be quicker in a new channel than Discord's answer that it is there.
        return self._being_made.get(getattr(channel, "name", ""))

    async def channel(self, guild: discord.Guild, project: str) -> discord.TextChannel:
        """The project's channel, made where there is none; likewise GENERAL's, and that of ALERTS and its
        configured name. Raises what Discord answers."""
        async with self._locks[f"channel:{project}"]:
            remembered = await self._find("channel", project)
            found = await _text_channel(guild, remembered.channel_id) if remembered else None
            if found is None:
                found = await self._adopt_or_make(guild, project)
                await self._remember("channel", project, channel_id=found.id)
            self._know(project, found.id)
            return found

    async def thread(
        self, guild: discord.Guild, project: str, story_id: str, title: str
    ) -> discord.PartialMessageable | discord.TextChannel:
        """The story's thread, opened where there is none; the channel itself where we may open no thread."""
        async with self._locks[f"thread:{story_id}"]:
            known = await self._find("thread", story_id)
            if known is not None and known.thread_id is not None:
                return _messageable(guild, known.thread_id)
            channel = await self.channel(guild, project)
            if channel.id in self._threadless:
                return channel
            if known is None or known.message_id is None or known.channel_id != channel.id:
                opener = await channel.send(**sending(render.thread_opener(story_id, title)))
                message_id = opener.id
                await self._remember("thread", story_id, channel_id=channel.id, message_id=message_id)
            else:
                message_id = known.message_id
            thread_id = await self._open(channel, message_id, render.thread_name(story_id, title))
            if thread_id is None:
                return channel
            await self._remember("thread", story_id, thread_id=thread_id)
            self._stories[thread_id] = story_id
            return _messageable(guild, thread_id)

    async def forget_channel(self, project: str) -> None:
        """After Discord said that it is gone."""
        await self._forget("channel", project)
        for owners in self._projects.values():
            owners.discard(project)

    async def forget_thread(self, story_id: str) -> None:
        await self._forget("thread", story_id)

    # -- inside ------------------------------------------------------------------------------

    async def _adopt_or_make(self, guild: discord.Guild, project: str) -> discord.TextChannel:
        for_alerts = project.startswith(ALERTS)
        configured = project.removeprefix(ALERTS) if for_alerts else self._channel_of(project)
        if configured and configured.isdigit():
            by_id = await _text_channel(guild, int(configured))
            if by_id is not None:
                return by_id
            _log.warning("%s: there is no channel %s; making one", project, configured)
            configured = None
        name = channel_name(project, configured)
        ours = [channel for channel in guild.text_channels if self._is_ours(channel.category)]
        # A name that somebody wrote down may be a channel of theirs; one that we made up is only ever ours.
        candidates = [*ours, *guild.text_channels] if configured else ours
        for channel in candidates:
            if channel_name("", channel.name) == name:
                return channel
        category = await self._open_category(guild)
        if project != GENERAL and not for_alerts:
            self._being_made[name] = project
        try:
            # discord.py's own method sends the category's id as a number: Discord's description forbids it.
            made = await guild._state.http.create_channel(
                guild.id,
                discord.ChannelType.text.value,
                name=name,
                parent_id=str(category.id),
                topic=one_line(f"Orchard: {'alerts' if for_alerts else project}", 200),
                reason="Orchard project channel",
            )
            self._know(project, int(made["id"]))
        finally:
            self._being_made.pop(name, None)
        channel = discord.TextChannel(state=guild._state, guild=guild, data=cast(Any, made))
        # As discord.py does it: until Discord says that it is there, nobody makes it a second time.
        guild._add_channel(channel)
        return channel

    async def _open_category(self, guild: discord.Guild) -> discord.CategoryChannel:
        async with self._locks["category"]:
            remembered = await self._find("category", str(guild.id))
            categories = [c for c in guild.categories if self._is_ours(c)]
            if remembered is not None:
                categories += [c for c in guild.categories if c.id == remembered.channel_id]
            for category in categories:
                if len(category.channels) < CHANNELS_IN_CATEGORY:
                    return category
            number = f" {len(categories) + 1}" if categories else ""
            made = await guild.create_category(f"{self._category}{number}", reason="Orchard projects")
            await self._remember("category", str(guild.id), channel_id=made.id)
            return made

    def _is_ours(self, category: discord.CategoryChannel | None) -> bool:
        if category is None:
            return False
        name, ours = category.name.casefold(), self._category.casefold()
        return name == ours or (name.startswith(f"{ours} ") and name[len(ours) + 1 :].isdigit())

    async def _open(self, channel: discord.TextChannel, message_id: int, name: str) -> int | None:
        try:
            thread = await channel.get_partial_message(message_id).create_thread(
                name=name, auto_archive_duration=KEEP_OPEN_MINUTES
            )
        except discord.Forbidden as error:
            self._threadless.add(channel.id)
            _log.warning(
                "no threads in #%s (%s): grant Create Public Threads; posting in the channel", channel, error
            )
            return None
        except discord.HTTPException as error:
            if error.code == _THREAD_EXISTS:
                return message_id  # a thread has the id of the message that it hangs off
            raise
        return thread.id

    def _know(self, project: str, channel_id: int | None) -> None:
        if channel_id is None or project == GENERAL or project.startswith(ALERTS):
            return
        if project not in self._projects.get(channel_id, set()):
            for owners in self._projects.values():
                owners.discard(project)
            self._projects[channel_id].add(project)

    async def _find(self, kind: str, ref: str) -> Post | None:
        return await self._store.read(lambda conn: posts.find(conn, kind, ref))

    async def _forget(self, kind: str, ref: str) -> None:
        await self._store.write(lambda tx: posts.forget(tx, kind, ref))

    async def _remember(
        self,
        kind: str,
        ref: str,
        *,
        channel_id: int | None = None,
        message_id: int | None = None,
        thread_id: int | None = None,
    ) -> None:
        def remember(tx: Transaction) -> None:
            posts.remember(tx, kind, ref, channel_id=channel_id, message_id=message_id, thread_id=thread_id)

        await self._store.write(remember)


async def _text_channel(guild: discord.Guild, channel_id: int | None) -> discord.TextChannel | None:
    """None: gone, or no text channel of this server. One that we may not see raises Forbidden."""
    if channel_id is None:
        return None
    found = guild.get_channel(channel_id)
    if found is None:
        try:
            fetched = await guild.fetch_channel(channel_id)
        except (discord.NotFound, discord.InvalidData):
            return None
        found = fetched if not isinstance(fetched, discord.Thread) else None
    return found if isinstance(found, discord.TextChannel) else None


def _messageable(guild: discord.Guild, channel_id: int) -> discord.PartialMessageable:
    return discord.PartialMessageable(state=guild._state, id=channel_id, guild_id=guild.id)
