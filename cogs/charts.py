"""`/chart`: burndown, cycle time, use, cost and dependencies as pictures that a phone shows well."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render_charts
from cogs.desk import Context, Desk
from cogs.drawn import answer_drawn
from cogs.graph import graph_chart
from cogs.hybrid import NOT_GIVEN, PROJECT
from cogs.sprint import Number, show_burndown
from cogs.text import title
from cogs.trend import cost_chart, cycle_time_chart, use_chart
from core.errors import InvalidInput

EITHER = "Name; in a project's channel: that project; else all projects"
BACK = "How many days to look back"

Days = commands.Range[int, 1, 366]


class Charts(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @hybrid.group("Pictures of how things go")
    async def chart(self, ctx: Context) -> None:
        raise InvalidInput("Which picture?", hint="burndown, cycle_time, resources, cost or dependencies.")

    @hybrid.subcommand(chart, "How many points of a sprint were left when")
    @hybrid.options(number="Which sprint; none: the last one", project=PROJECT)
    async def burndown(self, ctx: Context, number: Number = NOT_GIVEN, project: str | None = None) -> None:
        await show_burndown(self._desk, ctx, number, project)

    @hybrid.subcommand(chart, "How long stories took from their first phase to their merge")
    @hybrid.options(days=f"{BACK}; none: 30", project=EITHER)
    async def cycle_time(self, ctx: Context, days: Days = 30, project: str | None = None) -> None:
        name = self._name(ctx, project)
        view = await self._desk.commands.cycle_times(name, days=days)
        chart = cycle_time_chart(view, f"{_heading(name)} · cycle time")
        await answer_drawn(
            self._desk,
            ctx,
            chart,
            lambda picture, drawing: render_charts.cycle_times(
                view, _whose(name), days, picture, drawing=drawing
            ),
        )

    @hybrid.subcommand(chart, "Agents, processors and memory over time")
    @hybrid.options(days=f"{BACK}, at most 35; none: the last day", project=EITHER)
    async def resources(
        self, ctx: Context, days: commands.Range[int, 1, 35] = 1, project: str | None = None
    ) -> None:
        name = self._name(ctx, project)
        view = await self._desk.commands.use_history(name, days=days)
        chart = use_chart(view, f"{_heading(name)} · use")
        await answer_drawn(
            self._desk,
            ctx,
            chart,
            lambda picture, drawing: render_charts.use(view, _whose(name), days, picture, drawing=drawing),
        )

    @hybrid.subcommand(chart, "What agents' calls cost, day by day")
    @hybrid.options(days=f"{BACK}; none: 30", project=EITHER)
    async def cost(self, ctx: Context, days: Days = 30, project: str | None = None) -> None:
        name = self._name(ctx, project)
        view = await self._desk.commands.spending_history(name, days=days)
        chart = cost_chart(view, f"{_heading(name)} · cost", by_project=name is None)
        await answer_drawn(
            self._desk,
            ctx,
            chart,
            lambda picture, drawing: render_charts.cost(
                view, chart, _whose(name), days, picture, drawing=drawing
            ),
        )

    @hybrid.subcommand(chart, "Which stories wait for which")
    @hybrid.options(project=EITHER)
    async def dependencies(self, ctx: Context, project: str | None = None) -> None:
        name = self._name(ctx, project)
        view = await self._desk.commands.needs_graph(name)
        chart = graph_chart(view, f"{_heading(name)} · who waits for whom")
        await answer_drawn(
            self._desk,
            ctx,
            chart,
            lambda picture, drawing: render_charts.dependencies(view, _whose(name), picture, drawing=drawing),
        )

    def _name(self, ctx: Context, project: str | None) -> str | None:
        return (project or "").strip() or self._desk.implied(ctx.channel)


def _heading(name: str | None) -> str:
    return name or "All projects"


def _whose(name: str | None) -> str:
    return f"of {title(name, 100)}" if name else "of all projects"
