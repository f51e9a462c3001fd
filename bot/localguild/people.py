"""People of the guild, played by a script: they type, press, fill in and read, as Discord lets them.

    async with LocalGuild() as guild:
        alice = guild.person("alice")
        answer = await alice.slash("project list")

Over HTTP, from another process: `Person(OverHttp(url), "alice")`.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import aiohttp

from bot.localguild.control import ERRORS, PREFIX
from bot.localguild.desk import PATIENCE_SECONDS, Desk, DidNotRespond
from bot.localguild.model import Json
from bot.localguild.options import CannotDo
from bot.localguild.sights import Answer, Button, Choice, PostedMessage, SeenChannel

__all__ = [
    "Answer",
    "Button",
    "CannotDo",
    "Choice",
    "DidNotRespond",
    "InProcess",
    "Link",
    "OverHttp",
    "Person",
    "PostedMessage",
    "SeenChannel",
]

_LONG_POLL_SECONDS = 20.0
T = TypeVar("T")
Where = str | SeenChannel | None


class Link(Protocol):
    """How a person reaches the guild."""

    async def call(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """Raises CannotDo, DidNotRespond, TimeoutError."""
        ...


class InProcess:
    """A link to a server in this event loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def call(self, action: str, arguments: Mapping[str, Any]) -> Any:
        return await self._desk.call(action, arguments)


