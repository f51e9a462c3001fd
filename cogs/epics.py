"""`/epic` and `/approve`: a large wish becomes stories, which people read and approve."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render_stories
from cogs.desk import Context, Desk, actor
from cogs.hybrid import PROJECT
from cogs.message import Message
from cogs.replies import answer
from cogs.typed import words
from core.domain.story import StoryStatus

_PROPOSED = hybrid.stories({StoryStatus.PROPOSED}, many=True)


class Epics(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["epic"] = self._page

    @hybrid.command("Say what you want at large; the design agent proposes stories")
    @hybrid.options(text="What is to be built, for whom, and why", project=PROJECT)
    async def epic(self, ctx: Context, *, text: str, project: str | None = None) -> None:
        async def begin() -> Message:
            name = self._desk.project(ctx, project)
            return render_stories.epic_begun(
                await self._desk.commands.begin_epic(name, text, actor=actor(ctx.author))
            )

        await answer(ctx, begin())

    @hybrid.command("Approve proposed stories: they go into the backlog")
    @hybrid.options(
        {"stories": _PROPOSED},
        stories="Their ids, such as shop-1 shop-3; none, or ALL: every proposed one",
        project=PROJECT,
    )
    async def approve(self, ctx: Context, *, stories: str = "", project: str | None = None) -> None:
        async def approve() -> Message:
            named = words(stories)
            views = await self._desk.commands.approve_stories(
                self._desk.project(ctx, project),
                () if [word.casefold() for word in named] == ["all"] else named,
                actor=actor(ctx.author),
            )
            return render_stories.approved(views)

        await answer(ctx, approve())

    async def _page(self, epic_id: str, page: int) -> Message:
        return render_stories.epic(await self._desk.commands.epic(epic_id), page)
