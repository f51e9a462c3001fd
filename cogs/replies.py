"""How an answer gets to the person who asked: at once when it is quick, after a deferral when it is not."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Coroutine
from typing import Any

import discord

from cogs.desk import Context
from cogs.message import Message
from cogs.outgoing import editing, sending
from cogs.render import refusal
from core.errors import OrchardError

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.2  # Discord gives 3 s for the first answer, network and all
SLOW_SECONDS = 0.04  # for what waits for an agent, git or a drawing: it is seldom done sooner
# Messages of which somebody chose to see something else lately: that is not taken away from them.
_turned: deque[int] = deque(maxlen=1000)
# Messages whose words are being replaced, each with what tells that they are: two edits come in any order.
_replacing: dict[int, asyncio.Event] = {}


async def answer(ctx: Context, work: Awaitable[Message], *, slow: bool = False) -> None:
    """Says what `work` returns. Its exception is raised here, for the error edge to tell."""
    patience_seconds = SLOW_SECONDS if slow else PATIENCE_SECONDS
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=patience_seconds)
        if not done:
            await ctx.defer()
        message = await task
    finally:
        task.cancel()
    await ctx.send(**sending(message))


async def answer_then(ctx: Context, first: Message, work: Coroutine[Any, Any, Message]) -> None:
    """Says `first` at once and puts what `work` returns in its place: for what may take minutes.

    What it raises takes that place too. Discord lets a slash command's answer be edited for 15 minutes:
    what ends later is told by its event's post.
    """
    try:
        sent = await ctx.send(**sending(first))
    except BaseException:
        work.close()
        raise
    try:
        message = await work
    except OrchardError as error:
        message = refusal(error)
    if sent.id in _turned:
        return
    replaced = _replacing[sent.id] = asyncio.Event()
    try:
        await sent.edit(**editing(message))
    except discord.HTTPException as error:
        _log.info("an answer came too late for its place: %s", error)
    finally:
        del _replacing[sent.id]
        replaced.set()


async def update(
    interaction: discord.Interaction[Any],
    work: Awaitable[Message],
    *,
    slow: bool = False,
    keep_files: bool = False,
) -> None:
    """Replaces the message that the pressed button sits on with what `work` returns."""
    patience_seconds = SLOW_SECONDS if slow else PATIENCE_SECONDS
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=patience_seconds)
        if not done:
            await interaction.response.defer()
        message = await task
    finally:
        task.cancel()
    if interaction.message is not None:
        _turned.append(interaction.message.id)
        if (replaced := _replacing.get(interaction.message.id)) is not None:
            if not interaction.response.is_done():
                await interaction.response.defer()
            await replaced.wait()
    if not interaction.response.is_done():
        await interaction.response.edit_message(**editing(message, keep_files=keep_files))
    else:
        await interaction.edit_original_response(**editing(message, keep_files=keep_files))


async def confide(interaction: discord.Interaction[Any], work: Awaitable[Message]) -> None:
    """Tells only the person who pressed or sent what `work` returns; everything else stays as it is."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=SLOW_SECONDS)
        if not done:
            await interaction.response.defer(ephemeral=True, thinking=True)
        message = await task
    finally:
        task.cancel()
    if interaction.response.is_done():
        await interaction.edit_original_response(**editing(message))
    else:
        await interaction.response.send_message(**sending(message), ephemeral=True)


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
