"""`/link`: somebody in Discord becomes the user whose one-time code they type."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid
from cogs.desk import Context, Desk
from cogs.message import Message
from cogs.outgoing import sending
from cogs.text import title
from core.errors import NotAllowed


class Linking(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @hybrid.command("Link your account with your user of Orchard, by a one-time code")
    @hybrid.options(code="As `orchard users link` shows it; good for ten minutes and one time")
    async def link(self, ctx: Context, code: str) -> None:
        if ctx.interaction is None:
            raise NotAllowed(
                "A code is not for everybody to read.",
                why="What is typed as text stays in the channel.",
                hint="Make a new one, and use the slash command /link.",
            )
        name = await self._desk.core.redeem_link(str(ctx.author.id), code)
        message = Message(text=f"🔗 You are {title(name, 60)} of Orchard from now on.")
        await ctx.send(**sending(message), ephemeral=True)
