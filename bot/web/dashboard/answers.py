"""Answering a question from a page, with the rights of whoever looks at it."""

from __future__ import annotations

from bot.web.dashboard.fragments import Said
from bot.web.dashboard.page import Viewer
from bot.web.visitors import person_of
from core.errors import InvalidInput
from core.security.access import Action
from core.store.approvals import absent


async def answer(viewer: Viewer, said: Said) -> str:
    """Of a form with `id`, `reason` and the button `answer`: "approve" or "reject". The first answer wins.

    Returns what was done, as a sentence. Raises OrchardError.
    """
    commands = viewer.house.runtime.commands
    if said.get("answer") not in ("approve", "reject"):
        raise InvalidInput("This is no answer.", hint="Approve or reject.")
    approve = said["answer"] == "approve"
    asked = await commands.approval(said.get("id", "")[:100])
    if not viewer.sees(asked.project):
        raise absent(asked.id)
    visitor = await viewer.admit(Action.ANSWER_APPROVAL, asked.project)
    await commands.answer_approval(
        asked.id,
        approve,
        reason=said.get("reason", ""),
        actor=visitor.asker.name,
        standing=visitor.standing(asked.project, await person_of(viewer.house, visitor)),
    )
    return f"{'Approved' if approve else 'Rejected'}: {asked.question}"
