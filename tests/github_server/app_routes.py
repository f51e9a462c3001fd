"""GitHub Apps over HTTP: the app itself, its installations, and their tokens."""

from __future__ import annotations

import secrets
from datetime import timedelta

from aiohttp import web

from tests.github_server import app_shapes
from tests.github_server.asking import Asking
from tests.github_server.repository import Repository
from tests.github_server.routing import Routes
from tests.github_server.world import Refusal, Token, stamp

routes = Routes()


@routes.get("/app")
def get_app(ask: Asking) -> web.Response:
    return web.json_response(app_shapes.of_app(ask.world, ask.needs_app()))


@routes.get("/app/installations")
def list_installations(ask: Asking) -> web.Response:
    app = ask.needs_app()
    return ask.page(
        list(app.installations), lambda number: app_shapes.of_installation(ask.world, app, number)
    )


@routes.get("/app/installations/{number:int}")
def get_installation(ask: Asking, number: int) -> web.Response:
    app = ask.needs_app()
    if number not in app.installations:
        raise Refusal(404, "Not Found")
    return web.json_response(app_shapes.of_installation(ask.world, app, number))


@routes.get("/repos/{owner}/{repo}/installation")
def get_repository_installation(ask: Asking, repo: Repository) -> web.Response:
    app = ask.needs_app()
    for number, owner in app.installations.items():
        if owner.lower() == repo.owner.login.lower():
            return web.json_response(app_shapes.of_installation(ask.world, app, number))
    raise Refusal(404, "Not Found")


@routes.post("/app/installations/{number:int}/access_tokens")
def create_installation_token(ask: Asking, number: int) -> web.Response:
    app, world = ask.needs_app(), ask.world
    if number not in app.installations:
        raise Refusal(404, "Not Found")
    owner = app.installations[number].lower()
    reached = [each for each in world.repositories.values() if each.owner.login.lower() == owner]
    for repository in reached:
        repository.permissions.setdefault(app.account.login.lower(), "write")
    token = Token(
        text=f"ghs_{secrets.token_hex(18)}",
        account=app.account,
        rate=world.rate(f"installation {number}"),
        scopes=None,
        repository_ids=frozenset(each.id for each in reached),
        expires=world.now() + timedelta(seconds=app.token_seconds),
    )
    world.tokens[token.text] = token
    told = {
        "token": token.text,
        "expires_at": stamp(token.expires),
        "permissions": {"issues": "write", "contents": "write", "pull_requests": "write", "checks": "read"},
        "repository_selection": "all",
    }
    return web.json_response(told, status=201)
