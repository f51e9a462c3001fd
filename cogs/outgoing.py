"""Messages as discord.py takes them: embeds, files and buttons.

All that is posted comes through `sending`, the last place where a known secret is taken out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, Self, cast

import discord

from cogs.message import Button, Card, Field, Look, Message, Select, Tone, fit
from core.known_secrets import known_secrets

CUSTOM_ID = re.compile(r"orchard:(?P<verb>[a-z_]{1,20}):(?P<target>.{1,70})")

_STYLES: Mapping[Look, discord.ButtonStyle] = {
    Look.PRIMARY: discord.ButtonStyle.primary,
    Look.PLAIN: discord.ButtonStyle.secondary,
    Look.GOOD: discord.ButtonStyle.success,
    Look.BAD: discord.ButtonStyle.danger,
}


Control = discord.ui.Button[discord.ui.View] | discord.ui.Select[discord.ui.View]


class Pressable(Protocol):
    """The client's side of a button or select: what a verb means is looked up when it is used."""

    async def press(self, interaction: discord.Interaction[Any], verb: str, target: str) -> None: ...


class OrchardControl(discord.ui.DynamicItem[Control], template=CUSTOM_ID):
    """A button or select that carries its whole meaning in its custom id, so that it survives a restart."""

    def __init__(self, control: Control, verb: str, target: str) -> None:
        super().__init__(control)
        self.verb = verb
        self.target = target

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(cast("Control", item), match["verb"], match["target"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await cast(Pressable, interaction.client).press(interaction, self.verb, self.target)


def custom_id(verb: str, target: str) -> str:
    return f"orchard:{verb}:{target}"


def embed(card: Card) -> discord.Embed:
    made = discord.Embed(
        title=card.title or None, description=card.body or None, colour=card.tone.value, timestamp=card.at
    )
    for field in card.fields:
        made.add_field(name=field.name or "\u200b", value=field.value or "\u200b", inline=field.inline)
    if card.footer:
        made.set_footer(text=card.footer)
    if card.image:
        made.set_image(url=f"attachment://{card.image}")
    return made


def card(shown: discord.Embed) -> Card:
    """The other way: a posted embed, to post it again with a change."""
    try:
        tone = Tone(shown.colour.value if shown.colour else 0)
    except ValueError:
        tone = Tone.NEUTRAL
    return Card(
        title=shown.title or "",
        body=shown.description or "",
        fields=tuple(
            Field(name=field.name or "", value=field.value or "", inline=bool(field.inline))
            for field in shown.fields
        ),
        footer=shown.footer.text or "",
        tone=tone,
        at=shown.timestamp,
    )


def answered(posted: discord.Message, words: str) -> Message:
    """A posted question with the answer beneath it and its buttons gone."""
    cards = tuple(card(shown) for shown in posted.embeds) or (Card(),)
    first = replace(cards[0], fields=(*cards[0].fields, Field(name="Answer", value=words)), tone=Tone.QUIET)
    return Message(cards=(first, *cards[1:]))


def keeping_mark(message: Message, posted: discord.Message) -> Message:
    """The message with the footer and the time by which the posted one is known."""
    if not posted.embeds:
        return message
    old = card(posted.embeds[0])
    first = replace(message.cards[0], footer=old.footer, at=old.at)
    return replace(message, cards=(first, *message.cards[1:]))


def view(buttons: tuple[Button, ...], select: Select | None = None) -> discord.ui.View:
    made = discord.ui.View(timeout=None)
    if select is not None:
        menu: discord.ui.Select[discord.ui.View] = discord.ui.Select(
            custom_id=custom_id(select.verb, select.target),
            placeholder=select.placeholder,
            options=[
                discord.SelectOption(label=c.label, value=c.value, description=c.more or None)
                for c in select.choices
            ],
        )
        made.add_item(OrchardControl(menu, select.verb, select.target))
    for button in buttons:
        raw: discord.ui.Button[discord.ui.View] = discord.ui.Button(
            label=button.label,
            style=_STYLES[button.look],
            custom_id=custom_id(button.verb, button.target),
            disabled=button.disabled,
        )
        made.add_item(OrchardControl(raw, button.verb, button.target))
    return made


def sending(message: Message) -> dict[str, Any]:
    """Keyword arguments for a new message, within Discord's limits and without secrets."""
    small = fit(_discreet(message))
    made: dict[str, Any] = {"embeds": [embed(card) for card in small.cards]}
    if small.text:
        made["content"] = small.text
    if small.attachments:
        made["files"] = [discord.File(io.BytesIO(a.content), filename=a.name) for a in small.attachments]
    if small.buttons or small.select:
        made["view"] = view(small.buttons, small.select)
    return made


def _discreet(message: Message) -> Message:
    clean = known_secrets.text
    return replace(
        message,
        text=clean(message.text),
        cards=tuple(
            replace(
                card,
                title=clean(card.title),
                body=clean(card.body),
                footer=clean(card.footer),
                fields=tuple(
                    replace(each, name=clean(each.name), value=clean(each.value)) for each in card.fields
                ),
            )
            for card in message.cards
        ),
        attachments=tuple(
            each if each.data else replace(each, text=clean(each.text)) for each in message.attachments
        ),
        buttons=tuple(replace(each, label=clean(each.label)) for each in message.buttons),
        select=message.select
        and replace(
            message.select,
            placeholder=clean(message.select.placeholder),
            choices=tuple(
                replace(each, label=clean(each.label), more=clean(each.more))
                for each in message.select.choices
            ),
        ),
    )


def editing(message: Message, *, keep_files: bool = False) -> dict[str, Any]:
    """Keyword arguments for an edit: what the new message does not have goes away.

    `keep_files` leaves the attachments of the first posting as they are and sends none again.
    """
    made = sending(message)
    made["content"] = made.get("content")
    made["view"] = made.get("view")
    files = made.pop("files", [])
    if not keep_files:
        made["attachments"] = files
    return made
