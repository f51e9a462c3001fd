"""Commands that work as slash commands and as text, for servers only.

Thin typed fronts of discord.py's decorators, whose own types mypy cannot solve for methods.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from discord.ext import commands

Body = Callable[..., Coroutine[Any, Any, None]]
Command = commands.HybridCommand[Any, ..., None]
Group = commands.HybridGroup[Any, ..., None]


def command(description: str) -> Callable[[Body], Command]:
    def decorate(body: Body) -> Command:
        make = cast(Callable[[Body], Command], commands.hybrid_command(description=description))
        return make(commands.guild_only()(body))

    return decorate


def group(description: str) -> Callable[[Body], Group]:
    """A group; called by itself (possible as text only), its body runs."""

    def decorate(body: Body) -> Group:
        make = cast(Callable[[Body], Group], commands.hybrid_group(description=description))
        return make(commands.guild_only()(body))

    return decorate


def subcommand(parent: Group, description: str) -> Callable[[Body], Command]:
    return cast(Callable[[Body], Command], parent.command(description=description))
