"""`/agents`: which coding agents can work now, and what holds their models."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render_agents
from cogs.desk import Context, Desk
from cogs.message import Message
from cogs.replies import answer


class Agents(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["agents"] = self._page

    @hybrid.command("Which coding agents are ready, how they reach their models, and what waits")
    async def agents(self, ctx: Context) -> None:
        await answer(ctx, self._page("-", 0))

    async def _page(self, _: str, page: int) -> Message:
        views = await self._desk.commands.agents()
        return render_agents.agents(views, await self._desk.commands.models(), page)
