"""`/alerts`: what is wrong now, to look at, acknowledge and silence."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render_alerts
from cogs.desk import Context, Desk
from cogs.message import Message
from cogs.render_alerts import EVERY
from cogs.replies import answer
from core.errors import NotAllowed

MOST = 100


class Alerts(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["alerts"] = self._page

    @hybrid.command("What is wrong now, with who looks at it")
    @hybrid.options(
        project="Name, or * for every project; in a project's channel: that project",
        over="Also those that are over",
    )
    async def alerts(self, ctx: Context, project: str | None = None, over: bool = False) -> None:
        named = (project or "").strip() or self._desk.implied(ctx.channel) or EVERY
        await answer(ctx, self._show(named, over))

    async def _page(self, argument: str, page: int) -> Message:
        project, _, kind = argument.rpartition(":")
        return await self._show(project or EVERY, kind == "a", page)

    async def _show(self, named: str, over: bool, page: int = 0) -> Message:
        project = None if named == EVERY else named
        found = await self._desk.commands.alerts(project=project, open_only=not over, limit=MOST + 1)
        try:
            troubles = await self._desk.commands.alert_troubles()
        except NotAllowed:
            troubles = ()
        return render_alerts.listed(
            found[:MOST], troubles, project=project, closed=over, page=page, more=len(found) > MOST
        )
