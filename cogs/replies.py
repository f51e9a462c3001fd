"""How an answer gets to the person who asked: at once when it is quick, after a deferral when it is not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import discord

from cogs.desk import Context
from cogs.message import Message
from cogs.outgoing import editing, sending

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.2  # Discord gives 3 s for the first answer, network and all


async def answer(
    ctx: Context, work: Awaitable[Message], *, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Says what `work` returns. Its exception is raised here, for the error edge to tell."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=patience_seconds)
        if not done:
            await ctx.defer()
        message = await task
    finally:
        task.cancel()
    await ctx.send(**sending(message))


async def update(
    interaction: discord.Interaction[Any],
    work: Awaitable[Message],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    keep_files: bool = False,
) -> None:
    """Replaces the message that the pressed button sits on with what `work` returns."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=patience_seconds)
        if not done:
            await interaction.response.defer()
        message = await task
    finally:
        task.cancel()
    if not interaction.response.is_done():
        await interaction.response.edit_message(**editing(message, keep_files=keep_files))
    else:
        await interaction.edit_original_response(**editing(message, keep_files=keep_files))


async def whisper(interaction: discord.Interaction[Any], message: Message) -> None:
    """Tells only the person who asked, whatever was answered before."""
    response = interaction.response
    if not response.is_done():
        await response.send_message(**sending(message), ephemeral=True)
        return
    if response.type is discord.InteractionResponseType.deferred_channel_message:
        # The first follow-up would be as public as the deferral was.
        try:
            await interaction.delete_original_response()
        except discord.HTTPException:
            _log.debug("the placeholder stays", exc_info=True)
    await interaction.followup.send(**sending(message), ephemeral=True)
