"""A post to be made of an event, and how an event's data is read for it. PURE.

Event data is read leniently: an old row of an older program must still be told. What is too long for
Discord is not cut here: `cogs.message.fit` cuts it and attaches the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cogs.message import Button, Card, Field, Message, Tone
from cogs.text import code, plain
from core.domain.event import Event
from core.domain.ping import Ping


class Place(StrEnum):
    CHANNEL = "the project's channel"
    THREAD = "the story's thread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`ping`: what people are called for; None: nobody is."""

    message: Message
    place: Place
    ping: Ping | None = None


Data = Mapping[str, Any]
Render = Callable[[Event, Data, str], Notice]  # the event, its data, its story's title or ''


def say(
    words: str,
    *,
    place: Place = Place.THREAD,
    tone: Tone = Tone.NEUTRAL,
    fields: tuple[Field, ...] = (),
    heading: str = "",
    ping: Ping | None = None,
    buttons: tuple[Button, ...] = (),
) -> Notice:
    card = Card(title=heading, body=words, fields=fields, tone=tone)
    return Notice(message=Message(cards=(card,), buttons=buttons), place=place, ping=ping)


def text(data: Data, key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)


def texts(data: Data, key: str) -> tuple[str, ...]:
    value = data.get(key)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def entries(data: Data, key: str) -> tuple[Data, ...]:
    """The mappings of a list of mappings."""
    value = data.get(key)
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def number(data: Data, key: str) -> float | None:
    value = data.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def listed(names: tuple[str, ...], most: int = 60) -> str:
    """One name a line, as code; beyond `most` only how many more."""
    lines = [code(name, 400) for name in names[:most]]
    return "\n".join(lines + ([f"… and {len(names) - most} more"] if len(names) > most else []))


def quoted(words: str, limit: int = 50_000) -> str:
    """Outside text as a quotation."""
    return "\n".join(f"> {line}" for line in plain(words, limit).splitlines())
