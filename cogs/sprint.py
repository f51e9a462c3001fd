"""`/sprint`: which stories are worked on."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from cogs import hybrid, render
from cogs.completion import suggest
from cogs.desk import Context, Desk, actor
from cogs.message import Message
from cogs.replies import answer
from core.errors import InvalidInput
from core.orchestrator.views import SprintView

_PROJECT = "Name; in a project's channel: that project"


class Sprint(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["sprint"] = self._page

    @hybrid.group("The stories that are worked on")
    async def sprint(self, ctx: Context) -> None:
        raise InvalidInput("What about the sprint?", hint="plan, start, status, pause or resume.")

    @hybrid.subcommand(sprint, "Choose stories of the backlog for the next sprint")
    @app_commands.describe(
        stories="Their ids, such as shop-1 shop-3; none: the whole backlog",
        goal="What the sprint is for, in one line",
        project=_PROJECT,
    )
    async def plan(self, ctx: Context, stories: str = "", goal: str = "", project: str | None = None) -> None:
        async def choose() -> Message:
            view = await self._desk.commands.plan_sprint(
                self._desk.project(ctx, project),
                stories=parse_ids(stories),
                goal=goal,
                actor=actor(ctx.author),
            )
            return render.sprint(view, note="🗓️ Planned. Next: `/sprint start`.")

        await answer(ctx, choose())

    @hybrid.subcommand(sprint, "Let the planned stories run")
    @app_commands.describe(project=_PROJECT)
    async def start(self, ctx: Context, project: str | None = None) -> None:
        await self._move(ctx, project, self._desk.commands.start_sprint, "🏃 Started.")

    @hybrid.subcommand(sprint, "How the sprint stands")
    @app_commands.describe(project=_PROJECT)
    async def status(self, ctx: Context, project: str | None = None) -> None:
        async def show() -> Message:
            return await self._page(self._desk.project(ctx, project), 0)

        await answer(ctx, show())

    @hybrid.subcommand(sprint, "Start no new phase; what runs comes to its end")
    @app_commands.describe(project=_PROJECT)
    async def pause(self, ctx: Context, project: str | None = None) -> None:
        await self._move(ctx, project, self._desk.commands.pause_sprint, "⏸️ Paused.")

    @hybrid.subcommand(sprint, "Go on with a paused sprint")
    @app_commands.describe(project=_PROJECT)
    async def resume(self, ctx: Context, project: str | None = None) -> None:
        await self._move(ctx, project, self._desk.commands.resume_sprint, "🏃 Going on.")

    @plan.autocomplete("project")
    @start.autocomplete("project")
    @status.autocomplete("project")
    @pause.autocomplete("project")
    @resume.autocomplete("project")
    async def _names(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await suggest(interaction, lambda: self._desk.completion.projects(typed))

    async def _move(
        self, ctx: Context, project: str | None, move: Callable[..., Awaitable[SprintView]], note: str
    ) -> None:
        async def moved() -> Message:
            view = await move(self._desk.project(ctx, project), actor=actor(ctx.author))
            return render.sprint(view, note=note)

        await answer(ctx, moved())

    async def _page(self, project: str, page: int) -> Message:
        return render.sprint(await self._desk.commands.sprint(project), page)


def parse_ids(text: str) -> tuple[str, ...]:
    """Story ids between spaces, commas or `;`. PURE."""
    return tuple(word for word in re.split(r"[\s,;]+", text.strip()) if word)
