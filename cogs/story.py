"""`/story`: look at one, and reach into one that runs."""

from __future__ import annotations

from discord.ext import commands

from cogs import hybrid, render_stories
from cogs.desk import AT_WORK, Context, Desk, actor
from cogs.hybrid import PROJECT, STORY
from cogs.message import Message
from cogs.replies import answer
from core.domain.story import StoryStatus
from core.errors import InvalidInput

_ANY = hybrid.stories(StoryStatus)
_WORKED = hybrid.stories(AT_WORK)


class Story(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @hybrid.group("One story: show it, stop it, steer it, take it over")
    async def story(self, ctx: Context) -> None:
        raise InvalidInput("What about the story?", hint="show, stop, steer, takeover or handback.")

    @hybrid.subcommand(story, "Everything of a story: criteria, gates, evidence, needs, questions")
    @hybrid.options({"story": _ANY}, story=STORY, project=PROJECT)
    async def show(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        async def show() -> Message:
            found = await self._desk.story(ctx, story, project)
            return render_stories.story(await self._desk.commands.story(found))

        await answer(ctx, show())

    @hybrid.subcommand(story, "Stop a story's agent now; nothing is lost")
    @hybrid.options({"story": _WORKED}, story=STORY, project=PROJECT)
    async def stop(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        async def stop() -> Message:
            found = await self._desk.story(ctx, story, project)
            view = await self._desk.commands.stop_story(found, actor=actor(ctx.author))
            return render_stories.held(view, f"⏹️ {view.story.id} is stopped")

        await answer(ctx, stop(), slow=True)

    @hybrid.subcommand(story, "Say something to a story's agent while it works")
    @hybrid.options({"story": _WORKED}, story=STORY, text="What the agent should know", project=PROJECT)
    async def steer(
        self, ctx: Context, story: str | None = None, *, text: str, project: str | None = None
    ) -> None:
        async def steer() -> Message:
            found, words = await self._desk.story_and_text(ctx, story, text, project)
            view = await self._desk.commands.steer_story(found, words, actor=actor(ctx.author))
            return render_stories.held(view, f"🧭 {view.story.id} is steered")

        await answer(ctx, steer(), slow=True)

    @hybrid.subcommand(story, "Work on a story yourself: its agent waits, you get the folder")
    @hybrid.options({"story": _WORKED}, story=STORY, project=PROJECT)
    async def takeover(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        async def take() -> Message:
            found = await self._desk.story(ctx, story, project)
            return render_stories.taken(await self._desk.commands.take_over(found, actor=actor(ctx.author)))

        await answer(ctx, take(), slow=True)

    @hybrid.subcommand(story, "Give back a story that you took over: the gate judges what is there")
    @hybrid.options(
        {"story": hybrid.stories({StoryStatus.TAKEN})},
        story=STORY,
        note="What you did; the agent reads it",
        project=PROJECT,
    )
    async def handback(
        self, ctx: Context, story: str | None = None, *, note: str = "", project: str | None = None
    ) -> None:
        async def give_back() -> Message:
            found, words = await self._desk.story_and_text(ctx, story, note, project)
            view = await self._desk.commands.hand_back(found, words, actor=actor(ctx.author))
            return render_stories.held(view, f"🤝 {view.story.id} is given back")

        await answer(ctx, give_back(), slow=True)
