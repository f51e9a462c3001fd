"""Somebody's place in the guild, as their open page uses it: everything asks whether they may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.localguild.people import Link
from bot.web.dashboard.chat.posts import Post, posts_of
from bot.web.dashboard.chat.rooms import Room, Section, names_of, room_of, sections_of
from bot.web.dashboard.chat.typed import Ask, Command, commands_of
from bot.web.dashboard.page import Viewer
from core.security.access import Action

Json = Mapping[str, Any]
_SHOWN = 80  # messages of a room
_ABOUT_ROOMS = ("CHANNEL_", "THREAD_", "GUILD_ROLE_")


@dataclass(slots=True)
class News:
    """What happened: whether rooms changed, and where there are messages."""

    rooms: bool = False
    told: set[str] = field(default_factory=set)


class Member:
    """One user of Orchard is one person of the guild, of the same name."""

    def __init__(self, viewer: Viewer, link: Link) -> None:
        self._viewer = viewer
        self._link = link
        self.name = viewer.visitor.own.user.username
        self.channels: Sequence[Json] = ()
        self.commands: tuple[Command, ...] = ()
        self.unread: set[str] = set()
        self._people: Mapping[str, str] = {}
        self._roles: Mapping[str, str] = {}
        self._dismissed: set[str] = set()
        self._last = 0

    # -- looking -----------------------------------------------------------------------------------

    async def look(self) -> None:
        """At everything but messages."""
        self.channels = await self._ask("channels")
        self.commands = commands_of(await self._ask("commands"))
        members = await self._ask("members")
        self._people, self._roles = members["users"], members["roles"]
        if not self._last:
            self._last = int((await self._ask("messages", limit=0))["last"])

    @property
    def sections(self) -> tuple[Section, ...]:
        return sections_of(self.channels, self.unread)

    def room(self, wanted: str) -> Room | None:
        return room_of(self.channels, wanted)

    async def posts(self, room: str) -> tuple[Post, ...]:
        found = (await self._ask("messages", channel=room, limit=_SHOWN))["messages"]
        self.unread.discard(room)
        names = names_of(self.channels, found, self._people, self._roles)
        return tuple(one for one in posts_of(found, names) if one.id not in self._dismissed)

    def dismiss(self, message: str) -> None:
        self._dismissed.add(message)

    async def news(self, seconds: float) -> News:
        """Waits for some, at most so long. Asks for no right: what it tells of is read with one."""
        news = News()
        journal = await self._ask("journal", after=self._last, timeout=seconds)
        for entry in journal["entries"]:
            if entry["event"].startswith(_ABOUT_ROOMS):
                news.rooms = True
            elif entry["event"].startswith("MESSAGE_"):
                news.told.add(str(entry["data"]["channel_id"]))
        self._last = int(journal["last"])
        return news

    # -- doing -------------------------------------------------------------------------------------

    async def say(self, room: str, words: str) -> None:
        await self._do("send", channel=room, content=words)

    async def slash(self, room: str, command: str, options: Mapping[str, Any]) -> Json:
        """Returns with the bot's first answer. Raises CannotDo, DidNotRespond."""
        answer: Json = await self._do(
            "slash", command=command, options=dict(options), channel=room, until="ack"
        )
        return answer

    async def press(self, room: str, message: str, control: str, values: Sequence[str] | None) -> Json:
        answer: Json = await self._do(
            "press", channel=room, message=message, component=control, values=values, until="ack"
        )
        return answer

    async def submit(self, form: str, values: Mapping[str, Any]) -> Json:
        answer: Json = await self._do("submit", interaction=form, values=dict(values), until="ack")
        return answer

    async def complete(self, room: str, ask: Ask) -> list[tuple[str, str]]:
        """What the bot offers: names and values."""
        offered = await self._do(
            "autocomplete",
            command=ask.command,
            focused=ask.focused,
            text=ask.text.strip(),
            options=dict(ask.options),
            channel=room,
        )
        return [(str(one["name"]), str(one["value"])) for one in offered]

    async def _do(self, action: str, **arguments: Any) -> Any:
        await self._viewer.admit(Action.ENTER_GUILD)
        return await self._ask(action, **arguments)

    async def _ask(self, action: str, **arguments: Any) -> Any:
        return await self._link.call(action, {"person": self.name, **arguments})
