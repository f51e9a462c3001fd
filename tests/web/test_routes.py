"""Each route says which action it is; those that do not are a short list with reasons."""

from __future__ import annotations

from fastapi.routing import APIRoute

from bot.web.application import WITHOUT_ACTION
from bot.web.feed.door import FeedDoor
from bot.web.visitors import Asks
from core.domain.access import AccessLevel
from core.security.access import RULES, Seat


def _routes(app):
    """Also those of routers that were joined to it."""
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        found = (route,) if inner is None else inner.routes
        # The feed's sockets ask for themselves, what each may see: tests/web/test_feed.py.
        yield from (one for one in found if not isinstance(getattr(one, "app", None), FeedDoor))


def _asks(dependant):
    found = [dependant.call] if isinstance(dependant.call, Asks) else []
    for inner in dependant.dependencies:
        found += _asks(inner)
    return found


def test_every_route_asks_for_an_action_or_is_listed_with_its_reason(house):
    routes = list(_routes(house.app.web.application))
    assert len(routes) > 30
    silent = {route.path for route in routes if not isinstance(route, APIRoute) or not _asks(route.dependant)}
    assert silent == set(WITHOUT_ACTION)


def test_an_action_in_a_project_has_the_project_in_its_path_or_looks_at_each(house):
    for route in _routes(house.app.web.application):
        for asks in _asks(route.dependant) if isinstance(route, APIRoute) else ():
            if RULES[asks.action].in_project and not asks._each:
                assert "{project}" in route.path, route.path


def test_without_a_login_nothing_but_the_listed_is_answered(house):
    for route in _routes(house.app.web.application):
        if route.path in WITHOUT_ACTION and not route.path.startswith("/api/"):
            continue
        for method in route.methods:
            answer = house.browser().ask(
                method, route.path.replace("{", "").replace("}", ""), headers={"X-Forwarded-For": "192.0.2.7"}
            )
            assert answer.status in (401, 303), (method, route.path, answer.text)
            if answer.status == 303:
                assert answer.headers["Location"] == "/login"


def test_what_is_an_operators_takes_a_second_factor_and_no_token_will_do(house):
    seen = 0
    owner, token = (
        house.logged_in(AccessLevel.OWNER),
        house.token(AccessLevel.OWNER, "read", "work", "decide", "manage"),
    )
    for route in _routes(house.app.web.application):
        for asks in _asks(route.dependant) if isinstance(route, APIRoute) else ():
            if RULES[asks.action].seat is not Seat.OPERATOR:
                continue
            seen += 1
            path = (
                route.path.removeprefix("/api").replace("{project}", "shop").replace("{", "").replace("}", "")
            )
            for method in route.methods:
                refused = owner.call(method, path, {})
                assert refused.status == 403, (method, path, refused.text)
                assert "second factor" in refused.json["why"] + refused.json["message"]
                assert token.call(method, path, {}).status == 403
    assert seen >= 10
