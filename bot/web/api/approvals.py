"""The API of approvals: the questions that wait for a person, and their answers."""

from __future__ import annotations

import sqlite3
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import Field

from bot.web.api.paging import LINK, Paged
from bot.web.api.route import IF_MATCH, Body, changing
from bot.web.api.route import router as api_router
from bot.web.visitors import Asks, Visitor, admit, house_of, person_of
from core.domain import wording
from core.domain.approval import Approval
from core.security.access import Action
from core.store import approvals as rows

router = api_router("approvals")
SeesEach = Annotated[Visitor, Depends(Asks(Action.SEE_PROJECT, each=True))]
Answers = Annotated[Visitor, Depends(Asks(Action.ANSWER_APPROVAL, each=True))]
ApprovalId = Annotated[str, Path(max_length=200)]


class Answer(Body):
    approve: bool
    reason: Annotated[str, Field(max_length=wording.TEXT_CHARACTERS)] = ""


@router.get("/approvals", description=f"The questions that wait for a person, the oldest first. {LINK}")
async def approvals(
    request: Request, visitor: SeesEach, page: Paged, project: str | None = None
) -> list[Approval]:
    if project is not None:
        await admit(house_of(request), visitor, Action.SEE_PROJECT, project.strip().lower())
    found = await house_of(request).runtime.commands.approvals()
    wanted = None if project is None else project.strip().lower()
    seen = (one for one in found if visitor.sees(one.project) and wanted in (None, one.project))
    return page.cut(sorted(seen, key=_place), _place)


@router.get("/approvals/{approval_id}")
async def approval(request: Request, visitor: SeesEach, approval_id: ApprovalId) -> Approval:
    """Also one that was answered."""
    return await _seen(request, visitor, approval_id)


@router.post("/approvals/{approval_id}", openapi_extra=IF_MATCH)
async def answer(request: Request, visitor: Answers, approval_id: ApprovalId, said: Answer) -> Approval:
    """The first answer wins; to reject takes a reason."""
    asked = await _seen(request, visitor, approval_id)
    await admit(house_of(request), visitor, Action.ANSWER_APPROVAL, asked.project)

    def now(conn: sqlite3.Connection) -> Approval:
        return rows.get(conn, approval_id)

    def answered(conn: sqlite3.Connection, value: tuple[Approval, str]) -> Approval | None:
        return None if value[1] else value[0]  # else it was refused, and why

    return await changing(request, now=now, answer=answered).answer_approval(
        approval_id,
        said.approve,
        reason=said.reason,
        actor=visitor.asker.name,
        standing=visitor.standing(asked.project, await person_of(house_of(request), visitor)),
    )


def _place(asked: Approval) -> str:
    return f"{asked.asked_at.timestamp():018.6f} {asked.id}"


async def _seen(request: Request, visitor: Visitor, approval_id: str) -> Approval:
    """Raises NotFound also for one that they may not know of."""
    asked = await house_of(request).runtime.commands.approval(approval_id)
    if not visitor.sees(asked.project):
        raise rows.absent(approval_id)
    return asked
