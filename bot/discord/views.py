"""What buttons and forms do: answer an approval, help a blocked story, leaf through pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import discord

from bot.discord import render
from bot.discord.alert_presses import AlertPresses
from bot.discord.budgetpresses import BudgetPresses
from bot.discord.client import Fill, Press, Submit
from bot.discord.form import LOOK_SECONDS, form, over
from bot.discord.reviewpresses import ReviewPresses
from bot.discord.storypresses import StoryPresses
from cogs.desk import Desk, actor
from cogs.message import Message
from cogs.outgoing import keeping_mark
from cogs.render import project_archived, refusal, story_helped, story_skipped
from cogs.render_resources import why
from cogs.replies import confide, update, whisper
from core.domain.approval import Approval, ApprovalState, may_answer
from core.errors import InvalidInput, NotAllowed, NotFound


class _MayNot(Exception):
    """The question is not this person's to answer; its post stays as it is."""

    def __init__(self, asked: Approval) -> None:
        super().__init__(asked.id)
        self.asked = asked


class Counter:
    """`presses` by a button's verb, `submits` and `fills` by a form's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        stories, reviews, budgets = StoryPresses(desk), ReviewPresses(desk), BudgetPresses(desk)
        self.fills: Mapping[str, Fill] = stories.fills
        self.presses: Mapping[str, Press] = {
            **stories.presses,
            **reviews.presses,
            **budgets.presses,
            **AlertPresses(desk).presses,
            "approve": self._approve,
            "reject": self._ask_reason,
            "fix": form(
                "fix", "Help {}", "What should the agent do?", "The agent gets these words and new tries."
            ),
            "skip": self._skip,
            "page": self._turn_page,
            "resume": self._resume,
            "why": self._why,
            "optimize": self._optimize,
            "archive": self._archive,
        }
        self._ask_why = form(
            "reject", "Reject", "What should be different?", "The agent gets these words and tries again."
        )
        self.submits: Mapping[str, Submit] = {
            **stories.submits,
            **reviews.submits,
            **budgets.submits,
            "reject": self._reject,
            "fix": self._fix,
        }

    # -- approvals ---------------------------------------------------------------------------

    async def _approve(self, interaction: discord.Interaction[Any], approval_id: str) -> None:
        await self._answer(interaction, approval_id, approve=True, reason="")

    async def _ask_reason(self, interaction: discord.Interaction[Any], approval_id: str) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                asked = await self._desk.commands.approval(approval_id)
                standing = await self._desk.standing(interaction, asked.project)
        except TimeoutError:
            pass  # the answer itself will tell
        else:
            if asked.state is not ApprovalState.PENDING:
                await self._show_answered(interaction, asked)
                return
            if may_answer(asked, standing):
                await whisper(interaction, render.may_not(asked, self._desk.roles))
                return
        await self._ask_why(interaction, approval_id)

    async def _reject(self, interaction: discord.Interaction[Any], approval_id: str, text: str) -> None:
        await self._answer(interaction, approval_id, approve=False, reason=text)

    async def _answer(
        self, interaction: discord.Interaction[Any], approval_id: str, *, approve: bool, reason: str
    ) -> None:
        late: list[NotAllowed] = []

        async def answer() -> Message:
            project = (await self._desk.commands.approval(approval_id)).project
            try:
                asked = await self._desk.commands.answer_approval(
                    approval_id,
                    approve,
                    reason=reason,
                    actor=actor(interaction.user),
                    standing=await self._desk.standing(interaction, project),
                )
            except NotAllowed as error:
                asked = await self._desk.commands.approval(approval_id)
                if asked.state is ApprovalState.PENDING:
                    raise _MayNot(asked) from error
                late.append(error)
            return await self._shown(asked, interaction.message)

        try:
            await update(interaction, answer(), keep_files=True)
        except _MayNot as refused:
            await whisper(interaction, render.may_not(refused.asked, self._desk.roles))
        if late:
            await whisper(interaction, refusal(late[0]))

    async def _show_answered(self, interaction: discord.Interaction[Any], asked: Approval) -> None:
        by = f" by {render.who(asked.answered_by)}" if asked.answered_by else ""
        await update(interaction, self._shown(asked, interaction.message), keep_files=True)
        await whisper(interaction, Message(text=f"This was already {asked.state}{by}."))

    async def _shown(self, asked: Approval, posted: discord.Message | None) -> Message:
        try:
            title = (await self._desk.commands.story(asked.story_id)).view.story.title
        except NotFound:
            title = ""
        message = render.approval(asked, title)
        return keeping_mark(message, posted) if posted else message

    # -- blocked stories ---------------------------------------------------------------------

    async def _fix(self, interaction: discord.Interaction[Any], story_id: str, text: str) -> None:
        async def help_on() -> Message:
            by = actor(interaction.user)
            view = await self._desk.commands.suggest_fix(story_id, text, actor=by)
            return over(interaction, render.helped(by, text), story_helped(view, text))

        await update(interaction, help_on(), keep_files=True)

    async def _skip(self, interaction: discord.Interaction[Any], story_id: str) -> None:
        async def skip() -> Message:
            by = actor(interaction.user)
            view = await self._desk.commands.skip_story(story_id, "", actor=by)
            return over(interaction, render.skipped(by), story_skipped(view, ""))

        await update(interaction, skip(), keep_files=True)

    # -- usage limits ------------------------------------------------------------------------

    async def _resume(self, interaction: discord.Interaction[Any], project: str) -> None:
        """Its post and the live status follow from the event."""

        async def resume() -> Message:
            view = await self._desk.commands.resume_sprint(project, actor=actor(interaction.user))
            return Message(text=f"Sprint {view.sprint.number} of {view.sprint.project} goes on.")

        await confide(interaction, resume())

    # -- resources ---------------------------------------------------------------------------

    async def _why(self, interaction: discord.Interaction[Any], story_id: str) -> None:
        async def explain() -> Message:
            return why(await self._desk.commands.why(story_id))

        await confide(interaction, explain())

    async def _optimize(self, interaction: discord.Interaction[Any], strategy: str) -> None:
        async def share() -> Message:
            wanted = None if strategy == "-" else strategy
            done = await self._desk.commands.optimize(strategy=wanted, actor=actor(interaction.user))
            return self._desk.results.keep(done)

        await update(interaction, share(), slow=True)

    # -- projects ----------------------------------------------------------------------------

    async def _archive(self, interaction: discord.Interaction[Any], project: str) -> None:
        async def archive() -> Message:
            by = actor(interaction.user)
            return project_archived(await self._desk.commands.archive_project(project, actor=by))

        await update(interaction, archive(), slow=True)

    # -- pages -------------------------------------------------------------------------------

    async def _turn_page(self, interaction: discord.Interaction[Any], target: str) -> None:
        what, _, rest = target.partition(":")
        argument, _, number = rest.rpartition(":")
        page = self._desk.pages.get(what)
        if page is None or not number.isdigit():
            raise InvalidInput("This list cannot be leafed through any more.", hint="Ask for it again.")
        await update(interaction, page(argument, int(number)))
