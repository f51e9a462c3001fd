"""`/budget`: what agents used and may use, and more for them."""

from __future__ import annotations

from typing import Literal

from discord.ext import commands

from cogs import hybrid, render_budgets
from cogs.access import LEVEL_WORDS
from cogs.desk import Context, Desk, actor
from cogs.hybrid import NOT_GIVEN, STORY
from cogs.message import Message
from cogs.raises import Asked
from cogs.replies import answer
from cogs.text import cut
from core.domain.access import AccessLevel, Standing
from core.domain.budget import Scope
from core.domain.budget_words import parse_amount, parse_scope
from core.domain.story import StoryStatus
from core.errors import InvalidInput, NotAllowed
from core.orchestrator.budget_views import BudgetsView, ProjectBudgets, RaiseView

EVERY = "-"
_STORY = "~"  # in front of a page's argument that is a story's id

_Unit = Literal["dollars", "tokens", "turns", "minutes"]
_Scope = Literal["day", "story", "project"]
_ANY = hybrid.stories(StoryStatus, own_first=True)


class Budget(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["budget"] = self._page

    @hybrid.group("What agents used and may use, and more for them")
    async def budget(self, ctx: Context) -> None:
        """By itself (as text only), or with a project's or story's name behind it."""
        await answer(ctx, self._named(hybrid.typed_behind(ctx), ctx))

    @hybrid.subcommand(budget, "What agents used, of what they may use; who used most")
    @hybrid.options(
        {"story": _ANY},
        story="Only this story's; in a story's thread: that story's",
        project="Only this project's; in a project's channel: that one's",
    )
    async def show(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        await answer(ctx, self._look(ctx, story, project))

    @hybrid.subcommand(budget, "Allow agents more: for today, or for good", name="raise")
    @hybrid.options(
        {"story": _ANY},
        amount="How much more, such as 5, 2.50 or 120k",
        unit="Of what",
        scope="For today, or for good: a story, the whole project. None: the named story, else today",
        story=STORY,
        project="Name; in a project's channel: that project",
    )
    async def raise_(
        self,
        ctx: Context,
        amount: str,
        unit: _Unit,
        scope: _Scope = NOT_GIVEN,
        story: str | None = None,
        project: str | None = None,
    ) -> None:
        async def work() -> Message:
            which = parse_scope(scope or ("story" if story else "day"))
            found, number = parse_amount(amount, unit)
            name = await self._whose(ctx, which, story, project)
            asked = Asked(scope=which, unit=found, name=name, amount=number)
            view = await raise_budget(
                self._desk,
                asked,
                click=f"discord:{ctx.interaction.id if ctx.interaction else ctx.message.id}",
                by=actor(ctx.author),
                standing=await self._desk.standing_of(ctx, asked.project),
            )
            return render_budgets.raised(view)

        await answer(ctx, work())

    async def _whose(self, ctx: Context, scope: Scope, story: str | None, project: str | None) -> str:
        """The story, or the project: as text, what stands behind `day` or `project` is its name."""
        if scope is Scope.STORY:
            return await self._desk.story(ctx, story, project)
        if story and not project and ctx.interaction is not None:
            named = await self._desk.story(ctx, story, None, anywhere=True)
            return (await self._desk.commands.story(named)).view.story.project
        return self._desk.project(ctx, project or story)

    # -- what is looked at -------------------------------------------------------------------

    async def _named(self, name: str, ctx: Context) -> Message:
        names = {view.project.name for view in await self._desk.commands.projects()} if name else set()
        if name and name.lower() not in names and "-" in name:
            return await self._look(ctx, name, None)
        return await self._look(ctx, None, name or None)

    async def _look(self, ctx: Context, story: str | None, project: str | None) -> Message:
        if story and story.strip():
            return await self._page(_STORY + await self._desk.story(ctx, story, project, anywhere=True), 0)
        if project and project.strip():
            return await self._page(project.strip().lower(), 0)
        own = self._desk.channels.story_of(ctx.channel) if ctx.channel is not None else None
        if own is not None:
            return await self._page(_STORY + own, 0)
        return await self._page(self._desk.implied(ctx.channel) or EVERY, 0)

    async def _page(self, argument: str, page: int) -> Message:
        return await show_budgets(self._desk, argument, page)


async def show_budgets(desk: Desk, argument: str, page: int = 0) -> Message:
    """Of every project, of one, or of a story: `-`, its name, `~` and its id."""
    if argument == EVERY:
        view = await desk.commands.budgets()
    elif argument.startswith(_STORY):
        view = await desk.commands.budgets(story=argument.removeprefix(_STORY))
    else:
        view = await desk.commands.budgets(argument)
    return render_budgets.budgets(view, page, argument=argument)


def argument_of(asked: Asked) -> str:
    """By which `show_budgets` shows what was raised."""
    return (_STORY if asked.scope is Scope.STORY else "") + asked.name


async def check_raise(desk: Desk, asked: Asked, standing: Standing) -> None:
    """Raises NotAllowed with who may, InvalidInput where the day is over, NotFound."""
    view = await _looked_up(desk, asked)
    [project] = view.projects
    needed = AccessLevel[project.raise_level.upper()]
    if standing.level < needed:
        who = LEVEL_WORDS[needed]
        steering = ", ".join(sorted(desk.roles)) if needed <= AccessLevel.MAINTAINER else ""
        raise NotAllowed(
            f"You may not raise budgets of {project.project}.",
            why=f"Its settings leave that to {project.raise_level} and higher: {who}"
            f"{f' (roles: {cut(steering, 300)})' if steering else ''}.",
            hint="Ask one of them; what was begun is kept.",
        )
    if asked.day is not None and (today := _today(project)) != asked.day.isoformat():
        raise InvalidInput(
            f"That was the budget of {asked.day.isoformat()}, and this day is over.",
            why=f"For {project.project} it is {today}: a day's budget begins anew with it.",
            hint="/budget show tells what may be used today.",
        )


async def raise_budget(desk: Desk, asked: Asked, *, click: str, by: str, standing: Standing) -> RaiseView:
    """Raises what `check_raise` does, and InvalidInput for too much or where nothing is limited."""
    await check_raise(desk, asked, standing)
    return await desk.commands.raise_budget(
        asked.name,
        scope=asked.scope,
        unit=asked.unit,
        amount=asked.amount,
        click=click,
        actor=by,
        standing=standing,
    )


async def _looked_up(desk: Desk, asked: Asked) -> BudgetsView:
    if asked.scope is Scope.STORY:
        return await desk.commands.budgets(story=asked.name)
    return await desk.commands.budgets(asked.name)


def _today(project: ProjectBudgets) -> str:
    return next((one.day for one in project.budgets if one.scope is Scope.DAY and one.day), "")
