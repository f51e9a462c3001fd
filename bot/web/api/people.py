"""The API of people: users, their levels, their rights in projects. Of operators, with a second factor."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, Field

from bot.web.api.paging import LINK, Paged
from bot.web.api.route import Body, kept
from bot.web.api.route import router as api_router
from bot.web.visitors import Asks, Visitor, house_of
from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotFound
from core.security.access import Action
from core.store.users import User

router = api_router("people")
SeesUsers = Annotated[Visitor, Depends(Asks(Action.SEE_USERS))]
CreatesUser = Annotated[Visitor, Depends(Asks(Action.CREATE_USER))]
SetsLevel = Annotated[Visitor, Depends(Asks(Action.SET_LEVEL))]
DisablesUser = Annotated[Visitor, Depends(Asks(Action.DISABLE_USER))]
Grants = Annotated[Visitor, Depends(Asks(Action.GRANT_PROJECT_ACCESS))]


class UserSeen(BaseModel):
    username: str
    email: str
    level: str | None = Field(description="Everywhere; null: only where it is granted.")
    projects: dict[str, str]
    disabled: bool


class NewUser(Body):
    username: str
    email: str
    password: str
    level: str | None = None


class NewLevel(Body):
    level: str | None = Field(description="viewer, contributor, maintainer, admin or owner; null: none.")


@router.get("/users", description=f"By name. {LINK}")
async def users(request: Request, visitor: SeesUsers, page: Paged) -> list[UserSeen]:
    found = await house_of(request).users.every(visitor.asker)
    return page.cut(
        (_seen(one) for one in sorted(found, key=lambda one: one.username)), lambda one: one.username
    )


@router.get("/users/{username}")
async def user(request: Request, visitor: SeesUsers, username: str) -> UserSeen:
    found = await house_of(request).users.every(visitor.asker)
    wanted = username.strip().lower()
    for one in found:
        if one.username == wanted:
            return _seen(one)
    raise NotFound(f"There is no user '{username[:80]}'.", hint="GET /api/users lists them.")


@router.post("/users", status_code=201)
async def create_user(request: Request, visitor: CreatesUser, wanted: NewUser) -> UserSeen:
    made = await house_of(request).users.create_user(
        wanted.username,
        wanted.email,
        wanted.password,
        _level(wanted.level),
        visitor.asker,
        also=kept(request, 201, lambda _, made: _seen(made)),
    )
    return _seen(made)


@router.put("/users/{username}/level")
async def set_level(request: Request, visitor: SetsLevel, username: str, wanted: NewLevel) -> UserSeen:
    """Their level everywhere."""
    return _seen(await house_of(request).users.set_level(username, _level(wanted.level), visitor.asker))


@router.post("/users/{username}/disable")
async def disable(request: Request, visitor: DisablesUser, username: str) -> UserSeen:
    """Their sessions end, their tokens are revoked."""
    return _seen(await house_of(request).users.disable(username, visitor.asker))


@router.post("/users/{username}/enable")
async def enable(request: Request, visitor: DisablesUser, username: str) -> UserSeen:
    return _seen(await house_of(request).users.enable(username, visitor.asker))


@router.put("/projects/{project}/grants/{username}")
async def grant(request: Request, visitor: Grants, project: str, username: str, wanted: NewLevel) -> UserSeen:
    """Their level in the project, beside the one everywhere; null takes it away."""
    found = await house_of(request).users.grant_project_access(
        username, project.strip().lower(), _level(wanted.level), visitor.asker
    )
    return _seen(found)


def _level(text: str | None) -> AccessLevel | None:
    if text is None:
        return None
    try:
        return AccessLevel[text.strip().upper()]
    except KeyError:
        names = ", ".join(level.name.lower() for level in AccessLevel)
        raise InvalidInput("There is no such level.", hint=f"Take one of {names}, or null.") from None


def _seen(user: User) -> UserSeen:
    return UserSeen(
        username=user.username,
        email=user.email,
        level=None if user.level is None else user.level.name.lower(),
        projects={project: level.name.lower() for project, level in user.projects.items()},
        disabled=user.disabled_at is not None,
    )
