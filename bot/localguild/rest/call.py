"""One REST request, read and typed, and what a handler gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bot.localguild.drafts import Upload
from bot.localguild.errors import refusal
from bot.localguild.forms import Problems, Reader
from bot.localguild.model import Channel
from bot.localguild.world import World


class Answer(NamedTuple):
    """An HTTP status and a JSON body; None is no body (204)."""

    status: int
    body: Any = None


NO_CONTENT = Answer(204)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    world: World
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    uploads: Sequence[Upload] = ()

    @property
    def by(self) -> int:
        """Whoever calls: the bot, the only user with a token."""
        return self.world.bot_id

    def id(self, name: str) -> int:
        """A snowflake of the path. Raises 50035 when it is no number."""
        value = self.params[name]
        if not value.isascii() or not value.isdigit():
            problems = Problems()
            problems.add((name,), "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
            problems.raise_if_any()
        return int(value)

    def form(self) -> Reader:
        return Reader({} if self.body is None else self.body)

    def channel(self) -> Channel:
        """The channel of the path, if the bot may see it."""
        return self.world.guild.visible_channel(self.by, self.id("channel_id"))

    def guild_id(self) -> int:
        self.world.guild.check_id(self.id("guild_id"))
        return self.world.guild.id

    def application_id(self) -> int:
        if self.id("application_id") != self.world.guild.application_id:
            raise refusal(20012)
        return self.world.guild.application_id

    def query_integer(self, name: str, *, minimum: int, maximum: int, default: int) -> int:
        form = Reader(dict(self.query))
        number = form.integer(name, minimum=minimum, maximum=maximum, default=default)
        form.problems.raise_if_any()
        return number

    def query_snowflake(self, name: str) -> int | None:
        form = Reader(dict(self.query))
        snowflake = form.snowflake(name)
        form.problems.raise_if_any()
        return snowflake

    def query_flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("1", "true")


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`template` is written as in Discord's OpenAPI description; `open` needs no bot token."""

    method: str
    template: str
    handler: Handler
    open: bool = False
