"""What every cog and button needs: the core's facade, who may do what, and which project is meant."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import discord
from discord.ext import commands

from cogs.access import (
    ANY_PROJECT,
    RIGHTS,
    AccessPolicy,
    Linked,
    Person,
    Right,
    asker_of,
    require,
    standing,
)
from cogs.chart import Draw, NoDraw
from cogs.completion import Completion
from cogs.message import Message
from cogs.results import Results
from cogs.text import cut
from core.domain.access import AccessLevel, Standing
from core.domain.story import StoryStatus
from core.errors import InvalidInput, NotAllowed, NotFound, OrchardError, Unavailable
from core.ids import project_of
from core.orchestrator.commands.admission import admitted
from core.security.access import EVERY_PROJECT, NOBODY, RULES, Action, Asker, Levels, may

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands

Context = commands.Context[Any]
AT_WORK = frozenset(
    {
        StoryStatus.WAITING,
        StoryStatus.RUNNING,
        StoryStatus.AWAITING_APPROVAL,
        StoryStatus.BLOCKED,
        StoryStatus.STOPPED,
        StoryStatus.TAKEN,
    }
)
Page = Callable[[str, int], Awaitable[Message]]


ADMIT_SECONDS = 1.0  # for each of what is asked before an answer may begin: Discord gives 3 s for that
_STORY_ID = re.compile(r"[\w.-]+-e?\d+")
_STORY_OPTIONS = frozenset({"story", "stories", "other", "session"})
_ASKER: ContextVar[Asker | None] = ContextVar("asker", default=None)
"""Whom the running task is for: who typed or pressed something. Only a desk sets it, to whom it admitted."""


class Channels(Protocol):
    """Which project a channel, or the channel that a thread hangs off, belongs to; whose thread it is."""

    def project_of(self, channel: Any) -> str | None: ...
    def story_of(self, channel: Any) -> str | None: ...


class NotAdmitted(commands.CheckFailure):
    """An OrchardError out of a check, in the wrapping that discord.py wants there."""

    def __init__(self, cause: OrchardError) -> None:
        super().__init__(cause.message)
        self.cause = cause


@dataclass(slots=True, kw_only=True)
class Desk:
    """`guild_id` says which server is served now, None while there is none; `pages` what can be leafed.

    `core` asks nobody: what people wish goes through `commands`.
    """

    core: Commands
    channels: Channels
    completion: Completion
    guild_id: Callable[[], int | None]
    roles: frozenset[str] = frozenset()
    role_levels: Mapping[str, AccessLevel] = field(default_factory=dict)
    draw: Draw = field(default_factory=NoDraw)
    pages: dict[str, Page] = field(default_factory=dict)
    results: Results = field(default_factory=Results)

    @property
    def policy(self) -> AccessPolicy:
        return AccessPolicy(guild_id=self.guild_id(), roles=self.roles, role_levels=self.role_levels)

    @property
    def commands(self) -> Commands:
        """For the person whom this task was admitted for: each request asks the access matrix, in the project
        that it turns out to be about, and shows what they may see."""
        return admitted(self.core, _asker(), self._denied)

    def sees(self, project: str) -> bool:
        """Whether the person whom this task was admitted for may see the project."""
        return may(Action.SEE_PROJECT, _asker(), project).allowed

    async def _denied(self, action: Action, asker: Asker, project: str | None, why: str) -> None:
        if RULES[action].level > AccessLevel.VIEWER:
            await self.core.note_denied(asker.name, action, project, why)

    async def admit(
        self,
        user: discord.abc.User,
        guild: discord.Guild | None,
        guild_id: int | None,
        what: str,
        projects: Collection[str] = (EVERY_PROJECT,),
        *,
        noted: bool = True,
    ) -> None:
        """Raises NotAllowed when this person may not do `what` here, in any of these projects, Unavailable
        when that is not known in time; from then on `commands` are theirs. `noted`: a refusal of weight goes
        to the audit log."""
        _ASKER.set(None)
        who = person(user, guild, guild_id)
        try:
            async with asyncio.timeout(ADMIT_SECONDS):
                known = await self._linked(user.id)
        except TimeoutError:
            raise Unavailable("Orchard is busy: nothing was done.", hint="Try it again.") from None
        try:
            require(self.policy, who, what, linked=known, projects=projects)
        except NotAllowed as error:
            if noted and RIGHTS.get(what) is not Right.LOOK:
                with suppress(TimeoutError):  # the row is written all the same: who was refused need not wait
                    async with asyncio.timeout(ADMIT_SECONDS):
                        await self.core.note_denied(
                            actor(user), what, _only(projects), error.why or error.message
                        )
            raise
        _ASKER.set(asker_of(self.policy, who, known))

    async def suggest_to(self, interaction: discord.Interaction[Any]) -> None:
        """Admits whoever types a command's options. Raises NotAllowed to whom nothing is suggested."""
        what = interaction.command.qualified_name if interaction.command else ""
        await self.admit(
            interaction.user, interaction.guild, interaction.guild_id, what, (ANY_PROJECT,), noted=False
        )

    async def _linked(self, user_id: int) -> Linked | None:
        found = await self.core.linked_account(str(user_id))
        if found is None:
            return None
        levels = NOBODY
        if not found.disabled:
            levels = Levels(everywhere=found.everywhere, projects=found.projects)
        return Linked(username=found.username, levels=levels, disabled=found.disabled)

    async def standing(self, interaction: discord.Interaction[Any], project: str) -> Standing:
        """What whoever pressed or typed this is to Orchard in the project."""
        who = person(interaction.user, interaction.guild, interaction.guild_id)
        return standing(self.policy, who, await self._linked(interaction.user.id), project)

    async def standing_of(self, ctx: Context, project: str) -> Standing:
        """As `standing`, of whoever ran a command."""
        who = person(ctx.author, ctx.guild, _guild_id(ctx))
        return standing(self.policy, who, await self._linked(ctx.author.id), project)

    async def check(self, ctx: Context) -> bool:
        """The bot's global check: no command runs without it."""
        if ctx.command is None:
            return False
        try:
            await self.admit(
                ctx.author, ctx.guild, _guild_id(ctx), ctx.command.qualified_name, self._meant(ctx)
            )
        except OrchardError as error:
            raise NotAdmitted(error) from error
        return True

    def _meant(self, ctx: Context) -> Collection[str]:
        """The projects that a slash command is about, by its options and its channel. Of a typed one, whose
        words are not read yet, and of a title, which may be any project's, that is not known yet."""
        if ctx.interaction is None:
            return (ANY_PROJECT,)
        named = {name: str(value).strip() for name, value in ctx.interaction.namespace if value is not None}
        found = {named[name].lower() for name in ("project", "name") if named.get(name)}
        found |= {project_in(named[name]) for name in _STORY_OPTIONS & named.keys()}
        return (found - {EVERY_PROJECT}) or {self.implied(ctx.channel) or ANY_PROJECT}

    def project(self, ctx: Context, named: str | None) -> str:
        """The project that was named, else the one whose channel or thread this is."""
        if named and named.strip():
            return named.strip()
        implied = self.implied(ctx.channel)
        if implied is None:
            raise InvalidInput(
                "Which project?",
                why="This is not a project's channel.",
                hint="Fill in `project`, or use the command in the project's channel.",
            )
        return implied

    async def story(
        self, ctx: Context, named: str | None, project: str | None = None, *, anywhere: bool = False
    ) -> str:
        """The id of the story that was named (by id or title), else of the one whose thread this is, else of
        the only one at work in the project: the named or the channel's. `anywhere`: a title that none of the
        channel's project has may be another project's."""
        here = (project or "").strip() or self.implied(ctx.channel)
        if named and named.strip():
            word = named.strip()
            if _STORY_ID.fullmatch(word):
                return word.lower()
            try:
                return await self._titled(word, here)
            except NotFound:
                if not anywhere or here is None:
                    raise
                return await self._titled(word, None)
        own = self.channels.story_of(ctx.channel) if ctx.channel is not None else None
        if own is not None and not project:
            return own
        if here is not None:
            at_work = [one.id for one in await self.commands.story_titles(here) if one.status in AT_WORK]
            if len(at_work) == 1:
                return at_work[0]
        raise InvalidInput(
            "Which story?",
            why="This is no story's thread."
            if here is None
            else f"{here} has not one story at work, but none or several.",
            hint="Fill in `story`, or use the command in the story's thread.",
        )

    async def story_and_text(
        self, ctx: Context, named: str | None, text: str, project: str | None = None
    ) -> tuple[str, str]:
        """For a typed command in a story's thread, whose first word is no id but the text's beginning."""
        own = self.channels.story_of(ctx.channel) if ctx.channel is not None else None
        if own is not None and ctx.interaction is None and named and not _STORY_ID.fullmatch(named.strip()):
            return own, f"{named} {text}".strip()
        return await self.story(ctx, named, project), text

    async def _titled(self, words: str, project: str | None) -> str:
        wanted = words.casefold()
        titles = await self.commands.story_titles(project)
        same = [one.id for one in titles if one.title.casefold() == wanted]
        found = same or [one.id for one in titles if wanted in one.title.casefold()]
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotFound(f"There is no story '{cut(words, 100)}'.", hint="Choose one of those offered.")
        raise InvalidInput(
            f"'{cut(words, 100)}' fits {len(found)} stories.", hint=f"Say which: {', '.join(found[:10])}."
        )

    def implied(self, channel: Any) -> str | None:
        """The project of this channel, or of the channel that this thread hangs off."""
        return self.channels.project_of(channel) if channel is not None else None


