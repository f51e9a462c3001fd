"""`/project_...`: which projects there are and whether they work."""

from __future__ import annotations

import shlex
from pathlib import Path

from discord.ext import commands

from cogs import hybrid, render
from cogs.desk import Context, Desk, actor
from cogs.hybrid import PROJECT
from cogs.message import Message
from cogs.replies import answer
from core.errors import InvalidInput


class Projects(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["projects"] = self._page

    @hybrid.command("All projects and how they stand", aliases=("projects",))
    async def project_list(self, ctx: Context) -> None:
        await answer(ctx, self._page("-", 0))

    @hybrid.command("Add a git checkout of this machine as a project", aliases=("register",))
    @hybrid.options(name="Short name: lower case letters, digits, . _ -", path="Folder of the git checkout")
    async def project_register(self, ctx: Context, name: str, *, path: str) -> None:
        async def register() -> Message:
            registration = await self._desk.commands.register_project(
                name, Path(path.strip()).expanduser(), actor=actor(ctx.author)
            )
            return render.project_registered(registration)

        await answer(ctx, register(), slow=True)

    @hybrid.command("Look for projects in folders of this machine", aliases=("discover",))
    @hybrid.options(paths="Folders; several by ; or, quoted where they have spaces, by space")
    async def project_discover(self, ctx: Context, *, paths: str) -> None:
        async def discover() -> Message:
            return render.candidates(await self._desk.commands.discover_projects(parse_paths(paths)))

        await answer(ctx, discover(), slow=True)

    @hybrid.command("Let a project work", aliases=("start",))
    @hybrid.options(project=PROJECT)
    async def project_start(self, ctx: Context, project: str | None = None) -> None:
        await self._start(ctx, project)

    @hybrid.command("Stop a project: its agents end, what they made is kept", aliases=("stop",))
    @hybrid.options(project=PROJECT)
    async def project_stop(self, ctx: Context, project: str | None = None) -> None:
        await self._stop(ctx, project)

    @hybrid.command("Suspend a project: its agents end, what they made is kept")
    @hybrid.options(project=PROJECT)
    async def project_pause(self, ctx: Context, project: str | None = None) -> None:
        await self._stop(ctx, project)

    @hybrid.command("Let a suspended project go on")
    @hybrid.options(project=PROJECT)
    async def project_resume(self, ctx: Context, project: str | None = None) -> None:
        await self._start(ctx, project)

    @hybrid.command("Suspend a project while something outside is mended")
    @hybrid.options(project=PROJECT)
    async def project_maintain(self, ctx: Context, project: str | None = None) -> None:
        async def maintain() -> Message:
            name = self._desk.project(ctx, project)
            return render.project_moved(
                await self._desk.commands.maintain_project(name, actor=actor(ctx.author))
            )

        await answer(ctx, maintain(), slow=True)

    @hybrid.command("Put a project away, with a file of all that is known of it; asks first")
    @hybrid.options(project=PROJECT)
    async def project_archive(self, ctx: Context, project: str | None = None) -> None:
        async def ask() -> Message:
            view = await self._desk.commands.project(self._desk.project(ctx, project))
            return render.archive_asked(view)

        await answer(ctx, ask())

    @hybrid.command("Bring an archived project back, with all its history")
    @hybrid.options(project=PROJECT)
    async def project_reopen(self, ctx: Context, project: str | None = None) -> None:
        async def reopen() -> Message:
            name = self._desk.project(ctx, project)
            return render.project_moved(
                await self._desk.commands.reopen_project(name, actor=actor(ctx.author))
            )

        await answer(ctx, reopen())

    @hybrid.command("Everything of one project at one glance")
    @hybrid.options(project=PROJECT)
    async def project_status(self, ctx: Context, project: str | None = None) -> None:
        async def show() -> Message:
            view = await self._desk.commands.project(self._desk.project(ctx, project))
            return render.project_status(view, await self._desk.commands.workflow(view.project.name))

        await answer(ctx, show())

    async def _start(self, ctx: Context, project: str | None) -> None:
        async def start() -> Message:
            name = self._desk.project(ctx, project)
            return render.project_moved(
                await self._desk.commands.start_project(name, actor=actor(ctx.author))
            )

        await answer(ctx, start(), slow=True)

    async def _stop(self, ctx: Context, project: str | None) -> None:
        async def stop() -> Message:
            name = self._desk.project(ctx, project)
            return render.project_moved(await self._desk.commands.stop_project(name, actor=actor(ctx.author)))

        await answer(ctx, stop(), slow=True)

    async def _page(self, _: str, page: int) -> Message:
        return render.project_list(await self._desk.commands.projects(), page)


def parse_paths(text: str) -> tuple[Path, ...]:
    """Folders split at `;` or line ends where there are any, else as a shell would split. PURE."""
    if ";" in text or "\n" in text:
        words = [word.strip() for word in text.replace("\n", ";").split(";")]
    else:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise InvalidInput(f"{text!r} is not a list of folders.", why=str(error)) from error
    paths = tuple(Path(word).expanduser() for word in words if word)
    if not paths:
        raise InvalidInput("No folder was named.", hint="For example: /project_discover paths:~/code")
    return paths
