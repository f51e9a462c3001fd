"""`/github`: a project's repository, its issues and pull requests."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render_github
from cogs.desk import Context, Desk, actor
from cogs.hybrid import NOT_GIVEN, PROJECT
from cogs.message import Message
from cogs.replies import answer

EVERY = "-"

_Sprint = commands.Range[int, 1, 100_000]


class Github(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["github"] = self._page

    @hybrid.group("A project's repository on GitHub, its issues and pull requests")
    async def github(self, ctx: Context) -> None:
        """By itself (as text only), or with a project's name behind it."""
        await answer(ctx, self._look(ctx, hybrid.typed_behind(ctx) or None))

    @hybrid.subcommand(github, "Issues become stories of a project, and its stories go in there")
    @hybrid.options(repository="OWNER/NAME, or its address", project=PROJECT)
    async def link(self, ctx: Context, repository: str, project: str | None = None) -> None:
        async def work() -> Message:
            name = self._desk.project(ctx, project)
            return render_github.linked(
                await self._desk.commands.link_repository(name, repository, actor=actor(ctx.author))
            )

        await answer(ctx, work(), slow=True)

    @hybrid.subcommand(github, "End that: nothing is synced any more, nothing is deleted")
    @hybrid.options(project=PROJECT)
    async def unlink(self, ctx: Context, project: str | None = None) -> None:
        async def work() -> Message:
            name = self._desk.project(ctx, project)
            gone = await self._desk.commands.unlink_repository(name, actor=actor(ctx.author))
            return render_github.unlinked(name, gone)

        await answer(ctx, work())

    @hybrid.subcommand(github, "How the repository stands, and the pull requests at work with their checks")
    @hybrid.options(project="Name; in a project's channel: that project; elsewhere: all that are linked")
    async def status(self, ctx: Context, project: str | None = None) -> None:
        await answer(ctx, self._look(ctx, project))

    @hybrid.subcommand(github, "Look at GitHub now")
    @hybrid.options(project=PROJECT)
    async def sync(self, ctx: Context, project: str | None = None) -> None:
        async def work() -> Message:
            name = self._desk.project(ctx, project)
            return render_github.synced(
                await self._desk.commands.sync_repository(name, actor=actor(ctx.author))
            )

        await answer(ctx, work(), slow=True)

    @hybrid.subcommand(github, "Release notes: what a sprint's merged stories changed")
    @hybrid.options(project=PROJECT, sprint="Its number; none: the last one")
    async def notes(self, ctx: Context, project: str | None = None, sprint: _Sprint = NOT_GIVEN) -> None:
        async def work() -> Message:
            name = self._desk.project(ctx, project)
            return render_github.notes(await self._desk.commands.release_notes(name, sprint))

        await answer(ctx, work(), slow=True)

    async def _look(self, ctx: Context, project: str | None) -> Message:
        named = project.strip().lower() if project and project.strip() else None
        return await self._page(named or self._desk.implied(ctx.channel) or EVERY, 0)

    async def _page(self, argument: str, page: int) -> Message:
        if argument == EVERY:
            return render_github.every(await self._desk.commands.repositories(), page)
        return render_github.status((await self._desk.commands.repositories(argument))[0])
