"""The API of projects: registered, listed, started, stopped, archived; only what one may see."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field

from bot.web.api.paging import LINK, Paged
from bot.web.api.route import IF_MATCH, Body, changing, tag, unchanged
from bot.web.api.route import router as api_router
from bot.web.once import once_of
from bot.web.visitors import Asks, Visitor, admit, house_of
from core.domain.lifecycles import ProjectStatus, WorkflowCommand, WorkflowState
from core.domain.machine import allowed_commands
from core.domain.project import Project
from core.errors import InvalidInput, InvalidTransition, Unavailable
from core.orchestrator.views import ArchiveView, ProjectView, Registration
from core.security.access import Action
from core.store import projects as rows

router = api_router("projects")
SeesEach = Annotated[Visitor, Depends(Asks(Action.SEE_PROJECT, each=True))]
SeesProject = Annotated[Visitor, Depends(Asks(Action.SEE_PROJECT))]
Registers = Annotated[Visitor, Depends(Asks(Action.REGISTER_PROJECT))]
RunsProject = Annotated[Visitor, Depends(Asks(Action.RUN_PROJECT))]
Archives = Annotated[Visitor, Depends(Asks(Action.ARCHIVE_PROJECT))]


class CannotStart(InvalidTransition):
    slug = "cannot_start"


class NewProject(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    path: Annotated[
        str, Field(max_length=4096, description="Of its checkout on Orchard's machine, absolute.")
    ]


class StatusSeen(BaseModel):
    project: str
    status: ProjectStatus
    workflow: WorkflowState
    allowed: list[WorkflowCommand] = Field(description="What may be asked of its sprint now.")


class NewStatus(Body):
    status: Annotated[ProjectStatus, Field(strict=False, description="Not initializing.")]


@router.get("/projects", description=f"By name. {LINK}")
async def projects(request: Request, visitor: SeesEach, page: Paged) -> list[ProjectView]:
    found = await house_of(request).runtime.commands.projects()
    return page.cut((one for one in found if visitor.sees(one.project.name)), lambda one: one.project.name)


@router.post("/projects", status_code=201)
async def register(
    request: Request, response: Response, visitor: Registers, wanted: NewProject
) -> Registration:
    """Registers a git repository of Orchard's machine. It begins to work when it is started."""
    path = Path(wanted.path)
    if not path.is_absolute() or not wanted.path.isprintable():
        raise InvalidInput("This is no absolute path.", hint="Such as /home/ann/shop, on Orchard's machine.")
    made = await _left_behind(request, wanted.name, path)
    if made is None:
        commands = house_of(request).runtime.commands
        made = await commands.register_project(wanted.name, path, actor=visitor.asker.name)
    response.headers["location"] = f"/api/projects/{made.project.name}"
    return made


@router.get("/projects/{project}")
async def project(request: Request, _: SeesProject, project: str) -> ProjectView:
    return await house_of(request).runtime.commands.project(project)


@router.delete("/projects/{project}", openapi_extra=IF_MATCH)
async def archive(request: Request, visitor: Archives, project: str) -> ArchiveView:
    """Archives it. What Orchard knows of it is written to a file on its machine first, which the answer
    names; its checkout stays as it is. `PUT` of its status, `paused`, opens it again."""
    commands = house_of(request).runtime.commands

    def now(conn: sqlite3.Connection) -> ProjectView:
        return commands.project_in(conn, project)

    return await changing(request, now=now).archive_project(project, actor=visitor.asker.name)


@router.get("/projects/{project}/status")
async def status(request: Request, _: SeesProject, project: str) -> StatusSeen:
    return await house_of(request).runtime.store.read(lambda conn: _status(conn, project))


@router.put("/projects/{project}/status", openapi_extra=IF_MATCH)
async def set_status(
    request: Request, response: Response, visitor: RunsProject, project: str, wanted: NewStatus
) -> StatusSeen:
    """active: it works. paused: its agents are stopped, what they made is kept; one that is archived is open
    again, with its history. maintenance: likewise, while something outside is mended. archived: as DELETE of
    the project does."""
    house, actor = house_of(request), visitor.asker.name

    def now(conn: sqlite3.Connection) -> StatusSeen:
        return _status(conn, project)

    before, commands = await house.runtime.store.read(now), changing(request, now=now)
    match wanted.status:
        case ProjectStatus.INITIALIZING:
            raise InvalidInput("A project is never initializing again.", hint="active, paused, ...")
        case before.status:
            check = unchanged(request, now) or (lambda tx: None)
            await house.runtime.store.write(check)
        case ProjectStatus.ACTIVE:
            try:
                await commands.start_project(project, actor=actor)
            except Unavailable as error:  # no fault of the server's: an agent or an isolation is missing
                raise CannotStart(error.message, why=error.why, hint=error.hint) from error
        case ProjectStatus.PAUSED if before.status is ProjectStatus.ARCHIVED:
            await admit(house, visitor, Action.ARCHIVE_PROJECT, before.project)
            await commands.reopen_project(project, actor=actor)
        case ProjectStatus.PAUSED:
            await commands.stop_project(project, actor=actor)
        case ProjectStatus.MAINTENANCE:
            await commands.maintain_project(project, actor=actor)
        case ProjectStatus.ARCHIVED:
            await admit(house, visitor, Action.ARCHIVE_PROJECT, before.project)
            await commands.archive_project(project, actor=actor)
    made = await house.runtime.store.read(now)
    response.headers["etag"] = tag(made)
    return made


def _status(conn: sqlite3.Connection, name: str) -> StatusSeen:
    found = rows.get(conn, name)
    return StatusSeen(
        project=found.name,
        status=found.status,
        workflow=found.workflow,
        allowed=list(allowed_commands(found.workflow)),
    )


async def _left_behind(request: Request, name: str, path: Path) -> Registration | None:
    """What the same request registered before a crash kept its answer."""
    once = once_of(request)
    if once is None or not once.left:
        return None
    found: Project | None = await house_of(request).runtime.store.read(lambda conn: rows.find(conn, name))
    if found is None or found.path != path.resolve():
        return None
    return Registration(project=found)
