"""The application: every route, and what becomes of errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from bot.web import account, entering, guild_files, login, metrics, webhooks
from bot.web.api import ROUTERS
from bot.web.api.description import Description
from bot.web.api.route import API
from bot.web.dashboard import door as dashboard
from bot.web.dashboard.door import Door
from bot.web.feed import door as feed
from bot.web.feed.hub import Hub
from bot.web.guard import STATIC
from bot.web.house import House
from bot.web.page import go, problem_page, static_files, wants_page
from bot.web.problem import Problem, fault, problem_of
from bot.web.visitors import Unfinished
from core.errors import OrchardError
from core.ids import new_id
from core.security.logins import NotLoggedIn

log = logging.getLogger(__name__)

# Routes that ask for no action, each with its reason; a test finds every other one that asks nothing.
WITHOUT_ACTION = {
    "/health": "says that the server answers, nothing else",
    "/login": "where people come from outside",
    "/login/code": "half of logging in",
    "/login/enrol": "likewise, where a second factor is required",
    "/login/enrol/confirm": "likewise",
    entering.ENTER: "shows itself by a one-time link",
    "/logout": "whoever has a session may end it",
    STATIC + "orchard.css": "the login page's",
    STATIC + "orchard.svg": "likewise",
    STATIC + "dashboard.css": "the dashboard's, the same for everybody",
    STATIC + "dashboard.js": "likewise",
    STATIC + "guild.css": "likewise",
    webhooks.PATH: "GitHub's, which shows itself by its signature",
    **dashboard.WITHOUT_ACTION,
    **metrics.WITHOUT_ACTION,
    API + "/whoami": "of whoever shows a session or a token, whatever their level",
}


def build_application(house: House) -> FastAPI:
    """To be served behind a Guard alone."""
    app = FastAPI(
        title="Orchard",
        version="1",
        description="Authorization: Bearer TOKEN. Errors say status, slug, message, why and hint.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.house = house
    app.router.routes.append(webhooks.ROUTE)  # the first to be looked at: these come in crowds
    runtime = house.runtime
    app.state.feed = Hub(runtime.store, runtime.bus, runtime.monitoring.readings, runtime.clock)
    app.router.routes.extend(feed.routes(app.state.feed))
    for each in ROUTERS:
        app.include_router(each)
    app.include_router(metrics.router)
    app.include_router(login.router)
    app.include_router(account.router)
    app.include_router(entering.router)
    app.include_router(guild_files.router)
    app.state.door = Door(house)
    app.include_router(app.state.door.router())
    app.include_router(Description(app).router())
    for name, (body, kind) in static_files().items():
        app.add_api_route(STATIC + name, _file(body, kind), include_in_schema=False, methods=["GET", "HEAD"])
    app.add_api_route("/health", _health, include_in_schema=False)
    app.add_exception_handler(OrchardError, _orchard_error)
    app.add_exception_handler(RequestValidationError, _misfit)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _fault)
    return app


def _file(body: bytes, kind: str) -> Callable[[], Response]:
    def answer() -> Response:
        return Response(body, media_type=kind, headers={"Cache-Control": "public, max-age=3600"})

    return answer


async def _health() -> dict[str, bool]:
    return {"ok": True}


def _said(request: Request, problem: Problem) -> Response:
    if wants_page(request):
        return problem_page(problem)
    return Response(
        problem.body,
        status_code=problem.status,
        media_type="application/json",
        headers=dict(problem.headers),
    )


async def _orchard_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OrchardError)
    if isinstance(error, NotLoggedIn) and wants_page(request):
        return go(login.next_page(error.missing) if isinstance(error, Unfinished) else "/login")
    return _said(request, problem_of(error))


async def _misfit(request: Request, error: Exception) -> Response:
    """Which fields, and what is wrong with them; what was sent, which may be a password, is not repeated."""
    assert isinstance(error, RequestValidationError)
    wrong = [f"{_place(one)}: {one['msg']}" for one in error.errors()[:5]]
    problem = Problem(
        status=400,
        slug="invalid_input",
        message="The request does not fit.",
        why="; ".join(wrong)[:500],
        hint=f"{API}/openapi.json describes it.",
    )
    return _said(request, problem)


def _place(wrong: Mapping[str, Any]) -> str:
    """The field; of a body that is no JSON there is none, only a place in it."""
    if wrong["type"] == "json_invalid":
        return f"body, from character {wrong['loc'][-1]} on"
    return ".".join(map(str, wrong["loc"][1:])) or "body"


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: ("not_found", "There is nothing here."), 405: ("not_allowed", "This is not possible here.")}
    slug, message = words.get(error.status_code, ("bad_request", "The request cannot be answered."))
    problem = Problem(
        status=error.status_code,
        slug=slug,
        message=message,
        hint=f"{API}/openapi.json says what there is.",
        headers=error.headers or {},
    )
    return _said(request, problem)


async def _fault(request: Request, error: Exception) -> Response:
    number = new_id("fault")
    log.error("%s: %r failed", number, request.url.path[:200], exc_info=error)
    return _said(request, fault(number))
