"""One's own account: the second factor, the password, sessions and tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from bot.web.cookies import SESSION, set_cookie
from bot.web.login import recovery_codes
from bot.web.page import go, page
from bot.web.problem import problem_of
from bot.web.visitors import Asks, Visitor, client_of, form_of, give_cookie, house_of
from core.errors import InvalidInput, OrchardError
from core.security.access import Action, Scope
from core.security.logins import NotLoggedIn

router = APIRouter(include_in_schema=False)
ACCOUNT = "/account"
OwnLogin = Annotated[Visitor, Depends(Asks(Action.MANAGE_OWN_LOGIN))]
OwnTokens = Annotated[Visitor, Depends(Asks(Action.MANAGE_OWN_TOKENS))]

_SCOPES = (
    (Scope.READ, "projects, stories, questions"),
    (Scope.WORK, "stories, sprints, agents at work"),
    (Scope.DECIDE, "questions, reviews, budgets"),
    (Scope.MANAGE, "projects and their order"),
)


@router.get(ACCOUNT)
async def show(request: Request, visitor: OwnLogin) -> Response:
    return await _account(request, visitor)


@router.post(ACCOUNT + "/password")
async def change_password(request: Request, visitor: OwnLogin) -> Response:
    house, form = house_of(request), await form_of(request)
    try:
        if form.get("new", "") != form.get("again", ""):
            raise InvalidInput("The new password is not the same twice.", hint="Type it again.")
        _tried(request)
        fresh = await house.logins.change_password(visitor.token, form.get("old", ""), form.get("new", ""))
    except NotLoggedIn:
        raise
    except OrchardError as error:
        return await _account(request, visitor, error)
    give_cookie(request, set_cookie(SESSION, fresh, house.site))
    return await _account(request, visitor, note="Your password is changed; all other sessions are over.")


@router.post(ACCOUNT + "/second-factor")
async def change_second_factor(request: Request, visitor: OwnLogin) -> Response:
    house, form = house_of(request), await form_of(request)
    user, code = visitor.own.user.id, form.get("code", "")
    try:
        _tried(request)
        if form.get("do") == "remove" and not _required(request):
            await house.second_factor.remove(user, code)
            return go(ACCOUNT)
        return recovery_codes(visitor, await house.second_factor.renew_recovery_codes(user, code))
    except OrchardError as error:
        return await _account(request, visitor, error)


@router.post(ACCOUNT + "/sessions")
async def end_sessions(request: Request, visitor: OwnLogin) -> Response:
    house, which, own = house_of(request), (await form_of(request)).get("id", ""), visitor.own
    try:
        if which == "others":
            await house.logins.end_all(own.user.username, visitor.asker, but=own.login.id)
        else:
            await house.logins.end(own.user.username, which, visitor.asker)
    except OrchardError as error:
        return await _account(request, visitor, error)
    return go(ACCOUNT)


@router.post(ACCOUNT + "/tokens")
async def make_token(request: Request, visitor: OwnTokens) -> Response:
    house, form = house_of(request), await form_of(request)
    own = visitor.own
    days = form.get("days", "")
    try:
        text, made = await house.tokens.make(
            own.user.username,
            form.get("name", ""),
            [scope for scope in Scope if f"scope-{scope}" in form],
            days=int(days) if days.isascii() and days.isdigit() and len(days) < 6 else 0,
            only=form.get("projects", "").lower().replace(",", " ").split(),
            by=visitor.asker,
        )
    except OrchardError as error:
        return await _account(request, visitor, error)
    return page(
        "shown_once",
        title=f"The token {made.name}",
        text="Keep it where your program finds it. It is not shown again.",
        codes=(),
        shown=text,
        user=own.user.username,
        csrf=visitor.csrf,
    )


@router.post(ACCOUNT + "/tokens/revoke")
async def revoke_token(request: Request, visitor: OwnTokens) -> Response:
    try:
        await house_of(request).tokens.revoke((await form_of(request)).get("id", ""), visitor.asker)
    except OrchardError as error:
        return await _account(request, visitor, error)
    return go(ACCOUNT)


async def _account(
    request: Request, visitor: Visitor, error: OrchardError | None = None, note: str = ""
) -> Response:
    house, own = house_of(request), visitor.own
    user, problem = own.user, None if error is None else problem_of(error)
    return page(
        "account",
        status=200 if problem is None else problem.status,
        problem=problem,
        note=note,
        user=user.username,
        csrf=visitor.csrf,
        email=user.email,
        level="levels in single projects" if user.level is None else user.level.name.lower(),
        second_factor=visitor.asker.second_factor,
        codes_left=await house.second_factor.recovery_codes_left(user.id),
        required=_required(request),
        sessions=await house.logins.of(user.username, visitor.asker),
        session_id=own.login.id,
        tokens=await house.tokens.of(user.username, visitor.asker),
        scopes=_SCOPES,
    )


def _required(request: Request) -> bool:
    return house_of(request).runtime.configuration().settings.global_.security.require_2fa


def _tried(request: Request) -> None:
    house = house_of(request)
    house.tries.call(client_of(request), house.runtime.clock.monotonic())
