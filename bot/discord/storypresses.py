"""What buttons, selects and forms of epics, stories and states do (their verbs: `cogs.buttons`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import discord

from bot.discord import render
from bot.discord.client import Fill, Press, Submit
from bot.discord.form import LOOK_SECONDS, form, over
from cogs.desk import Desk, actor
from cogs.message import Attachment, Message
from cogs.render import refusal
from cogs.render_stories import approved, changed, epic, epic_revised, held, story, taken
from cogs.replies import confide, update
from cogs.state import state_look
from cogs.storyform import StoryForm, changes, version
from cogs.text import plain
from core.domain.story import StoryStatus
from core.errors import InvalidInput, NotAllowed, Unavailable
from core.orchestrator.views import StoryView

Change = Callable[[str, str], Awaitable[StoryView]]  # story id, actor


class StoryPresses:
    """`presses` by a button's or select's verb, `submits` and `fills` by a form's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.presses: Mapping[str, Press] = {
            "proposals": self._proposals,
            "pick": self._pick,
            "accept": self._accept,
            "accept_all": self._accept_all,
            "revise": form(
                "revise", "Ask for changes {}", "What should be different?", "The design agent proposes anew."
            ),
            "edit": self._edit,
            "drop": form("drop", "Remove {}", "Why? (may stay empty)", "For the record", least=0),
            "stop": self._change("⏹️ {} is stopped", lambda id_, by: desk.commands.stop_story(id_, actor=by)),
            "go_on": self._change("▶️ {} goes on", lambda id_, by: desk.commands.start_story(id_, actor=by)),
            "step": self._change(
                "▶️ {} runs one phase, then stops",
                lambda id_, by: desk.commands.next_phase(id_, actor=by),
            ),
            "take": self._take,
            "steer": form("steer", "Steer {}", "What should the agent know?", "It reads this at once."),
            "hand_back": form("hand_back", "Hand back {}", "What did you do?", "May stay empty", least=0),
            "state": self._state,
        }
        self.submits: Mapping[str, Submit] = {
            "revise": self._revise,
            "drop": self._drop,
            "steer": self._steer,
            "hand_back": self._hand_back,
        }
        self.fills: Mapping[str, Fill] = {"edit": self._edited}

    # -- epics -------------------------------------------------------------------------------

    async def _proposals(self, interaction: discord.Interaction[Any], epic_id: str) -> None:
        async def show() -> Message:
            return epic(await self._desk.commands.epic(epic_id))

        await confide(interaction, show())

    async def _pick(self, interaction: discord.Interaction[Any], epic_id: str) -> None:
        chosen = cast(Mapping[str, Any], interaction.data or {}).get("values") or []
        if not chosen:
            raise InvalidInput("Nothing was chosen.", hint="Choose a story.")
        await confide(interaction, self._shown(str(chosen[0])))

    async def _accept(self, interaction: discord.Interaction[Any], story_id: str) -> None:
        async def accept() -> Message:
            by = actor(interaction.user)
            project = (await self._desk.commands.story(story_id)).view.story.project
            views = await self._desk.commands.approve_stories(project, (story_id,), actor=by)
            return over(interaction, f"👍 Approved by {render.who(by)}.", approved(views))

        await update(interaction, accept())

    async def _accept_all(self, interaction: discord.Interaction[Any], epic_id: str) -> None:
        async def accept() -> Message:
            by = actor(interaction.user)
            view = await self._desk.commands.epic(epic_id)
            proposed = tuple(one.story.id for one in view.stories if one.status is StoryStatus.PROPOSED)
            if not proposed:
                raise NotAllowed(
                    f"{epic_id} proposes nothing any more.",
                    why=f"It is {view.epic.state}: each of its stories was approved or removed.",
                    hint="/backlog view shows what there is.",
                )
            views = await self._desk.commands.approve_stories(view.epic.project, proposed, actor=by)
            ids = ", ".join(one.story.id for one in views)
            return over(interaction, f"👍 Approved by {render.who(by)}: {ids}", approved(views))

        await update(interaction, accept())

    async def _revise(self, interaction: discord.Interaction[Any], epic_id: str, text: str) -> None:
        async def revise() -> Message:
            by = actor(interaction.user)
            view = await self._desk.commands.revise_epic(epic_id, text, actor=by)
            said = f"✍️ {render.who(by)} asks for changes: {plain(text, 800)}"
            return over(interaction, said, epic_revised(view, text))

        await update(interaction, revise())

    # -- one story ---------------------------------------------------------------------------

    async def _shown(self, story_id: str) -> Message:
        return story(await self._desk.commands.story(story_id))

    async def _edit(self, interaction: discord.Interaction[Any], story_id: str) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                detail = await self._desk.commands.story(story_id)
        except TimeoutError:
            raise Unavailable("Orchard is busy: no form can be shown now.", hint="Press again.") from None
        await interaction.response.send_modal(StoryForm(detail.view.story))

    async def _edited(
        self, interaction: discord.Interaction[Any], target: str, texts: Mapping[str, str]
    ) -> None:
        story_id, _, seen = target.rpartition(":")

        async def edit() -> Message:
            current = (await self._desk.commands.story(story_id)).view
            if version(current.story) != seen:
                return _outdated(story_id, texts)
            different = changes(current.story, texts)
            if not different:
                return changed(current, f"{story_id} stays as it is")
            view = await self._desk.commands.edit_story(story_id, **different, actor=actor(interaction.user))
            return changed(view, f"{story_id} is changed")

        await confide(interaction, edit())

    async def _drop(self, interaction: discord.Interaction[Any], story_id: str, reason: str) -> None:
        async def drop() -> Message:
            by = actor(interaction.user)
            view = await self._desk.commands.remove_story(story_id, reason, actor=by)
            said = f"🗑️ Removed by {render.who(by)}. {plain(reason, 800)}"
            return over(interaction, said, changed(view, f"{story_id} is removed"))

        await update(interaction, drop())

    async def _take(self, interaction: discord.Interaction[Any], story_id: str) -> None:
        async def take() -> Message:
            return taken(await self._desk.commands.take_over(story_id, actor=actor(interaction.user)))

        await confide(interaction, take())

    async def _steer(self, interaction: discord.Interaction[Any], story_id: str, text: str) -> None:
        async def steer() -> Message:
            view = await self._desk.commands.steer_story(story_id, text, actor=actor(interaction.user))
            return held(view, f"🧭 {story_id} is steered")

        await confide(interaction, steer())

    async def _hand_back(self, interaction: discord.Interaction[Any], story_id: str, note: str) -> None:
        async def give_back() -> Message:
            view = await self._desk.commands.hand_back(story_id, note, actor=actor(interaction.user))
            return held(view, f"🤝 {story_id} is given back")

        await confide(interaction, give_back())

    # -- a project ---------------------------------------------------------------------------

    async def _state(self, interaction: discord.Interaction[Any], target: str) -> None:
        what, _, project = target.partition(":")
        await update(interaction, state_look(self._desk, what, project), slow=what == "diagram")

    # -- shared ------------------------------------------------------------------------------

    def _change(self, said: str, change: Change) -> Press:
        async def press(interaction: discord.Interaction[Any], story_id: str) -> None:
            async def work() -> Message:
                return held(await change(story_id, actor(interaction.user)), said.format(story_id))

            await confide(interaction, work())

        return press


def _outdated(story_id: str, texts: Mapping[str, str]) -> Message:
    """Somebody was quicker: nothing is overwritten, and what was typed is given back."""
    error = NotAllowed(
        f"{story_id} was changed while you typed: nothing of yours was saved.",
        why="Saving it would undo the other change.",
        hint="What you typed is attached: open the form again and put it in.",
    )
    typed = "\n\n".join(f"## {key}\n{text}" for key, text in texts.items())
    made = refusal(error)
    return Message(cards=made.cards, attachments=(Attachment(name="typed.md", text=typed),))
