"""The API of one's own: who I am, my sessions, my tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field

from bot.web.api.route import Body, kept
from bot.web.api.route import router as api_router
from bot.web.visitors import Asks, Visitor, house_of, visitor_of
from core.security.access import Action, Scope
from core.store.api_tokens import ApiToken

router = api_router("own")
OwnLogin = Annotated[Visitor, Depends(Asks(Action.MANAGE_OWN_LOGIN))]
OwnTokens = Annotated[Visitor, Depends(Asks(Action.MANAGE_OWN_TOKENS))]


class Me(BaseModel):
    name: str
    face: str
    level: str | None
    projects: dict[str, str]
    second_factor: bool
    scopes: list[str] | None = Field(description="Of a token.")
    only: list[str] | None = Field(description="The projects that a token is for; null: every one.")
    csrf: str = Field(description="For the header X-CSRF-Token, with a session.")


class SessionSeen(BaseModel):
    id: str
    client: str
    made_at: datetime
    seen_at: datetime
    this: bool


class NewToken(Body):
    name: str
    scopes: list[str]
    days: int = 90
    projects: list[str] = Field(default=[], max_length=200)


class TokenSeen(BaseModel):
    id: str
    name: str
    scopes: list[str]
    projects: list[str]
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None


class TokenMade(TokenSeen):
    token: str = Field(description="Shown this once.")


@router.get("/whoami")
async def whoami(request: Request) -> Me:
    """Who you are to Orchard. Needs a session or a token, no level."""
    visitor = await visitor_of(request)
    asker = visitor.asker
    everywhere = asker.levels.everywhere
    return Me(
        name=asker.name,
        face=asker.face,
        level=None if everywhere is None else everywhere.name.lower(),
        projects={name: level.name.lower() for name, level in asker.levels.projects.items()},
        second_factor=asker.second_factor,
        scopes=None if asker.scopes is None else sorted(asker.scopes),
        only=None if asker.projects is None else sorted(asker.projects),
        csrf=visitor.csrf,
    )


@router.get("/sessions")
async def sessions(request: Request, visitor: OwnLogin) -> list[SessionSeen]:
    own = visitor.own
    found = await house_of(request).logins.of(own.user.username, visitor.asker)
    return [
        SessionSeen(
            id=one.id,
            client=one.client,
            made_at=one.made_at,
            seen_at=one.seen_at,
            this=one.id == own.login.id,
        )
        for one in found
    ]


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(request: Request, visitor: OwnLogin, session_id: str) -> Response:
    """Ends one of your sessions; the id `others`: all but this."""
    logins, own = house_of(request).logins, visitor.own
    if session_id == "others":
        await logins.end_all(own.user.username, visitor.asker, but=own.login.id)
    else:
        await logins.end(own.user.username, session_id, visitor.asker)
    return Response(status_code=204)


@router.get("/tokens")
async def tokens(request: Request, visitor: OwnTokens) -> list[TokenSeen]:
    found = await house_of(request).tokens.of(visitor.own.user.username, visitor.asker)
    return [_seen(one) for one in found]


@router.post("/tokens", status_code=201)
async def make_token(request: Request, visitor: OwnTokens, wanted: NewToken) -> TokenMade:
    text, made = await house_of(request).tokens.make(
        visitor.own.user.username,
        wanted.name,
        # What is no scope is refused with those that are.
        [Scope(one) if one in set(Scope) else one for one in wanted.scopes],  # type: ignore[misc]
        days=wanted.days,
        only=[one.strip().lower() for one in wanted.projects],
        by=visitor.asker,
        also=kept(request, 201, lambda _, made: _made(*made)),
    )
    return _made(text, made)


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(request: Request, visitor: OwnTokens, token_id: str) -> Response:
    await house_of(request).tokens.revoke(token_id, visitor.asker)
    return Response(status_code=204)


def _made(text: str, made: ApiToken) -> TokenMade:
    return TokenMade(token=text, **_seen(made).model_dump())


def _seen(one: ApiToken) -> TokenSeen:
    return TokenSeen(
        id=one.id,
        name=one.name,
        scopes=list(one.scopes),
        projects=list(one.projects),
        made_at=one.made_at,
        expires_at=one.expires_at,
        used_at=one.used_at,
    )
