"""Every question that waits for a person, with all that it is about."""

from __future__ import annotations

from bot.web.dashboard.answers import answer
from bot.web.dashboard.fragments import Said
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.questions import drawn_question
from bot.web.dashboard.shell import Parts, act, heading, show
from bot.web.visitors import person_of
from core.domain.approval import Approval
from core.orchestrator.commands import Commands

_SHOWN = 30


def questions_view(commands: Commands) -> View[tuple[Approval, ...]]:
    return View(name="questions", look=commands.approvals, seconds=5)


async def build(viewer: Viewer) -> None:
    heading("Questions")
    person = await person_of(viewer.house, viewer.visitor)

    def draw(asked: tuple[Approval, ...]) -> Parts:
        own = [one for one in asked if viewer.sees(one.project)]
        parts = {
            one.id: drawn_question(one, viewer.visitor.standing(one.project, person), named=True, folded=True)
            for one in own[:_SHOWN]
        }
        if not own:
            parts["none"] = drawn("none", title="Nothing waits for an answer", text="Agents ask here.")
        if len(own) > _SHOWN:
            parts["more"] = drawn("none", title=f"and {len(own) - _SHOWN} more", text="Answer these first.")
        return parts

    async def does(said: Said) -> None:
        await act(lambda: answer(viewer, said))

    await show(viewer, questions_view(viewer.house.runtime.commands), draw, does=does)
