"""`/suggest_fix`, `/skip_task`, `/feedback`: where a person helps on."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from cogs import hybrid, render
from cogs.completion import suggest
from cogs.desk import Context, Desk, actor
from cogs.message import Message
from cogs.replies import answer
from core.domain.story import StoryStatus

_BLOCKED = frozenset({StoryStatus.BLOCKED})
_RUNNING = _BLOCKED | {StoryStatus.WAITING, StoryStatus.RUNNING, StoryStatus.AWAITING_APPROVAL}


class Rescue(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @hybrid.command("Give a blocked story a hint and new tries")
    @app_commands.describe(story="The blocked story, such as shop-3", text="What the agent should do")
    async def suggest_fix(self, ctx: Context, story: str, *, text: str) -> None:
        async def help_on() -> Message:
            view = await self._desk.commands.suggest_fix(story, text, actor=actor(ctx.author))
            return render.story_helped(view, text)

        await answer(ctx, help_on())

    @hybrid.command("Take a story out of the sprint; its work is kept")
    @app_commands.describe(story="The story, such as shop-3", reason="Why, for the record")
    async def skip_task(self, ctx: Context, story: str, *, reason: str = "") -> None:
        async def skip() -> Message:
            view = await self._desk.commands.skip_story(story, reason, actor=actor(ctx.author))
            return render.story_skipped(view, reason)

        await answer(ctx, skip())

    @hybrid.command("Close the reviewed sprint with your words")
    @app_commands.describe(
        text="What was good, what was not", project="Name; in a project's channel: that project"
    )
    async def feedback(self, ctx: Context, text: str, project: str | None = None) -> None:
        async def close() -> Message:
            name = self._desk.project(ctx, project)
            return render.feedback_taken(
                await self._desk.commands.feedback(name, text, actor=actor(ctx.author))
            )

        await answer(ctx, close())

    @feedback.autocomplete("project")
    async def _names(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await suggest(interaction, lambda: self._desk.completion.projects(typed))

    @suggest_fix.autocomplete("story")
    async def _blocked(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await self._stories(interaction, typed, _BLOCKED)

    @skip_task.autocomplete("story")
    async def _running(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return await self._stories(interaction, typed, _RUNNING)

    async def _stories(
        self, interaction: discord.Interaction[Any], typed: str, statuses: frozenset[StoryStatus]
    ) -> list[app_commands.Choice[str]]:
        project = self._desk.implied(interaction.channel)
        return await suggest(interaction, lambda: self._desk.completion.stories(typed, project, statuses))
