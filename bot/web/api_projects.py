"""The API of projects: what there is, how it stands, what waits for an answer; only what one may see."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic_core import to_jsonable_python

from bot.web.api_own import API, Body
from bot.web.visitors import LOOKER, Asks, Visitor, admit, house_of
from core.domain.access import AccessLevel, Standing
from core.orchestrator.views import SystemView
from core.security.access import Action
from core.store import users
from core.store.approvals import absent

router = APIRouter(prefix=API, tags=["projects"])
SeesEach = Annotated[Visitor, Depends(Asks(Action.SEE_PROJECT, each=True))]
SeesProject = Annotated[Visitor, Depends(Asks(Action.SEE_PROJECT))]
Syncs = Annotated[Visitor, Depends(Asks(Action.SYNC_REPOSITORY))]
LinksRepository = Annotated[Visitor, Depends(Asks(Action.LINK_REPOSITORY))]
Answers = Annotated[Visitor, Depends(Asks(Action.ANSWER_APPROVAL, each=True))]
Looks = Annotated[Visitor, Depends(Asks(Action.SEE_SYSTEM, from_here=True))]
status_router = APIRouter(tags=["system"])


class Answer(Body):
    approve: bool
    reason: str = ""


class Linked(Body):
    repository: str


@status_router.get("/status")
async def status(request: Request, visitor: Looks) -> dict[str, Any]:
    """How Orchard stands now. Open to programs on its own machine; else it takes a session or a token."""
    view = await house_of(request).runtime.commands.system()
    plain: dict[str, Any] = to_jsonable_python(_seen_by(visitor, view))
    return plain


@router.get("/projects")
async def projects(request: Request, visitor: SeesEach) -> list[Any]:
    found = await house_of(request).runtime.commands.projects()
    plain: list[Any] = to_jsonable_python([one for one in found if visitor.sees(one.project.name)])
    return plain


@router.get("/projects/{project}")
async def project(request: Request, _: SeesProject, project: str) -> dict[str, Any]:
    plain: dict[str, Any] = to_jsonable_python(await house_of(request).runtime.commands.project(project))
    return plain


@router.get("/projects/{project}/github")
async def repository(request: Request, _: SeesProject, project: str) -> dict[str, Any]:
    """How its repository stands, and its pull requests at work. 404 where it is linked with none."""
    found = await house_of(request).runtime.commands.repositories(project)
    plain: dict[str, Any] = to_jsonable_python(found[0])
    return plain


@router.put("/projects/{project}/github")
async def link_repository(
    request: Request, visitor: LinksRepository, project: str, said: Linked
) -> dict[str, Any]:
    """GitHub is asked first."""
    commands = house_of(request).runtime.commands
    made = await commands.link_repository(project, said.repository, actor=visitor.asker.name)
    plain: dict[str, Any] = to_jsonable_python(made)
    return plain


@router.delete("/projects/{project}/github")
async def unlink_repository(request: Request, visitor: LinksRepository, project: str) -> dict[str, Any]:
    commands = house_of(request).runtime.commands
    return {"unlinked": await commands.unlink_repository(project, actor=visitor.asker.name)}


@router.post("/projects/{project}/github/sync")
async def sync_repository(request: Request, visitor: Syncs, project: str) -> dict[str, Any]:
    """Answers when all of it is taken in."""
    made = await house_of(request).runtime.commands.sync_repository(project, actor=visitor.asker.name)
    plain: dict[str, Any] = to_jsonable_python(made)
    return plain


@router.get("/projects/{project}/github/notes")
async def release_notes(
    request: Request, _: SeesProject, project: str, sprint: int | None = None
) -> dict[str, Any]:
    """Release notes of a sprint, as Markdown; none: of the last one."""
    made = await house_of(request).runtime.commands.release_notes(project, sprint)
    plain: dict[str, Any] = to_jsonable_python(made)
    return plain


@router.get("/approvals")
async def approvals(request: Request, visitor: SeesEach) -> list[Any]:
    """The questions that wait for a person."""
    found = await house_of(request).runtime.commands.approvals()
    plain: list[Any] = to_jsonable_python([one for one in found if visitor.sees(one.project)])
    return plain


@router.post("/approvals/{approval_id}")
async def answer(request: Request, visitor: Answers, approval_id: str, said: Answer) -> dict[str, Any]:
    """The first answer wins; to reject takes a reason."""
    house = house_of(request)
    asked = await house.runtime.commands.approval(approval_id)
    if not visitor.sees(asked.project):  # nor learns that there is one
        raise absent(approval_id)
    await admit(house, visitor, Action.ANSWER_APPROVAL, asked.project)
    answered = await house.runtime.commands.answer_approval(
        approval_id,
        said.approve,
        reason=said.reason,
        actor=visitor.asker.name,
        standing=await _standing(request, visitor, asked.project),
    )
    plain: dict[str, Any] = to_jsonable_python(answered)
    return plain


async def _standing(request: Request, visitor: Visitor, project: str) -> Standing:
    """With their account of Discord, since a question may be for a person of there."""
    asker = visitor.asker
    user_id = asker.user_id or ""

    def look(conn: sqlite3.Connection) -> tuple[str, ...]:
        return users.people_of(conn, user_id)

    accounts = await house_of(request).runtime.store.read(look)
    level = asker.levels.within(project) or AccessLevel.VIEWER
    return Standing(level=level, person=accounts[0] if accounts else "")


def _seen_by(visitor: Visitor, view: SystemView) -> SystemView:
    """Projects that somebody may not see are not named, nor counted."""
    if visitor.asker is LOOKER:  # which may be an agent that shares our loopback: not what others ask for
        view = replace(
            view, pending_approvals=tuple(replace(one, detail="") for one in view.pending_approvals)
        )
    if visitor.asker.levels.everywhere is not None and visitor.asker.projects is None:
        return view
    return replace(
        view,
        projects=tuple(one for one in view.projects if visitor.sees(one.project.name)),
        pending_approvals=tuple(one for one in view.pending_approvals if visitor.sees(one.project)),
        unusable={name: why for name, why in view.unusable.items() if visitor.sees(name)},
        refused_settings="",
        figures=None,
    )
