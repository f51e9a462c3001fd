"""Repositories, people, permissions, hooks and limits over HTTP."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.github_server import shapes
from tests.github_server.asking import Asking
from tests.github_server.repository import Repository
from tests.github_server.routing import Routes
from tests.github_server.things import Hook
from tests.github_server.world import Refusal, invalid

routes = Routes()


@routes.get("/user")
def get_user(ask: Asking) -> web.Response:
    if ask.account is None:
        raise Refusal(401, "Requires authentication")
    if ask.account.kind == "Bot":  # an installation is nobody
        raise Refusal(403, "Resource not accessible by integration")
    return web.json_response(shapes.of_account(ask.world, ask.account))


@routes.get("/users/{login}")
def get_account(ask: Asking, login: str) -> web.Response:
    account = ask.world.accounts.get(login.lower())
    if account is None:
        raise Refusal(404, "Not Found")
    return web.json_response(shapes.of_account(ask.world, account))


@routes.get("/rate_limit")
def get_limits(ask: Asking) -> web.Response:
    rate = ask.token.rate if ask.token else ask.world.rate("", 60)
    told = {
        "limit": rate.limit,
        "used": rate.used,
        "remaining": max(rate.limit - rate.used, 0),
        "reset": rate.reset,
    }
    return web.json_response({"resources": {"core": told, "search": told, "graphql": told}, "rate": told})


@routes.get("/repos/{owner}/{repo}")
def get_repository(ask: Asking, repo: Repository) -> web.Response:
    return web.json_response(shapes.of_repository(ask.world, repo, ask.level(repo)))


@routes.get("/repos/{owner}/{repo}/collaborators/{login}/permission")
def get_permission(ask: Asking, repo: Repository, login: str) -> web.Response:
    ask.needs(repo, "write")
    account = ask.world.accounts.get(login.lower())
    if account is None:
        raise Refusal(404, f"{login} is not a user")
    level = repo.level_of(account)
    rough = {"maintain": "write", "triage": "read"}.get(level, level)
    user = (shapes.of_account(ask.world, account) or {}) | {
        "permissions": shapes.of_permissions(level),
        "role_name": level,
    }
    return web.json_response({"permission": rough, "role_name": level, "user": user})


# Hooks


@routes.get("/repos/{owner}/{repo}/hooks")
def list_hooks(ask: Asking, repo: Repository) -> web.Response:
    ask.needs(repo, "admin")
    return ask.page(list(repo.hooks.values()), lambda hook: shapes.of_hook(repo, hook))


@routes.post("/repos/{owner}/{repo}/hooks")
def create_hook(ask: Asking, repo: Repository) -> web.Response:
    ask.needs(repo, "admin")
    config = _config(ask)
    if any(hook.url == config["url"] for hook in repo.hooks.values()):
        raise Refusal(
            422,
            "Validation Failed",
            errors=[
                {"resource": "Hook", "code": "custom", "message": "Hook already exists on this repository"}
            ],
        )
    hook = repo.add_hook(
        config["url"],
        secret=str(config.get("secret") or ""),
        events=tuple(ask.body.get("events") or ("push",)),
        content_type=config.get("content_type", "form"),
    )
    return web.json_response(shapes.of_hook(repo, hook), status=201)


def _config(ask: Asking) -> dict[str, Any]:
    config = ask.body.get("config") or {}
    if not str(config.get("url", "")).startswith(("http://", "https://")):
        raise invalid("Hook", "url", "missing_field")
    return config


def _hook(repo: Repository, number: int) -> Hook:
    if number not in repo.hooks:
        raise Refusal(404, "Not Found")
    return repo.hooks[number]


@routes.get("/repos/{owner}/{repo}/hooks/{number:int}")
def get_hook(ask: Asking, repo: Repository, number: int) -> web.Response:
    ask.needs(repo, "admin")
    return web.json_response(shapes.of_hook(repo, _hook(repo, number)))


@routes.patch("/repos/{owner}/{repo}/hooks/{number:int}")
def edit_hook(ask: Asking, repo: Repository, number: int) -> web.Response:
    ask.needs(repo, "admin")
    hook = _hook(repo, number)
    if "config" in ask.body:
        config = _config(ask)
        hook.url, hook.secret = config["url"], str(config.get("secret") or "")
        hook.content_type = config.get("content_type", hook.content_type)
    hook.events = tuple(ask.body.get("events") or hook.events)
    hook.active = bool(ask.body.get("active", hook.active))
    return web.json_response(shapes.of_hook(repo, hook))


@routes.post("/repos/{owner}/{repo}/hooks/{number:int}/pings")
def ping_hook(ask: Asking, repo: Repository, number: int) -> web.Response:
    ask.needs(repo, "admin")
    repo.ping(_hook(repo, number))
    return web.Response(status=204)


@routes.delete("/repos/{owner}/{repo}/hooks/{number:int}")
def delete_hook(ask: Asking, repo: Repository, number: int) -> web.Response:
    ask.needs(repo, "admin")
    del repo.hooks[_hook(repo, number).id]
    return web.Response(status=204)
