"""Logging in: the password, the second factor, setting one up, and out again."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.cookies import FORM, SESSION, clear_cookie, set_cookie
from bot.web.page import go, page, picture_of
from bot.web.problem import Problem, problem_of
from bot.web.visitors import (
    Visitor,
    check_form,
    client_of,
    cookie_of,
    form_of,
    give_cookie,
    house_of,
    session_of,
)
from core.errors import NotAllowed, OrchardError
from core.security.logins import Missing, NotLoggedIn, Opened
from core.store import users

router = APIRouter(include_in_schema=False)
DASHBOARD = "/"


@router.get("/login")
async def show_login(request: Request) -> Response:
    try:
        visitor = await session_of(request)
    except NotLoggedIn:
        return await _login_page(request)
    return go(next_page(visitor.own.missing))


@router.post("/login")
async def log_in(request: Request) -> Response:
    house, client = house_of(request), client_of(request)
    form = await form_of(request)
    try:
        check_form(house, _about(cookie_of(request, FORM)), form.get("csrf", ""))
        house.tries.call(client, house.runtime.clock.monotonic())
        opened = await house.logins.log_in(form.get("name", ""), form.get("password", ""), client)
    except OrchardError as error:
        return await _login_page(request, error)
    if old := cookie_of(request):  # a session that somebody planted, or of before, is not gone on with
        await house.logins.log_out(old)
    give_cookie(request, clear_cookie(FORM, house.site))
    return _opened(request, opened)


@router.get("/login/code")
async def show_code(request: Request) -> Response:
    visitor = await session_of(request)
    if visitor.own.missing is not Missing.SECOND_FACTOR:
        return go(next_page(visitor.own.missing))
    return _page("code", visitor)


@router.post("/login/code")
async def check_code(request: Request) -> Response:
    house, visitor = house_of(request), await session_of(request)
    form = await _own_form(request, visitor)
    try:
        house.tries.call(client_of(request), house.runtime.clock.monotonic())
        opened = await house.logins.prove(visitor.token, form.get("code", ""))
    except NotLoggedIn:
        raise
    except OrchardError as error:
        return _page("code", visitor, error)
    return _opened(request, opened)


@router.get("/login/enrol")
async def show_enrolment(request: Request) -> Response:
    visitor = await session_of(request)
    if visitor.own.missing is Missing.SECOND_FACTOR:
        return go("/login/code")
    return _enrolment(visitor)


@router.post("/login/enrol")
async def begin_enrolment(request: Request) -> Response:
    house, visitor = house_of(request), await session_of(request)
    await _own_form(request, visitor)
    try:
        begun = await house.second_factor.begin(visitor.own.user.id)
    except OrchardError as error:
        return _enrolment(visitor, error)
    return page(
        "enrol",
        required=visitor.own.missing is Missing.ENROLMENT,
        enrolment=begun,
        begun=True,
        picture=picture_of(begun.address),
        user=visitor.own.user.username,
        csrf=visitor.csrf,
    )


@router.post("/login/enrol/confirm")
async def confirm_enrolment(request: Request) -> Response:
    house, visitor = house_of(request), await session_of(request)
    form = await _own_form(request, visitor)
    try:
        house.tries.call(client_of(request), house.runtime.clock.monotonic())
        opened = await house.logins.confirm(visitor.token, form.get("code", ""))
    except NotLoggedIn:
        raise
    except OrchardError as error:
        return _enrolment(visitor, error, begun=True)
    give_cookie(request, set_cookie(SESSION, opened.token, house.site))
    return recovery_codes(visitor, opened.recovery_codes)


@router.post("/logout")
async def log_out(request: Request) -> Response:
    house = house_of(request)
    try:
        visitor = await session_of(request)
        await _own_form(request, visitor)
        await house.logins.log_out(visitor.token)
    except NotLoggedIn:
        pass
    give_cookie(request, clear_cookie(SESSION, house.site))
    return go("/login")


def recovery_codes(visitor: Visitor, codes: tuple[str, ...]) -> Response:
    return page(
        "shown_once",
        title="Your recovery codes",
        text="Each is good once, in place of a code of your authenticator. They are not shown again.",
        codes=codes,
        shown="",
        user=visitor.own.user.username,
        csrf=visitor.csrf,
    )


async def _login_page(request: Request, error: OrchardError | None = None) -> Response:
    house = house_of(request)
    nonce = secrets.token_urlsafe(32)
    give_cookie(request, set_cookie(FORM, nonce, house.site))
    problem = None if error is None else problem_of(error)
    return page(
        "login",
        status=200 if problem is None else problem.status,
        headers=None if problem is None else _without_challenge(problem),
        problem=problem,
        csrf=house.forms.token(_about(nonce)),
        first=not await house.runtime.store.read(users.owners),
    )


def _without_challenge(problem: Problem) -> dict[str, str]:
    """Its headers; a browser would answer a challenge with a window of its own."""
    return {name: value for name, value in problem.headers.items() if name != "WWW-Authenticate"}


def _page(name: str, visitor: Visitor, error: OrchardError | None = None) -> Response:
    problem = None if error is None else problem_of(error)
    status = 200 if problem is None else problem.status
    return page(name, status=status, problem=problem, user=visitor.own.user.username, csrf=visitor.csrf)


def _enrolment(visitor: Visitor, error: OrchardError | None = None, *, begun: bool = False) -> Response:
    problem = None if error is None else problem_of(error)
    return page(
        "enrol",
        status=200 if problem is None else problem.status,
        problem=problem,
        required=visitor.own.missing is Missing.ENROLMENT,
        enrolment=None,
        begun=begun,
        picture="",
        user=visitor.own.user.username,
        csrf=visitor.csrf,
    )


async def _own_form(request: Request, visitor: Visitor) -> dict[str, str]:
    form = await form_of(request)
    check_form(house_of(request), visitor.own.login.id, form.get("csrf", ""))
    return form


def _opened(request: Request, opened: Opened) -> Response:
    give_cookie(request, set_cookie(SESSION, opened.token, house_of(request).site))
    return go(next_page(opened.missing))


def next_page(missing: Missing) -> str:
    """Where somebody goes on whose password was right."""
    return {Missing.SECOND_FACTOR: "/login/code", Missing.ENROLMENT: "/login/enrol"}.get(missing, DASHBOARD)


def _about(nonce: str) -> str:
    if not nonce:
        raise NotAllowed("This form is too old.", why="Its cookie is gone.", hint="Load the page again.")
    return f"login:{nonce}"
