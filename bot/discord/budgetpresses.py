"""What the buttons and the form under a budget that is used up do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import discord

from bot.discord.client import Press, Submit
from bot.discord.form import LOOK_SECONDS, form
from bot.discord.render import who
from cogs.budget import argument_of, check_raise, raise_budget, show_budgets
from cogs.desk import Desk, actor
from cogs.message import Message
from cogs.outgoing import answered
from cogs.raises import Asked, asked_of, more, typed
from cogs.render_budgets import raised
from cogs.replies import update, whisper
from cogs.text import title
from core.orchestrator.budget_views import RaiseView

_MARK = re.compile(r".+ · #\d+")  # see `bot.discord.notices.mark`


class _Already(Exception):
    """This very click counted before; the post stays as it is."""

    def __init__(self, view: RaiseView) -> None:
        super().__init__(view.sentence)
        self.view = view


class BudgetPresses:
    """`presses` by a button's verb, `submits` by a form's; their targets: `cogs.raises`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.presses: Mapping[str, Press] = {"raise": self._raise, "raise_by": self._ask_how_much}
        self.submits: Mapping[str, Submit] = {"raise_by": self._raise_by}

    async def _raise(self, interaction: discord.Interaction[Any], target: str) -> None:
        await self._do(interaction, asked_of(target))

    async def _ask_how_much(self, interaction: discord.Interaction[Any], target: str) -> None:
        """Who may not is told so at once, not after having typed."""
        asked = asked_of(target)
        with suppress(TimeoutError):  # what is sent is checked once more
            async with asyncio.timeout(LOOK_SECONDS):
                await check_raise(self._desk, asked, await self._desk.standing(interaction, asked.project))
        await _FORM(interaction, target)

    async def _raise_by(self, interaction: discord.Interaction[Any], target: str, text: str) -> None:
        asked = asked_of(target)
        unit, amount = typed(text, asked.unit)
        await self._do(interaction, replace(asked, unit=unit, amount=amount))

    async def _do(self, interaction: discord.Interaction[Any], asked: Asked) -> None:
        async def work() -> Message:
            by = actor(interaction.user)
            view = await raise_budget(
                self._desk,
                asked,
                click=_click(interaction, asked),
                by=by,
                standing=await self._desk.standing(interaction, asked.project),
            )
            if not view.new:
                raise _Already(view)
            return await self._shown(interaction, asked, by)

        try:
            await update(interaction, work(), keep_files=True)
        except _Already as done:
            await whisper(interaction, raised(done.view))

    async def _shown(self, interaction: discord.Interaction[Any], asked: Asked, by: str) -> Message:
        """An event's post with who raised it; what `/budget show` said, as it is now."""
        posted = interaction.message
        if posted is not None and posted.embeds and _MARK.fullmatch(posted.embeds[0].footer.text or ""):
            amount = more(asked.unit, asked.amount)
            return answered(posted, f"Raised by {who(by)}: {amount} for {title(asked.whose, 80)}.")
        return await show_budgets(self._desk, argument_of(asked))


_FORM = form(
    "raise_by", "Raise the budget", "How much more?", "Such as 2.50 dollars, 120k tokens, 3 turns, 90 minutes"
)


def _click(interaction: discord.Interaction[Any], asked: Asked) -> str:
    """The same for each press on one post: two people, two clicks and a restart make it one raise."""
    where = interaction.message.id if interaction.message is not None else interaction.id
    return f"discord:{where}:{asked.scope}:{asked.unit}:{asked.amount}"
