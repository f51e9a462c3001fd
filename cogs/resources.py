"""`/resource_status`, `/resource_optimize` and `/why`: who has what, shared anew, and why a story waits."""

from __future__ import annotations

from typing import Literal

from discord.ext import commands

from cogs import hybrid, render_resources
from cogs.chart import shares_chart
from cogs.desk import Context, Desk, actor
from cogs.drawn import answer_drawn
from cogs.hybrid import NOT_GIVEN, STORY
from cogs.message import Message
from cogs.replies import answer
from core.domain.story import StoryStatus
from core.errors import NotFound
from core.orchestrator.resource_views import ProjectResources, ResourcesView

EVERY = "-"

Named = Literal["fair_share", "priority_based", "dynamic"]


class Resources(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["resources"] = self._page
        desk.pages["optimized"] = desk.results.page

    @hybrid.command("Who holds what of the machine, against what they are entitled to: table and picture")
    @hybrid.options(project="One project's details; none: all projects")
    async def resource_status(self, ctx: Context, project: str | None = None) -> None:
        name = (project or "").strip()
        view = await self._desk.commands.resources()
        one = _project(view, name) if name else None
        await answer_drawn(
            self._desk,
            ctx,
            shares_chart(view, one),
            lambda picture, drawing: _status(view, one, picture, drawing=drawing),
        )

    @hybrid.command("Measure and share resources anew, or look what another strategy would do")
    @hybrid.options(
        strategy="Another one than the configured: only as a dry run",
        dry_run="Change nothing, only tell what would change",
    )
    async def resource_optimize(
        self, ctx: Context, strategy: Named = NOT_GIVEN, dry_run: bool = False
    ) -> None:
        async def share() -> Message:
            done = await self._desk.commands.optimize(
                strategy=strategy, dry_run=dry_run, actor=actor(ctx.author)
            )
            may_do = dry_run and (
                strategy is None or strategy == (await self._desk.commands.resources()).strategy
            )
            return self._desk.results.keep(done, may_do=may_do)

        await answer(ctx, share(), slow=True)

    @hybrid.command("Why a story waits, is blocked or runs, and what has to happen next")
    @hybrid.options({"story": hybrid.stories(StoryStatus, own_first=True)}, story=STORY)
    async def why(self, ctx: Context, *, story: str | None = None) -> None:
        async def explain() -> Message:
            found = await self._desk.story(ctx, story, anywhere=True)
            return render_resources.why(await self._desk.commands.why(found))

        await answer(ctx, explain())

    # -- pages -------------------------------------------------------------------------------

    async def _page(self, argument: str, page: int) -> Message:
        view = await self._desk.commands.resources()
        one = None if argument == EVERY else _project(view, argument)
        picture = await self._desk.draw(shares_chart(view, one)) if page == 0 else None
        return _status(view, one, picture, page=page)


def _status(
    view: ResourcesView,
    one: ProjectResources | None,
    picture: bytes | None = None,
    *,
    page: int = 0,
    drawing: bool = False,
) -> Message:
    """Of one project, or of all."""
    if one is None:
        return render_resources.resources(view, page, picture, drawing=drawing)
    return render_resources.project_resources(view, one, page, picture, drawing=drawing)


def _project(view: ResourcesView, name: str) -> ProjectResources:
    wanted = name.casefold()
    for one in view.projects:
        if one.project.casefold() == wanted:
            return one
    raise NotFound(f"There is no project '{name[:100]}' that shares resources.", hint="See /project_list.")