class OverHttp:
    """A link to a server elsewhere on this machine; an async context manager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + PREFIX
        self._session: aiohttp.ClientSession | None = None

    async def call(self, action: str, arguments: Mapping[str, Any]) -> Any:
        return await self._post("/people/", action, arguments)

    async def switch(self, action: str, **arguments: Any) -> Any:
        """Turn one of the server's fault switches (see `control.Switches`)."""
        return await self._post("/faults/", action, arguments)

    async def _post(self, folder: str, action: str, arguments: Mapping[str, Any]) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, connect=10))
        async with self._session.post(self._url + folder + action, json=dict(arguments)) as response:
            body = await response.json()
        if "error" in body:
            raise ERRORS[body["error"]](body["message"])
        return body["result"]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class Person:
    """Somebody in the guild; joins with the first action.

    A channel is named by its name ("general", "#general"), id, or as a SeenChannel; "@bot" is the
    direct conversation with the bot; None is the guild's first text channel.
    """

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self.name = name

    async def _call(self, action: str, **arguments: Any) -> Any:
        return await self._link.call(action, {"person": self.name, **arguments})

    # reading

    async def user_id(self) -> str:
        return str((await self._call("join"))["id"])

    async def bot_id(self) -> str:
        return str((await self._link.call("about", {}))["bot_id"])

    async def channels(self) -> list[SeenChannel]:
        """All that the person sees: categories, channels, threads, direct conversations."""
        return [SeenChannel(one) for one in await self._call("channels")]

    async def channel(self, name: str) -> SeenChannel:
        """Raises CannotDo when there is none of that name."""
        for one in await self.channels():
            if name.removeprefix("#") in (one.name, one.id):
                return one
        raise CannotDo(f"no channel {name!r}")

    async def threads(self, channel: Where = None) -> list[SeenChannel]:
        """The threads of a channel, or all."""
        found = [one for one in await self.channels() if one.is_thread]
        if channel is None:
            return found
        parent = channel if isinstance(channel, SeenChannel) else await self.channel(channel)
        return [one for one in found if one.parent_id == parent.id]

    async def commands(self) -> list[Json]:
        """The commands that the person's client offers."""
        return list(await self._call("commands"))

    async def messages(self, channel: Where = None, *, limit: int = 100) -> list[PostedMessage]:
        """The newest messages of a channel, oldest first, the person's ephemeral ones included."""
        found = await self._call("messages", channel=_where(channel), limit=limit)
        return [PostedMessage(one) for one in found["messages"]]

    async def download(self, attachment: Json) -> bytes:
        """The content of one of a message's attachments."""
        return base64.b64decode(await self._link.call("download", {"url": attachment["url"]}))

    async def mark(self) -> int:
        """A point in time, to wait for what happens after it."""
        return int((await self._call("messages", limit=0))["last"])

    async def wait_for_message(
        self,
        predicate: Callable[[PostedMessage], bool],
        *,
        channel: Where = None,
        after: int | None = None,
        timeout: float = PATIENCE_SECONDS,
    ) -> PostedMessage:
        """The newest message that matches, now or as soon as one is posted or edited to match.

        Looks in one channel, or everywhere for None. With `after` (a mark) only what happened since
        counts. Raises TimeoutError with what was there to see.
        """
        where = (await self._channel_id(channel)) if channel is not None else None
        seen: list[PostedMessage] = []
        last = after
        if last is None:
            found = await self._call("messages", channel=where, everywhere=where is None, limit=1000)
            seen = [PostedMessage(one) for one in found["messages"]]
            last = found["last"]
            for message in reversed(seen):
                if predicate(message):
                    return message

        def match(event: str, data: Json) -> PostedMessage | None:
            if event not in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
                return None
            message = PostedMessage(data)
            if where is not None and message.channel_id != where:
                return None
            seen.append(message)
            return message if predicate(message) else None

        found_later = await self._wait(match, last, timeout)
        if found_later is None:
            shown = "\n".join(str(one) for one in seen[-10:])
            raise TimeoutError(f"no such message within {timeout} s; the last ones were:\n{shown}")
        return found_later

    async def wait_for_channel(
        self,
        predicate: Callable[[SeenChannel], bool],
        *,
        timeout: float = PATIENCE_SECONDS,
    ) -> SeenChannel:
        """A channel or thread that matches, now or as soon as it is made or changed so."""
        last = await self.mark()
        for channel in await self.channels():
            if predicate(channel):
                return channel

        def match(event: str, data: Json) -> SeenChannel | None:
            if event not in ("CHANNEL_CREATE", "CHANNEL_UPDATE", "THREAD_CREATE", "THREAD_UPDATE"):
                return None
            channel = SeenChannel(data)
            return channel if predicate(channel) else None

        found = await self._wait(match, last, timeout)
        if found is None:
            names = [one.name for one in await self.channels()]
            raise TimeoutError(f"no such channel within {timeout} s; there are {names}")
        return found

    async def _wait(self, match: Callable[[str, Json], T | None], last: int, seconds: float) -> T | None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            timeout = min(left, _LONG_POLL_SECONDS)
            news = await self._call("journal", after=last, timeout=timeout)
            for entry in news["entries"]:
                found = match(entry["event"], entry["data"])
                if found is not None:
                    return found
            last = news["last"]
        return None

    async def _channel_id(self, channel: Where) -> str:
        if isinstance(channel, SeenChannel):
            return channel.id
        return (await self.channel(str(channel))).id

    # writing

    async def send(
        self,
        content: str = "",
        *,
        channel: Where = None,
        files: Mapping[str, bytes] | None = None,
        reply_to: PostedMessage | None = None,
    ) -> PostedMessage:
        """Post a message. Raises CannotDo where Discord would refuse it."""
        posted = await self._call(
            "send",
            content=content,
            channel=_where(channel),
            files={name: base64.b64encode(one).decode() for name, one in (files or {}).items()},
            reply_to=reply_to.id if reply_to else None,
        )
        return PostedMessage(posted)

    async def say_to_bot(self, text: str, *, channel: Where = None) -> PostedMessage:
        """Post a text command with the bot's mention as its prefix."""
        return await self.send(f"<@{await self.bot_id()}> {text}", channel=channel)

    async def react(self, message: PostedMessage, emoji: str) -> None:
        await self._call("react", channel=message.channel_id, message=message.id, emoji=emoji)

    # interactions

    async def slash(
        self,
        command: str,
        options: Mapping[str, Any] | None = None,
        *,
        channel: Where = None,
        until: str = "answer",
        timeout: float = PATIENCE_SECONDS,
    ) -> Answer:
        """Type a slash command, such as "project register" with its options by name.

        `until`: "ack" returns with the first response, "answer" (default) when the bot no longer
        "thinks". A file option is {"name": ..., "content": base64}. Raises CannotDo when the client
        would not send it (no such command, a required option missing, a wrong type or choice),
        DidNotRespond when three seconds pass, TimeoutError when it thinks for longer than `timeout`.
        """
        return Answer(
            await self._call(
                "slash",
                command=command,
                options=dict(options or {}),
                channel=_where(channel),
                until=until,
                timeout=timeout,
            )
        )

    async def autocomplete(
        self,
        command: str,
        focused: str,
        text: Any = "",
        *,
        options: Mapping[str, Any] | None = None,
        channel: Where = None,
    ) -> list[Choice]:
        """What the bot offers for `text` typed into the option `focused`."""
        offered = await self._call(
            "autocomplete",
            command=command,
            focused=focused,
            text=text,
            options=dict(options or {}),
            channel=_where(channel),
        )
        return [Choice(name=one["name"], value=one["value"]) for one in offered]

    async def press(
        self,
        message: PostedMessage,
        button: str,
        *,
        until: str = "answer",
        timeout: float = PATIENCE_SECONDS,
    ) -> Answer:
        """Press a button by label or custom id. Raises as `slash` does."""
        return await self._use(message, button, None, until, timeout)

    async def choose(
        self,
        message: PostedMessage,
        select: str,
        values: Sequence[str],
        *,
        until: str = "answer",
        timeout: float = PATIENCE_SECONDS,
    ) -> Answer:
        """Choose from a select by its custom id or placeholder; values or labels. Raises as `slash` does."""
        return await self._use(message, select, list(values), until, timeout)

    async def _use(
        self,
        message: PostedMessage,
        component: str,
        values: list[str] | None,
        until: str,
        timeout: float,
    ) -> Answer:
        return Answer(
            await self._call(
                "press",
                channel=message.channel_id,
                message=message.id,
                component=component,
                values=values,
                until=until,
                timeout=timeout,
            )
        )

    async def submit(
        self,
        shown: Answer,
        values: Mapping[str, str | Sequence[str]],
        *,
        until: str = "answer",
        timeout: float = PATIENCE_SECONDS,
    ) -> Answer:
        """Fill in and send the form that an answer showed; fields by custom id or label."""
        return Answer(
            await self._call(
                "submit",
                interaction=shown.id,
                values=dict(values),
                until=until,
                timeout=timeout,
            )
        )

    async def look_again(
        self,
        answer: Answer,
        *,
        until: str = "now",
        timeout: float = PATIENCE_SECONDS,
    ) -> Answer:
        """The same interaction's answer as it stands now, or when it has come."""
        arguments = {"interaction": answer.id, "until": until, "timeout": timeout}
        return Answer(await self._call("interaction", **arguments))


def _where(channel: Where) -> str | None:
    return channel.id if isinstance(channel, SeenChannel) else channel
