"""`/sprint`: which stories are worked on, and what came of it; `/request_changes` and `/feedback`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from discord.ext import commands

from cogs import hybrid, render, render_sprints
from cogs.chart import burndown_chart
from cogs.desk import Context, Desk, actor
from cogs.drawn import answer_drawn
from cogs.hybrid import NOT_GIVEN, PROJECT
from cogs.message import Message
from cogs.replies import answer
from cogs.typed import words
from core.domain.story import StoryStatus
from core.errors import InvalidInput
from core.orchestrator.views import SprintView

_S = StoryStatus
_BACKLOG = hybrid.stories({_S.BACKLOG, _S.PLANNED}, many=True)
_REVIEWED = hybrid.stories({_S.DONE, _S.SKIPPED, _S.ABORTED}, many=True)

Number = commands.Range[int, 1, 100_000]


class Sprint(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["sprint"] = self._page
        desk.pages["review"] = self._review_page
        desk.pages["history"] = self._history_page

    @hybrid.group("The stories that are worked on")
    async def sprint(self, ctx: Context) -> None:
        raise InvalidInput(
            "What about the sprint?",
            hint="plan, start, status, pause, resume, review, burndown or history.",
        )

    @hybrid.subcommand(sprint, "Choose stories of the backlog for the next sprint")
    @hybrid.options(
        {"stories": _BACKLOG},
        stories="Their ids, such as shop-1 shop-3; none: the whole backlog",
        goal="What the sprint is for, in one line",
        project=PROJECT,
    )
    async def plan(self, ctx: Context, stories: str = "", goal: str = "", project: str | None = None) -> None:
        async def choose() -> Message:
            view = await self._desk.commands.plan_sprint(
                self._desk.project(ctx, project), stories=words(stories), goal=goal, actor=actor(ctx.author)
            )
            return render.sprint(view, note="🗓️ Planned. Next: `/sprint start`.")

        await answer(ctx, choose())

    @hybrid.subcommand(sprint, "Let the planned stories run")
    @hybrid.options(project=PROJECT)
    async def start(self, ctx: Context, project: str | None = None) -> None:
        await self._move(ctx, project, self._desk.commands.start_sprint, "🏃 Started.")

    @hybrid.subcommand(sprint, "How the sprint stands")
    @hybrid.options(project=PROJECT)
    async def status(self, ctx: Context, project: str | None = None) -> None:
        async def show() -> Message:
            return await self._page(self._desk.project(ctx, project), 0)

        await answer(ctx, show())

    @hybrid.subcommand(sprint, "Start no new phase; what runs comes to its end")
    @hybrid.options(project=PROJECT)
    async def pause(self, ctx: Context, project: str | None = None) -> None:
        await self._move(ctx, project, self._desk.commands.pause_sprint, "⏸️ Paused.")

    @hybrid.subcommand(sprint, "Go on with a paused sprint, also after a usage limit")
    @hybrid.options(project=PROJECT)
    async def resume(self, ctx: Context, project: str | None = None) -> None:
        await self._move(ctx, project, self._desk.commands.resume_sprint, "🏃 Going on.")

    @hybrid.subcommand(sprint, "What came of a sprint, with the evidence")
    @hybrid.options(number="Which sprint; none: the last one", project=PROJECT)
    async def review(self, ctx: Context, number: Number = NOT_GIVEN, project: str | None = None) -> None:
        async def show() -> Message:
            view = await self._desk.commands.review(self._desk.project(ctx, project), number)
            return render_sprints.review(view)

        await answer(ctx, show())

    @hybrid.subcommand(sprint, "How many points were left when, as a picture")
    @hybrid.options(number="Which sprint; none: the last one", project=PROJECT)
    async def burndown(self, ctx: Context, number: Number = NOT_GIVEN, project: str | None = None) -> None:
        await show_burndown(self._desk, ctx, number, project)

    @hybrid.subcommand(sprint, "What people said of earlier sprints")
    @hybrid.options(query="Words that it holds; none: all", project="Name; none: all projects")
    async def history(self, ctx: Context, query: str = "", project: str | None = None) -> None:
        async def show() -> Message:
            name = (project or "").strip() or self._desk.implied(ctx.channel)
            found = await self._desk.commands.retrospectives(query, name)
            return render_sprints.history(found, query, name)

        await answer(ctx, show())

    @hybrid.command("Ask for changes to what the sprint made: they go into the backlog")
    @hybrid.options(
        {"stories": _REVIEWED},
        text="What should be different",
        stories="Stories that it is about, such as shop-1 shop-3; none: one new story",
        project=PROJECT,
    )
    async def request_changes(
        self, ctx: Context, *, text: str, stories: str = "", project: str | None = None
    ) -> None:
        async def ask() -> Message:
            name = self._desk.project(ctx, project)
            views = await self._desk.commands.request_changes(
                name, text, stories=words(stories), actor=actor(ctx.author)
            )
            return render_sprints.changes_requested(views, name)

        await answer(ctx, ask())

    @hybrid.command("Close the reviewed sprint with your words")
    @hybrid.options(text="What was good, what was not", project=PROJECT)
    async def feedback(self, ctx: Context, *, text: str, project: str | None = None) -> None:
        async def close() -> Message:
            name = self._desk.project(ctx, project)
            return render.feedback_taken(
                await self._desk.commands.feedback(name, text, actor=actor(ctx.author))
            )

        await answer(ctx, close())

    async def _move(
        self, ctx: Context, project: str | None, move: Callable[..., Awaitable[SprintView]], note: str
    ) -> None:
        async def moved() -> Message:
            view = await move(self._desk.project(ctx, project), actor=actor(ctx.author))
            return render.sprint(view, note=note)

        await answer(ctx, moved())

    async def _page(self, project: str, page: int) -> Message:
        return render.sprint(await self._desk.commands.sprint(project), page)

    async def _review_page(self, argument: str, page: int) -> Message:
        project, _, number = argument.partition("/")
        view = await self._desk.commands.review(project, int(number) if number.isdigit() else None)
        return render_sprints.review(view, page)

    async def _history_page(self, argument: str, page: int) -> Message:
        project, _, query = argument.partition("/")
        name = None if project == "-" else project
        found = await self._desk.commands.retrospectives(query, name)
        return render_sprints.history(found, query, name, page)


async def _ready(message: Message) -> Message:
    return message


async def show_burndown(desk: Desk, ctx: Context, number: int | None, project: str | None) -> None:
    view = await desk.commands.burndown(desk.project(ctx, project), number)
    await answer_drawn(
        desk,
        ctx,
        burndown_chart(view),
        lambda picture, drawing: render_sprints.burndown(view, picture, drawing=drawing),
    )
