"""The API of a project's repository at GitHub."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field

from bot.web.api.route import Body
from bot.web.api.route import router as api_router
from bot.web.visitors import Asks, Visitor, house_of
from core.orchestrator.github_views import GithubView, NotesView, SyncView
from core.security.access import Action

router = api_router("github")
SeesProject = Annotated[Visitor, Depends(Asks(Action.SEE_PROJECT))]
Syncs = Annotated[Visitor, Depends(Asks(Action.SYNC_REPOSITORY))]
LinksRepository = Annotated[Visitor, Depends(Asks(Action.LINK_REPOSITORY))]


class Linked(Body):
    repository: Annotated[str, Field(max_length=500, description="owner/name, or its address.")]


class Unlinked(BaseModel):
    unlinked: str = Field(description="The repository.")


@router.get("/projects/{project}/github")
async def repository(request: Request, _: SeesProject, project: str) -> GithubView:
    """How its repository stands, and its pull requests at work. 404 where it is linked with none."""
    return (await house_of(request).runtime.commands.repositories(project))[0]


@router.put("/projects/{project}/github")
async def link_repository(
    request: Request, visitor: LinksRepository, project: str, said: Linked
) -> GithubView:
    """GitHub is asked first."""
    commands = house_of(request).runtime.commands
    return await commands.link_repository(project, said.repository, actor=visitor.asker.name)


@router.delete("/projects/{project}/github")
async def unlink_repository(request: Request, visitor: LinksRepository, project: str) -> Unlinked:
    commands = house_of(request).runtime.commands
    return Unlinked(unlinked=await commands.unlink_repository(project, actor=visitor.asker.name))


@router.post("/projects/{project}/github/sync")
async def sync_repository(request: Request, visitor: Syncs, project: str) -> SyncView:
    """Answers when all of it is taken in."""
    return await house_of(request).runtime.commands.sync_repository(project, actor=visitor.asker.name)


@router.get("/projects/{project}/github/notes")
async def release_notes(
    request: Request,
    _: SeesProject,
    project: str,
    sprint: Annotated[int | None, Query(description="Its number; none: the last one.")] = None,
) -> NotesView:
    """Release notes of a sprint, as Markdown."""
    return await house_of(request).runtime.commands.release_notes(project, sprint)
