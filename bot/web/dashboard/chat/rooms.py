"""PURE: a guild's channels and threads as the list at the side."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.localguild.model import THREAD_TYPES, ChannelType
from bot.web.dashboard.chat.markup import Names

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A place with messages; a thread's `parent` is the id of its channel."""

    id: str
    name: str
    topic: str = ""
    parent: str = ""
    unread: bool = False
    is_direct: bool = False
    archived: bool = False

    @property
    def is_thread(self) -> bool:
        return bool(self.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A category (the first has no name), its channels each followed by its open threads."""

    name: str
    rooms: tuple[Room, ...]


def sections_of(channels: Sequence[Json], unread: Collection[str] = ()) -> tuple[Section, ...]:
    """As Discord orders them. Archived threads stay out unless there is something unread in them."""
    inside: dict[str, list[Room]] = {}
    for one in channels:
        if one["type"] in THREAD_TYPES:
            inside.setdefault(str(one["parent_id"]), []).append(_room(one, unread))
    categories = sorted((one for one in channels if one["type"] == ChannelType.GUILD_CATEGORY), key=_place)
    places = [one for one in channels if one["type"] not in (*THREAD_TYPES, ChannelType.GUILD_CATEGORY)]
    known = {str(one["id"]) for one in categories}
    sections = []
    for category in (None, *categories):
        key = None if category is None else str(category["id"])
        own = [one for one in places if _category(one, known) == key]
        rooms: list[Room] = []
        for one in sorted(own, key=_place):
            rooms.append(_room(one, unread))
            threads = inside.get(str(one["id"]), [])
            rooms += sorted(
                (each for each in threads if not each.archived or each.unread), key=lambda each: int(each.id)
            )
        if rooms:
            sections.append(
                Section(name="" if category is None else str(category["name"]), rooms=tuple(rooms))
            )
    return tuple(sections)


def room_of(channels: Sequence[Json], wanted: str) -> Room | None:
    """By id or name; the first channel for ""."""
    if not wanted:
        sections = sections_of(channels)
        return sections[0].rooms[0] if sections else None
    for one in channels:
        if wanted in (str(one["id"]), one.get("name")) and one["type"] != ChannelType.GUILD_CATEGORY:
            return _room(one, ())
    return None


def names_of(
    channels: Sequence[Json],
    messages: Sequence[Json],
    members: Mapping[str, str],
    roles: Mapping[str, str],
) -> Names:
    """Of whom and what the messages tell. `members` and `roles`: names by id, as far as they are known."""
    users = dict(members)
    for message in messages:
        for user in (message["author"], *message["mentions"]):
            users[str(user["id"])] = str(user.get("global_name") or user["username"])
    places = {str(one["id"]): str(one.get("name", "")) for one in channels}
    return Names(users=users, channels=places, roles=roles)


def _room(one: Json, unread: Collection[str]) -> Room:
    direct = one["type"] == ChannelType.DM
    others = [str(each.get("global_name") or each["username"]) for each in one.get("recipients", ())]
    return Room(
        id=str(one["id"]),
        name=", ".join(others) if direct else str(one.get("name", "")),
        topic=str(one.get("topic") or ""),
        parent=str(one["parent_id"]) if one["type"] in THREAD_TYPES else "",
        unread=str(one["id"]) in unread,
        is_direct=direct,
        archived=bool((one.get("thread_metadata") or {}).get("archived")),
    )


def _place(one: Json) -> tuple[int, int]:
    return int(one.get("position", 0)), int(one["id"])


def _category(one: Json, known: Collection[str]) -> str | None:
    parent = one.get("parent_id")
    return str(parent) if parent is not None and str(parent) in known else None
