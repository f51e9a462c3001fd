"""The buttons under a finished sprint: closing it with words, or asking for changes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

from bot.discord import render
from bot.discord.client import Press, Submit
from bot.discord.form import form, over
from cogs.desk import Desk, actor
from cogs.message import Message
from cogs.render import feedback_taken
from cogs.render_sprints import changes_requested
from cogs.replies import update


class ReviewPresses:
    """`presses` by a button's verb, `submits` by a form's; the target is the project."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.presses: Mapping[str, Press] = {
            "feedback": form(
                "feedback",
                "Close the sprint of {}",
                "What was good, what was not?",
                "Your words are kept; the next sprint can be planned then.",
            ),
            "request_changes": form(
                "request_changes",
                "Changes to {}",
                "What should be different?",
                "It becomes a story of the backlog, with these words.",
            ),
        }
        self.submits: Mapping[str, Submit] = {
            "feedback": self._feedback,
            "request_changes": self._request_changes,
        }

    async def _feedback(self, interaction: discord.Interaction[Any], project: str, text: str) -> None:
        async def close() -> Message:
            by = actor(interaction.user)
            view = await self._desk.commands.feedback(project, text, actor=by)
            return over(interaction, render.reviewed(by, text), feedback_taken(view))

        await update(interaction, close(), keep_files=True)

    async def _request_changes(self, interaction: discord.Interaction[Any], project: str, text: str) -> None:
        async def ask() -> Message:
            by = actor(interaction.user)
            added = await self._desk.commands.request_changes(project, text, actor=by)
            words = render.changes(by, text, [view.story.id for view in added])
            return over(interaction, words, changes_requested(added, project))

        await update(interaction, ask(), keep_files=True)
