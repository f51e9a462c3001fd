"""What is to be said in Discord, as values, and the limits that Discord sets. PURE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum

from cogs.text import cut, length

CONTENT_LIMIT = 2000
TITLE_LIMIT = 256
BODY_LIMIT = 4096
FIELD_LIMIT = 25
FIELD_NAME_LIMIT = 256
FIELD_VALUE_LIMIT = 1024
FOOTER_LIMIT = 2048
CARD_LIMIT = 10
TOTAL_LIMIT = 6000  # over all cards of a message
BUTTON_LIMIT = 25
LABEL_LIMIT = 80
ROW_LIMIT = 5  # of components; a row holds five buttons or one select
CHOICE_LIMIT = 25  # of a select
CHOICE_TEXT_LIMIT = 100
PLACEHOLDER_LIMIT = 150
FILE_LIMIT = 10


class Tone(Enum):
    """The colour bar of a card, as RGB."""

    NEUTRAL = 0x5865F2
    GOOD = 0x2E9E5B
    BAD = 0xC9372C
    ASK = 0xD9A400
    QUIET = 0x8A8F98


class Look(StrEnum):
    PRIMARY = "primary"
    PLAIN = "secondary"
    GOOD = "success"
    BAD = "danger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    name: str
    value: str
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One embed. All text is Discord markdown: outside text has been through `cogs.text`."""

    title: str = ""
    body: str = ""
    fields: tuple[Field, ...] = ()
    footer: str = ""
    tone: Tone = Tone.NEUTRAL
    at: datetime | None = None
    image: str = ""  # the name of one of the message's attachments


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file: `data` where it is given, else `text`."""

    name: str
    text: str = ""
    data: bytes = b""

    @property
    def content(self) -> bytes:
        return self.data or self.text.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """`verb` and `target` make the custom id, so a button needs nothing in memory."""

    label: str
    verb: str
    target: str
    look: Look = Look.PLAIN
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    value: str  # at most 100 characters
    label: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """One of at most 25 choices; `verb` and `target` make the custom id, as a button's do."""

    verb: str
    target: str
    placeholder: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A select stands above the buttons."""

    text: str = ""
    cards: tuple[Card, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    buttons: tuple[Button, ...] = ()
    select: Select | None = None


def fit(message: Message) -> Message:
    """The message within every limit. What had to be cut is attached whole, so nothing is lost."""
    budget = TOTAL_LIMIT
    cards: list[Card] = []
    for card in message.cards[:CARD_LIMIT]:
        fitted, budget = _fit_card(card, budget)
        cards.append(fitted)
    text = cut(message.text, CONTENT_LIMIT)
    room = BUTTON_LIMIT if message.select is None else BUTTON_LIMIT - ROW_LIMIT
    small = replace(
        message,
        text=text,
        cards=tuple(cards),
        attachments=message.attachments[:FILE_LIMIT],
        buttons=tuple(replace(b, label=cut(b.label, LABEL_LIMIT)) for b in message.buttons[:room]),
        select=_fit_select(message.select),
    )
    if text == message.text and small.cards == message.cards:
        return small
    whole = Attachment(name="full.md", text=as_text(message))
    return replace(small, attachments=(*small.attachments[: FILE_LIMIT - 1], whole))


def _fit_select(select: Select | None) -> Select | None:
    """None where nothing can be chosen: Discord refuses a select without choices."""
    if select is None or not select.choices:
        return None
    choices = tuple(
        Choice(
            value=choice.value,
            label=cut(choice.label, CHOICE_TEXT_LIMIT) or choice.value,
            more=cut(choice.more, CHOICE_TEXT_LIMIT),
        )
        for choice in select.choices[:CHOICE_LIMIT]
    )
    return replace(select, placeholder=cut(select.placeholder, PLACEHOLDER_LIMIT), choices=choices)


def as_text(message: Message) -> str:
    """All words of a message, for the attachment of one that was too long."""
    parts = [message.text]
    for card in message.cards:
        parts += [f"# {card.title}" if card.title else "", card.body]
        parts += [f"## {field.name}\n{field.value}" for field in card.fields]
        parts.append(card.footer)
    return "\n\n".join(part for part in parts if part) + "\n"


def _fit_card(card: Card, budget: int) -> tuple[Card, int]:
    def take(text: str, limit: int) -> str:
        nonlocal budget
        kept = cut(text, min(limit, budget)) if budget > 0 else ""
        budget -= length(kept)
        return kept

    title = take(card.title, TITLE_LIMIT)
    footer = take(card.footer, FOOTER_LIMIT)
    body = take(card.body, BODY_LIMIT)
    fields: list[Field] = []
    for field in card.fields[:FIELD_LIMIT]:
        if budget < 2:  # Discord refuses a field without a name or a value
            break
        name = cut(field.name, min(FIELD_NAME_LIMIT, budget - 1))
        budget -= length(name)
        fields.append(replace(field, name=name, value=take(field.value, FIELD_VALUE_LIMIT)))
    return replace(card, title=title, body=body, footer=footer, fields=tuple(fields)), budget


def paginate(lines: tuple[str, ...], *, per_page: int = 10, size: int = 3800) -> tuple[tuple[str, ...], ...]:
    """Lines in pages of at most `per_page` lines and `size` characters; a longer line has its own page."""
    pages: list[tuple[str, ...]] = []
    page: list[str] = []
    used = 0
    for line in lines:
        cost = length(line) + 1
        if page and (len(page) >= per_page or used + cost > size):
            pages.append(tuple(page))
            page, used = [], 0
        page.append(line)
        used += cost
    if page or not pages:
        pages.append(tuple(page))
    return tuple(pages)
