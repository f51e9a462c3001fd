"""The edge at which an exception becomes a person's sentence: no interaction is left unanswered."""

from __future__ import annotations

import logging
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from cogs.desk import Context, Desk, NotAdmitted
from cogs.message import Message
from cogs.outgoing import sending
from cogs.render import breakdown, refusal
from cogs.replies import whisper
from core.errors import InvalidInput, NotFound, OrchardError
from core.ids import new_id

_log = logging.getLogger(__name__)


def explain(error: BaseException) -> OrchardError | None:
    """What a person is told of an exception; None: a fault of ours. PURE."""
    seen: BaseException | None = error
    for _ in range(8):
        if isinstance(seen, OrchardError):
            return seen
        if isinstance(seen, NotAdmitted):
            return seen.cause
        inner = getattr(seen, "original", None) or (seen.__cause__ if seen else None)
        if inner is None:
            break
        seen = inner
    return _misuse(error)


def _misuse(error: BaseException) -> OrchardError | None:
    if isinstance(error, commands.CommandNotFound):
        return NotFound("I do not know that command.", hint="Type / to see what I can do.")
    if isinstance(error, commands.MissingRequiredArgument):
        return InvalidInput(
            f"Something is missing: {error.param.displayed_name or error.param.name}.",
            hint="Type / and choose the command to see what it wants.",
        )
    if isinstance(error, commands.BadLiteralArgument):
        return InvalidInput(
            f"'{error.argument}' is not possible for {error.param.name}.",
            hint=f"Possible: {', '.join(map(str, error.literals))}.",
        )
    if isinstance(error, (commands.UserInputError, app_commands.TransformerError)):
        return InvalidInput(str(error) or "That could not be read.", hint="Put texts with spaces in quotes.")
    if isinstance(error, (app_commands.CommandNotFound, app_commands.CommandSignatureMismatch)):
        return NotFound(
            "This command has changed since your Discord last looked.",
            hint="Reload Discord (Ctrl+R) and try again.",
        )
    if isinstance(error, (commands.CheckFailure, app_commands.CheckFailure)):
        return InvalidInput("That is not possible here.", hint="Use it in the server.")
    return None


def told(error: BaseException, where: str) -> Message:
    """The message for a person. A fault of ours is logged under the id that the message names."""
    if (known := explain(error)) is not None:
        return refusal(known)
    error_id = new_id("error")
    _log.error("%s: %s failed", error_id, where, exc_info=error)
    return breakdown(error_id)


async def whisper_error(interaction: discord.Interaction[Any], error: BaseException, where: str) -> None:
    """Tells the person who asked; where that fails as well (too late, connection lost) the log has it."""
    message = told(error, where)
    try:
        await whisper(interaction, message)
    except Exception as gone:
        _log.warning("%s: nobody could be told: %s (%s)", where, error, gone)


class Errors(commands.Cog):
    """Text and slash commands alike."""

    def __init__(self, bot: commands.Bot, desk: Desk) -> None:
        self._bot = bot
        self._desk = desk
        self._previous = bot.tree.on_error

    async def cog_load(self) -> None:
        self._bot.tree.error(self.on_app_command_error)

    async def cog_unload(self) -> None:
        self._bot.tree.error(self._previous)

    async def on_app_command_error(
        self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError
    ) -> None:
        name = interaction.command.qualified_name if interaction.command else "a command"
        await whisper_error(interaction, error, f"/{name}")

    @commands.Cog.listener()
    async def on_command_error(self, ctx: Context, error: commands.CommandError) -> None:
        name = ctx.command.qualified_name if ctx.command else ctx.message.content[:50]
        if ctx.interaction is not None:
            await whisper_error(ctx.interaction, error, f"/{name}")
            return
        if ctx.guild is None or ctx.guild.id != self._desk.guild_id():
            return  # a mention in a server that is not ours is no business of ours
        await ctx.send(**sending(told(error, name)))
