"""What every cog and button needs: the core's facade, who may do what, and which project is meant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import discord
from discord.ext import commands

from cogs.access import AccessPolicy, Person, require
from cogs.completion import Completion
from cogs.message import Message
from core.errors import InvalidInput, OrchardError

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands

Context = commands.Context[Any]
Page = Callable[[str, int], Awaitable[Message]]


class Channels(Protocol):
    """Which project a channel, or the channel that a thread hangs off, belongs to."""

    def project_of(self, channel: Any) -> str | None: ...


class NotAdmitted(commands.CheckFailure):
    """An OrchardError out of a check, in the wrapping that discord.py wants there."""

    def __init__(self, cause: OrchardError) -> None:
        super().__init__(cause.message)
        self.cause = cause


@dataclass(slots=True, kw_only=True)
class Desk:
    """`guild_id` says which server is served now, None while there is none; `pages` what can be leafed."""

    commands: Commands
    channels: Channels
    completion: Completion
    guild_id: Callable[[], int | None]
    roles: frozenset[str] = frozenset()
    pages: dict[str, Page] = field(default_factory=dict)

    def admit(
        self, user: discord.abc.User, guild: discord.Guild | None, guild_id: int | None, what: str
    ) -> None:
        """Raises NotAllowed when this person may not do `what` here."""
        policy = AccessPolicy(guild_id=self.guild_id(), roles=self.roles)
        require(policy, person(user, guild, guild_id), what)

    async def check(self, ctx: Context) -> bool:
        """The bot's global check: no command runs without it."""
        if ctx.command is None:
            return False
        guild_id = ctx.interaction.guild_id if ctx.interaction else ctx.guild.id if ctx.guild else None
        try:
            self.admit(ctx.author, ctx.guild, guild_id, ctx.command.qualified_name)
        except OrchardError as error:
            raise NotAdmitted(error) from error
        return True

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

    def implied(self, channel: Any) -> str | None:
        """The project of this channel, or of the channel that this thread hangs off."""
        return self.channels.project_of(channel) if channel is not None else None


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
