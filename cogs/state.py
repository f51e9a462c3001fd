"""`/state`: where a project's workflow is, and what can be said to it now."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render
from cogs.chart import StateChart
from cogs.desk import Context, Desk
from cogs.hybrid import PROJECT
from cogs.message import Message
from cogs.replies import answer
from core.errors import InvalidInput


class State(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @hybrid.command("Where the project stands and what you can do now")
    @hybrid.options(project=PROJECT)
    async def state(self, ctx: Context, project: str | None = None) -> None:
        async def show() -> Message:
            return render.workflow(await self._desk.commands.workflow(self._desk.project(ctx, project)))

        await answer(ctx, show())


async def state_look(desk: Desk, what: str, project: str) -> Message:
    """Another look at a project's state: `commands`, `diagram` or `project`."""
    view = await desk.commands.workflow(project)
    match what:
        case "commands":
            return render.allowed_commands(view)
        case "diagram":
            chart = StateChart(title=f"{view.project.name}: {view.state}", state=view.state)
            return render.state_diagram(view, desk.draw.kept(chart) or await desk.draw(chart))
        case "project":
            status = await desk.commands.project(view.project.name)
            return render.project_status(status, view, buttons=True)
    raise InvalidInput("This button is of another version.", hint="Ask again: /state.")