def _asker() -> Asker:
    if (asker := _ASKER.get()) is None:
        raise NotAllowed("Nobody was admitted.", why="A command or button asked for nothing before it acted.")
    return asker


def _only(projects: Collection[str]) -> str | None:
    named = set(projects) - {EVERY_PROJECT, ANY_PROJECT}
    return named.pop() if len(named) == 1 else None


def project_in(text: str) -> str:
    """shop, of the story's id shop-3; of what is none, every project."""
    return project_of(text.lower()) if _STORY_ID.fullmatch(text) else EVERY_PROJECT


def _guild_id(ctx: Context) -> int | None:
    return ctx.interaction.guild_id if ctx.interaction else ctx.guild.id if ctx.guild else None


def actor(user: discord.abc.User) -> str:
    return f"discord:{user.id}"


def person(user: discord.abc.User, guild: discord.Guild | None, guild_id: int | None) -> Person:
    """What Discord says of a user: from the interaction itself, so no privileged intent is needed."""
    roles: frozenset[str] = frozenset()
    manages = False
    if isinstance(user, discord.Member):
        roles = frozenset({str(role.id) for role in user.roles} | {role.name for role in user.roles})
        permissions = user.resolved_permissions or user.guild_permissions
        manages = permissions.manage_guild or permissions.administrator
    owns = guild is not None and guild.owner_id == user.id
    return Person(user_id=user.id, guild_id=guild_id, owns_guild=owns, manages_guild=manages, roles=roles)
