"""The form with one text field, behind every button that wants words."""

from __future__ import annotations

import discord

from cogs.outgoing import custom_id


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
