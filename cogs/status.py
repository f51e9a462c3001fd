"""`/global_status`: everything at one glance."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render
from cogs.desk import Context, Desk
from cogs.message import Message
from cogs.replies import answer


class Status(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["status"] = self._page

    @hybrid.command("Orchard at one glance: projects, work, questions", aliases=("status",))
    async def global_status(self, ctx: Context) -> None:
        await answer(ctx, self._page("-", 0))

    async def _page(self, _: str, page: int) -> Message:
        return render.system_status(await self._desk.commands.system(), page)
