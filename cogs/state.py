"""`/state`: where a project's workflow is, and what can be said to it now."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from cogs import hybrid, render
from cogs.completion import suggest
from cogs.desk import Context, Desk
from cogs.message import Message
from cogs.replies import answer


class State(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @hybrid.command("Where the project stands and what you can do now")
    @app_commands.describe(project="Name; in a project's channel: that project")
    async def state(self, ctx: Context, project: str | None = None) -> None:
        async def show() -> Message:
            return render.workflow(await self._desk.commands.workflow(self._desk.project(ctx, project)))

        await answer(ctx, show())

    @state.autocomplete("project")
    async def _names(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await suggest(interaction, lambda: self._desk.completion.projects(typed))
