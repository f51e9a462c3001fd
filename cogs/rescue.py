"""`/suggest_fix` and `/skip_task`: where a person helps on."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render
from cogs.desk import AT_WORK, Context, Desk, actor
from cogs.hybrid import PROJECT, STORY
from cogs.message import Message
from cogs.replies import answer
from core.domain.story import StoryStatus


class Rescue(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @hybrid.command("Give a blocked story a hint and new tries")
    @hybrid.options(
        {"story": hybrid.stories({StoryStatus.BLOCKED})},
        story=STORY,
        text="What the agent should do",
        project=PROJECT,
    )
    async def suggest_fix(
        self, ctx: Context, story: str | None = None, *, text: str, project: str | None = None
    ) -> None:
        async def help_on() -> Message:
            found, words = await self._desk.story_and_text(ctx, story, text, project)
            view = await self._desk.commands.suggest_fix(found, words, actor=actor(ctx.author))
            return render.story_helped(view, words)

        await answer(ctx, help_on())

    @hybrid.command("Take a story out of the sprint; its work is kept")
    @hybrid.options(
        {"story": hybrid.stories(AT_WORK)}, story=STORY, reason="Why, for the record", project=PROJECT
    )
    async def skip_task(
        self, ctx: Context, story: str | None = None, *, reason: str = "", project: str | None = None
    ) -> None:
        async def skip() -> Message:
            found, words = await self._desk.story_and_text(ctx, story, reason, project)
            view = await self._desk.commands.skip_story(found, words, actor=actor(ctx.author))
            return render.story_skipped(view, words)

        await answer(ctx, skip(), slow=True)
