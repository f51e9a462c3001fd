"""`/backlog`: what waits to be done."""

from __future__ import annotations

import re
from typing import Any, Literal

import discord
from discord import app_commands
from discord.ext import commands

from cogs import hybrid, render
from cogs.completion import suggest
from cogs.desk import Context, Desk, actor
from cogs.message import Message
from cogs.replies import answer
from core.domain.story import Priority
from core.errors import InvalidInput

_MARK = re.compile(r"^\s*(?:[-*•☐]|\d+[.)])\s+")


class Backlog(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["backlog"] = self._page

    @hybrid.group("Stories that wait to be done")
    async def backlog(self, ctx: Context) -> None:
        raise InvalidInput("What about the backlog?", hint="add_story or view.")

    @hybrid.subcommand(backlog, "Add a story to the backlog")
    @app_commands.describe(
        title="One line: what is to be done",
        body="More about it",
        acceptance_criteria="What must hold when it is done; several by ;",
        priority="How urgent it is",
        project="Name; in a project's channel: that project",
    )
    async def add_story(
        self,
        ctx: Context,
        title: str,
        body: str = "",
        acceptance_criteria: str = "",
        priority: Literal["critical", "high", "normal", "low"] = "normal",
        project: str | None = None,
    ) -> None:
        async def add() -> Message:
            story = await self._desk.commands.add_story(
                self._desk.project(ctx, project),
                title,
                body=body,
                acceptance_criteria=parse_criteria(acceptance_criteria),
                priority=Priority(priority),
                actor=actor(ctx.author),
            )
            return render.story_added(story)

        await answer(ctx, add())

    @hybrid.subcommand(backlog, "What is in the backlog, most urgent first")
    @app_commands.describe(project="Name; in a project's channel: that project")
    async def view(self, ctx: Context, project: str | None = None) -> None:
        async def show() -> Message:
            return await self._page(self._desk.project(ctx, project), 0)

        await answer(ctx, show())

    @add_story.autocomplete("project")
    @view.autocomplete("project")
    async def _names(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await suggest(interaction, lambda: self._desk.completion.projects(typed))

    async def _page(self, project: str, page: int) -> Message:
        return render.backlog(project, await self._desk.commands.backlog(project), page)


def parse_criteria(text: str) -> tuple[str, ...]:
    """One criterion a line or between `;`; list marks in front are left out. PURE."""
    lines = (_MARK.sub("", line).strip() for line in re.split(r"[;\n]", text))
    return tuple(line for line in lines if line)
