"""`/backlog`: what waits to be done."""

from __future__ import annotations

from typing import Literal

from discord.ext import commands

from cogs import hybrid, render, render_stories
from cogs.desk import Context, Desk, actor
from cogs.hybrid import NOT_GIVEN, PROJECT
from cogs.message import Message
from cogs.replies import answer
from cogs.storyform import StoryForm
from cogs.typed import criteria, unless_dash, words
from cogs.typed import labels as label_list
from core.domain.story import Priority, StoryStatus
from core.errors import InvalidInput

_S = StoryStatus
_OPEN = frozenset(_S) - {_S.DONE, _S.SKIPPED, _S.ABORTED, _S.REMOVED}
_EDITABLE = frozenset({_S.PROPOSED, _S.BACKLOG, _S.PLANNED})
_REMOVABLE = frozenset({_S.PROPOSED, _S.BACKLOG})
_NEEDED = hybrid.stories(_OPEN, many=True, everywhere=True)

_CRITERIA = "What must hold when it is done; several by ;"
_LABELS = "Words to find it by; several by ,"
_NEEDS = "Ids of stories, also of other projects, that must be done first"
_LINKS = "Addresses; several by spaces"
_NONE = "; - takes all away"

Points = commands.Range[int, 0, 1000]


class Backlog(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["backlog"] = self._page

    @hybrid.group("Stories that wait to be done")
    async def backlog(self, ctx: Context) -> None:
        raise InvalidInput("What about the backlog?", hint="add_story, view, edit, prioritize or remove.")

    @hybrid.subcommand(backlog, "Add a story to the backlog")
    @hybrid.options(
        {"needs": _NEEDED},
        title="One line: what is to be done",
        body="More about it",
        acceptance_criteria=_CRITERIA,
        priority="How urgent it is",
        project=PROJECT,
        estimate="Story points",
        labels=_LABELS,
        needs=_NEEDS,
        links=_LINKS,
    )
    async def add_story(
        self,
        ctx: Context,
        title: str,
        body: str = "",
        acceptance_criteria: str = "",
        priority: Literal["critical", "high", "normal", "low"] = "normal",
        project: str | None = None,
        estimate: Points = NOT_GIVEN,
        labels: str = "",
        needs: str = "",
        links: str = "",
    ) -> None:
        async def add() -> Message:
            story = await self._desk.commands.add_story(
                self._desk.project(ctx, project),
                title,
                body=body,
                acceptance_criteria=criteria(acceptance_criteria),
                priority=Priority(priority),
                estimate=estimate,
                labels=label_list(labels),
                needs=words(needs),
                links=words(links),
                actor=actor(ctx.author),
            )
            return render.story_added(story)

        await answer(ctx, add())

    @hybrid.subcommand(backlog, "What is in the backlog, most urgent first")
    @hybrid.options(project=PROJECT)
    async def view(self, ctx: Context, project: str | None = None) -> None:
        async def show() -> Message:
            return await self._page(self._desk.project(ctx, project), 0)

        await answer(ctx, show())

    @hybrid.subcommand(backlog, "Say how urgent a story is, and where it stands")
    @hybrid.options(
        {"story": hybrid.stories(_OPEN), "before": hybrid.stories(_OPEN)},
        story=hybrid.STORY,
        priority="How urgent it is",
        place="Among the stories of its priority",
        before="Or: the story that it goes in front of",
        project=PROJECT,
    )
    async def prioritize(
        self,
        ctx: Context,
        story: str,
        priority: Literal["critical", "high", "normal", "low"] | None = None,
        place: Literal["top", "bottom"] | None = None,
        before: str | None = None,
        project: str | None = None,
    ) -> None:
        async def prioritize() -> Message:
            if place and before:
                raise InvalidInput("Two places were named.", hint="Fill in `place` or `before`, not both.")
            where = f"before {await self._desk.story(ctx, before, project)}" if before else place
            view = await self._desk.commands.prioritize_story(
                await self._desk.story(ctx, story, project),
                priority=Priority(priority) if priority else None,
                place=where,
                actor=actor(ctx.author),
            )
            return render_stories.changed(view, f"{view.story.id} has its place")

        await answer(ctx, prioritize())

    @hybrid.subcommand(backlog, "Take a story out of the backlog")
    @hybrid.options(
        {"story": hybrid.stories(_REMOVABLE)},
        story=hybrid.STORY,
        reason="Why, for the record",
        project=PROJECT,
    )
    async def remove(self, ctx: Context, story: str, *, reason: str = "", project: str | None = None) -> None:
        async def remove() -> Message:
            found = await self._desk.story(ctx, story, project)
            view = await self._desk.commands.remove_story(found, reason, actor=actor(ctx.author))
            return render_stories.changed(view, f"{view.story.id} is out of the backlog")

        await answer(ctx, remove())

    @hybrid.subcommand(backlog, "Change a story; without anything but the story: in a form")
    @hybrid.options(
        {"story": hybrid.stories(_EDITABLE), "needs": _NEEDED},
        story=hybrid.STORY,
        title="One line: what is to be done",
        body=f"More about it{_NONE}",
        acceptance_criteria=f"{_CRITERIA}{_NONE}",
        estimate="Story points",
        labels=f"{_LABELS}{_NONE}",
        needs=f"{_NEEDS}{_NONE}",
        links=f"{_LINKS}{_NONE}",
        project=PROJECT,
    )
    async def edit(
        self,
        ctx: Context,
        story: str,
        title: str | None = None,
        body: str | None = None,
        acceptance_criteria: str | None = None,
        estimate: Points = NOT_GIVEN,
        labels: str | None = None,
        needs: str | None = None,
        links: str | None = None,
        project: str | None = None,
    ) -> None:
        found = await self._desk.story(ctx, story, project)
        given = (title, body, acceptance_criteria, estimate, labels, needs, links)
        if all(value is None for value in given):
            if ctx.interaction is None:
                raise InvalidInput(
                    "What is to be different?", hint="Type /backlog edit and fill in what changes."
                )
            detail = await self._desk.commands.story(found)
            await ctx.interaction.response.send_modal(StoryForm(detail.view.story))
            return

        async def edit() -> Message:
            view = await self._desk.commands.edit_story(
                found,
                title=title,
                body=None if body is None else unless_dash(body),
                acceptance_criteria=None
                if acceptance_criteria is None
                else criteria(unless_dash(acceptance_criteria)),
                estimate=estimate,
                labels=None if labels is None else label_list(unless_dash(labels)),
                needs=None if needs is None else words(unless_dash(needs)),
                links=None if links is None else words(unless_dash(links)),
                actor=actor(ctx.author),
            )
            return render_stories.changed(view, f"{view.story.id} is changed")

        await answer(ctx, edit())

    async def _page(self, project: str, page: int) -> Message:
        return render.backlog(project, await self._desk.commands.backlog(project), page)
