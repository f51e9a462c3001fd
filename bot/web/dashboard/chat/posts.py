"""PURE: a guild's messages as they are shown: one value a message, equal as long as nothing of it changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from html import escape
from typing import Any

from bot.localguild.components import SELECTS, Kind, walk
from bot.localguild.model import MessageFlag, MessageType
from bot.web.dashboard.chat.markup import Names, inline, stamp, to_html

Json = Mapping[str, Any]
_TOGETHER = timedelta(minutes=7)  # so long the name is not said again
_PLAIN_COLOUR = "var(--line)"
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_STYLES = {1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link"}
_FROM_COMMAND = (MessageType.CHAT_INPUT_COMMAND, MessageType.CONTEXT_MENU_COMMAND)


class Control(StrEnum):
    BUTTON = "button"
    LINK = "link"
    SELECT = "select"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    label: str
    value: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What can be pressed or chosen from. `id`: the custom id, or a link's address."""

    kind: Control
    id: str
    label: str
    style: str = "secondary"
    disabled: bool = False
    choices: tuple[Choice, ...] = ()  # of a select of texts; others take what exists in the guild
    most: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    id: str
    name: str
    size: int  # bytes
    is_picture: bool
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """`html` is safe to show as it is. `headed`: it says who wrote it, which follows from the one before."""

    id: str
    author: str
    is_bot: bool
    at: datetime
    html: str
    headed: bool
    edited: bool = False
    private: bool = False  # only its reader sees it
    thinking: bool = False
    about: str = ""  # "robin used /epic", "robin: …" of a reply
    rows: tuple[tuple[Component, ...], ...] = ()
    files: tuple[File, ...] = ()
    thread_id: str = ""
    thread_name: str = ""
    reactions: tuple[str, ...] = field(default=())


def posts_of(messages: Sequence[Json], names: Names) -> tuple[Post, ...]:
    """Of one channel, oldest first."""
    shown: list[Post] = []
    for message in messages:
        shown.append(_post(message, names, shown[-1] if shown else None))
    return tuple(shown)


def _post(message: Json, names: Names, before: Post | None) -> Post:
    at = datetime.fromisoformat(message["timestamp"])
    flags = MessageFlag(message["flags"])
    author, about = _who(message["author"]), _about(message)
    private = MessageFlag.EPHEMERAL in flags
    headed = (
        before is None
        or bool(about)
        or before.author != author
        or before.private != private
        or at - before.at > _TOGETHER
    )
    thread = message.get("thread") or {}
    body = message
    if message["type"] == MessageType.THREAD_STARTER and message.get("referenced_message"):
        body = message["referenced_message"]
    return Post(
        id=str(message["id"]),
        author=author,
        is_bot=bool(message["author"].get("bot")),
        at=at,
        html=_body(body, names),
        headed=headed,
        # Discord marks what was said so, and no embeds: those are changed all the time.
        edited=message.get("edited_timestamp") is not None and bool(message["content"]),
        private=private,
        thinking=MessageFlag.LOADING in flags,
        about=about,
        rows=tuple(_rows(message["components"])),
        files=tuple(_file(one) for one in message["attachments"]),
        thread_id=str(thread.get("id", "")),
        thread_name=str(thread.get("name", "")),
        reactions=tuple(
            f"{one['emoji']['name']} {one['count']}" for one in message.get("reactions", ()) if one["emoji"]
        ),
    )


def _who(user: Json) -> str:
    return str(user.get("global_name") or user["username"])


def _about(message: Json) -> str:
    used = message.get("interaction")
    if used and message["type"] in _FROM_COMMAND:
        return f"{_who(used['user'])} used /{used['name']}"
    replied = message.get("referenced_message")
    if replied and message["type"] == MessageType.REPLY:
        words = " ".join(str(replied["content"]).split())
        return f"↪ {_who(replied['author'])}: {words[:80] or 'a post'}"
    return ""


