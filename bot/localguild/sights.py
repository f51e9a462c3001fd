"""What a person sees: messages, channels and answers, as values around Discord's JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.localguild.components import Kind, walk
from bot.localguild.interactions import CallbackType
from bot.localguild.model import THREAD_TYPES, Json, MessageFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    label: str
    custom_id: str
    disabled: bool
    style: int


@dataclass(frozen=True, slots=True)
class PostedMessage:
    """A message at one moment; `raw` is Discord's message object."""

    raw: Json = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def channel_id(self) -> str:
        return str(self.raw["channel_id"])

    @property
    def author(self) -> str:
        """The author's user name."""
        return str(self.raw["author"]["username"])

    @property
    def content(self) -> str:
        return str(self.raw["content"])

    @property
    def embeds(self) -> list[Json]:
        return list(self.raw["embeds"])

    @property
    def ephemeral(self) -> bool:
        return bool(self.raw["flags"] & MessageFlag.EPHEMERAL)

    @property
    def thinking(self) -> bool:
        return bool(self.raw["flags"] & MessageFlag.LOADING)

    @property
    def thread_id(self) -> str | None:
        thread = self.raw.get("thread")
        return str(thread["id"]) if thread else None

    @property
    def attachments(self) -> list[Json]:
        return list(self.raw["attachments"])

    @property
    def buttons(self) -> list[Button]:
        return [
            Button(
                label=one.get("label", ""),
                custom_id=one.get("custom_id", ""),
                disabled=bool(one.get("disabled")),
                style=one["style"],
            )
            for one in walk(self.raw["components"])
            if one["type"] == Kind.BUTTON
        ]

    @property
    def labels(self) -> list[str]:
        """The labels of the buttons that can be pressed."""
        return [one.label for one in self.buttons if not one.disabled]

    @property
    def text(self) -> str:
        """Everything readable: content, embeds, text displays, labels; one piece a line."""
        return "\n".join(_readable(self.raw))

    def __str__(self) -> str:
        return f"[{self.author}] {self.text}"


def _readable(raw: Json) -> Iterator[str]:
    if raw["content"]:
        yield raw["content"]
    for embed in raw["embeds"]:
        yield from (embed[key] for key in ("title", "description") if embed.get(key))
        for one in embed.get("fields", ()):
            yield one["name"]
            yield one["value"]
        for key, text_key in (("author", "name"), ("footer", "text")):
            if key in embed:
                yield embed[key][text_key]
    for component in walk(raw["components"]):
        yield from (component[key] for key in ("content", "label", "placeholder") if component.get(key))


@dataclass(frozen=True, slots=True)
class SeenChannel:
    raw: Json = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def name(self) -> str:
        return str(self.raw.get("name", ""))

    @property
    def type(self) -> int:
        return int(self.raw["type"])

    @property
    def parent_id(self) -> str | None:
        return self.raw.get("parent_id")

    @property
    def topic(self) -> str:
        return self.raw.get("topic") or ""

    @property
    def is_thread(self) -> bool:
        return self.raw["type"] in THREAD_TYPES

    @property
    def archived(self) -> bool:
        return bool(self.raw.get("thread_metadata", {}).get("archived"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """How the bot has answered an interaction, at one moment."""

    raw: Json = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def callback(self) -> CallbackType | None:
        """The first response's type; None: not acknowledged yet."""
        value = self.raw["callback"]
        return None if value is None else CallbackType(value)

    @property
    def acknowledged_after_seconds(self) -> float | None:
        seconds: float | None = self.raw["acknowledged_after"]
        return seconds

    @property
    def answered(self) -> bool:
        """Is there more to see than "thinking"?"""
        return bool(self.raw["answered"])

    @property
    def message(self) -> PostedMessage | None:
        """The original response; for a button that updates its message, that message."""
        return PostedMessage(self.raw["message"]) if self.raw["message"] else None

    @property
    def followups(self) -> list[PostedMessage]:
        return [PostedMessage(one) for one in self.raw["followups"]]

    @property
    def modal(self) -> Json | None:
        """The form shown: {custom_id, title, components}."""
        modal: Json | None = self.raw["modal"]
        return modal

    @property
    def ephemeral(self) -> bool:
        return self.message is not None and self.message.ephemeral

    @property
    def text(self) -> str:
        """What the original response and the follow-ups say; "" for none."""
        shown = [self.message] if self.message else []
        return "\n".join(one.text for one in [*shown, *self.followups])
