"""`/insights`: figures across all projects."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render_sprints
from cogs.desk import Context, Desk
from cogs.message import Message
from cogs.replies import answer


class Insights(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @hybrid.command("Across all projects: which gates refuse and why, how long phases take, who retries")
    async def insights(self, ctx: Context) -> None:
        async def show() -> Message:
            return render_sprints.insights(await self._desk.commands.insights())

        await answer(ctx, show())