def _body(message: Json, names: Names) -> str:
    said = to_html(message["content"], names) if message["content"] else ""
    shown = (
        ""
        if message["flags"] & MessageFlag.SUPPRESS_EMBEDS
        else "".join(_embed(one, names) for one in message["embeds"])
    )
    return said + shown + "".join(_laid_out(message["components"], names))


def _embed(embed: Json, names: Names) -> str:
    colour = embed.get("color")
    bar = _PLAIN_COLOUR if colour is None else f"#{int(colour) & 0xFFFFFF:06x}"
    parts = []
    if author := embed.get("author"):
        parts.append(f'<div class="e-by">{escape(str(author.get("name", "")))}</div>')
    if embed.get("title"):
        title, url = inline(embed["title"], names), str(embed.get("url") or "")
        if url.startswith(("https://", "http://")):
            title = f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{title}</a>'
        parts.append(f'<div class="e-title">{title}</div>')
    if embed.get("description"):
        parts.append(f'<div class="e-text">{to_html(embed["description"], names)}</div>')
    if fields := embed.get("fields"):
        parts.append(f'<div class="e-fields">{"".join(_field(one, names) for one in fields)}</div>')
    foot = [escape(str((embed.get("footer") or {}).get("text", "")))]
    if embed.get("timestamp"):
        foot.append(stamp(datetime.fromisoformat(embed["timestamp"])))
    if any(foot):
        parts.append(f'<div class="e-foot">{" · ".join(one for one in foot if one)}</div>')
    return f'<div class="embed" style="border-left-color: {bar}">{"".join(parts)}</div>'


def _field(field: Json, names: Names) -> str:
    wide = "" if field.get("inline") else " wide"
    name, value = inline(field["name"], names), to_html(field["value"], names)
    return (
        f'<div class="e-field{wide}"><div class="e-name">{name}</div><div class="e-value">{value}</div></div>'
    )


def _laid_out(components: Iterable[Json], names: Names) -> Iterable[str]:
    """The texts of a message that is laid out by components."""
    for one in walk(list(components)):  # type: ignore[arg-type]
        if one["type"] == Kind.TEXT_DISPLAY:
            yield f'<div class="e-text">{to_html(one["content"], names)}</div>'


def _rows(components: Iterable[Json]) -> Iterable[tuple[Component, ...]]:
    for one in components:
        if one["type"] == Kind.ACTION_ROW:
            if row := tuple(filter(None, map(component_of, one["components"]))):
                yield row
        elif one["type"] == Kind.CONTAINER:
            yield from _rows(one["components"])
        elif one["type"] == Kind.SECTION and (accessory := component_of(one.get("accessory") or {"type": 0})):
            yield (accessory,)


def component_of(one: Json) -> Component | None:
    """A button or a select; None for what nobody can use."""
    if one["type"] == Kind.BUTTON:
        emoji = str((one.get("emoji") or {}).get("name") or "")
        label = " ".join(filter(None, (emoji, str(one.get("label") or "")))) or "(no words)"
        link = str(one.get("url") or "")
        if link and not link.startswith(("https://", "http://")):
            return None
        return Component(
            kind=Control.LINK if link else Control.BUTTON,
            id=link or str(one.get("custom_id", "")),
            label=label,
            style=_STYLES.get(int(one.get("style", 2)), "secondary"),
            disabled=bool(one.get("disabled")),
        )
    if one["type"] in SELECTS:
        return Component(
            kind=Control.SELECT,
            id=str(one["custom_id"]),
            label=str(one.get("placeholder") or "Choose"),
            disabled=bool(one.get("disabled")),
            choices=tuple(
                Choice(label=each["label"], value=each["value"], description=each.get("description", ""))
                for each in one.get("options", ())
            ),
            most=int(one.get("max_values", 1)),
        )
    return None


def _file(one: Json) -> File:
    return File(
        id=str(one["id"]),
        name=str(one["filename"]),
        size=int(one["size"]),
        is_picture=one.get("content_type") in _PICTURES,
        description=str(one.get("description") or ""),
    )
