"""Commands that work as slash commands and as text, for servers only.

Thin typed fronts of discord.py's decorators, whose own types mypy cannot solve for methods.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar, cast

import discord
from discord import app_commands
from discord.ext import commands

from cogs.completion import suggest
from cogs.desk import Context, Desk
from core.domain.story import StoryStatus
from core.errors import NotFound

Body = Callable[..., Coroutine[Any, Any, None]]
Command = commands.HybridCommand[Any, ..., None]
Group = commands.HybridGroup[Any, ..., None]
Offer = Callable[[discord.Interaction[Any], str], Coroutine[Any, Any, list[app_commands.Choice[str]]]]
B = TypeVar("B", bound=Body)

NOT_GIVEN: Any = None  # default of a bounded number: discord.py knows no bounds in a union with None
PROJECT = "Name; in a project's channel: that project"
STORY = "Its id or title; in a story's thread: that story"


class _AtDesk(Protocol):
    desk: Desk


def command(description: str, *, aliases: Iterable[str] = ()) -> Callable[[Body], Command]:
    """`aliases` are further names of its text form."""

    def decorate(body: Body) -> Command:
        make = cast(
            Callable[[Body], Command],
            commands.hybrid_command(description=description, aliases=list(aliases)),
        )
        return make(commands.guild_only()(body))

    return decorate


def group(description: str) -> Callable[[Body], Group]:
    """A group; called by itself (possible as text only), its body runs."""

    def decorate(body: Body) -> Group:
        make = cast(Callable[[Body], Group], commands.hybrid_group(description=description))
        return make(commands.guild_only()(body))

    return decorate


def subcommand(parent: Group, description: str, *, name: str | None = None) -> Callable[[Body], Command]:
    more: dict[str, Any] = {"name": name} if name else {}
    return cast(Callable[[Body], Command], parent.command(description=description, **more))


def options(offers: dict[str, Offer] | None = None, /, **words: str) -> Callable[[B], B]:
    """What each option is for, and what is offered while it is typed (`project`: always the projects)."""

    def decorate(body: B) -> B:
        offered = dict(offers or {})
        if "project" in words:
            offered.setdefault("project", projects)
        described = app_commands.describe(**words)(body)
        return app_commands.autocomplete(**offered)(described) if offered else described

    return decorate


def typed_behind(ctx: Context) -> str:
    """What was typed behind a group's name, where that is none of its commands."""
    return "" if ctx.interaction is not None else ctx.view.read_rest().strip()


async def projects(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
    """Offers projects by name."""
    desk = _desk(interaction)

    async def find() -> Any:
        await desk.suggest_to(interaction)
        return await desk.completion.projects(typed, desk.sees)

    return await suggest(interaction, find)


def stories(
    statuses: Iterable[StoryStatus],
    *,
    many: bool = False,
    everywhere: bool = False,
    own_first: bool = False,
) -> Offer:
    """Offers stories by id and title: of the named or implied project, or `everywhere`; `own_first`: those of
    the implied one, then all others."""
    wanted = frozenset(statuses)

    async def offer(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        desk = _desk(interaction)
        named = getattr(interaction.namespace, "project", None)
        here = desk.implied(interaction.channel)
        project = None if everywhere or own_first else named or here

        async def find() -> Any:
            await desk.suggest_to(interaction)
            try:
                return await desk.completion.stories(
                    typed, project, wanted, desk.sees, many=many, first=here if own_first else None
                )
            except NotFound:  # a project that is not typed to its end
                return ()

        return await suggest(interaction, find)

    return offer


def _desk(interaction: discord.Interaction[Any]) -> Desk:
    return cast(_AtDesk, interaction.client).desk
