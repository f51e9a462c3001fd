"""The form with one text field, behind every button that wants words; what a press says when it is over."""

from __future__ import annotations

from typing import Any

import discord

from bot.discord.client import Press
from cogs.message import Message
from cogs.outgoing import answered, custom_id

LOOK_SECONDS = 1.0  # a form cannot follow a deferral, so what is looked up before it must be quick


class Form(discord.ui.Modal):
    """One text field. It keeps nothing: `OrchardBot.submit` reads what was sent by the form's custom id."""

    def __init__(
        self, *, verb: str, target: str, heading: str, label: str, hint: str, least: int | None = 1
    ) -> None:
        super().__init__(title=heading[:45], timeout=None, custom_id=custom_id(verb, target))
        text: discord.ui.TextInput[Form] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph,
            custom_id="text",
            placeholder=hint[:100],
            min_length=least,
            max_length=3000,
        )
        self.add_item(discord.ui.Label(text=label[:45], component=text))
        self.stop()  # so that discord.py does not keep it waiting for an answer that may come after a restart


def form(verb: str, heading: str, label: str, hint: str, *, least: int | None = 1) -> Press:
    """A press that opens a form; `{}` in the heading is the button's target."""

    async def press(interaction: discord.Interaction[Any], target: str) -> None:
        await interaction.response.send_modal(
            Form(
                verb=verb,
                target=target,
                heading=heading.format(target),
                label=label,
                hint=hint,
                least=least,
            )
        )

    return press


def over(interaction: discord.Interaction[Any], words: str, otherwise: Message) -> Message:
    """The question with its answer and without its buttons, where it is still there."""
    return answered(interaction.message, words) if interaction.message is not None else otherwise
