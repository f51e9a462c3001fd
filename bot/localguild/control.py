"""The people's door over HTTP, and the switches for faults: a small JSON API beside Discord's.

`POST /local/people/<action>` takes the arguments of `Desk.<action>`; `POST /local/faults/<action>`
those of `Switches`. Answers are `{"result": ...}` or `{"error": kind, "message": text}`. It serves
loopback only: another page's script in a browser is kept out by the host and content-type checks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot.localguild.desk import Desk, DidNotRespond
from bot.localguild.faults import Fault
from bot.localguild.model import Json
from bot.localguild.options import CannotDo
from bot.localguild.permissions import Permission
from bot.localguild.world import World

PREFIX = "/local"
_HOSTS = ("127.0.0.1", "localhost")
ERRORS: Mapping[str, type[Exception]] = {
    "cannot_do": CannotDo,
    "did_not_respond": DidNotRespond,
    "timeout": TimeoutError,
}


class Switches:
    """Faults at will. Each method takes and returns JSON."""

    ACTIONS = (
        "plan",
        "clear",
        "drop_gateway",
        "ask_to_reconnect",
        "invalidate_sessions",
        "gateway",
        "bot_permissions",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    def call(self, action: str, arguments: Mapping[str, Any]) -> Any:
        if action not in self.ACTIONS:
            raise CannotDo(f"there is no switch {action!r}")
        try:
            return getattr(self, action)(**arguments)
        except (TypeError, ValueError, KeyError) as error:
            raise CannotDo(f"{action}: {error}") from error

    def plan(self, **fault: Any) -> None:
        """Plan a REST fault: the fields of `faults.Fault`."""
        self._world.faults.plan(Fault.from_json(fault))

    def clear(self) -> None:
        self._world.faults.clear()
        self._world.gateway.faults = type(self._world.gateway.faults)()

    def drop_gateway(self, *, code: int | None = None) -> None:
        self._world.gateway.drop(code)

    def ask_to_reconnect(self) -> None:
        self._world.gateway.ask_to_reconnect()

    def invalidate_sessions(self, *, resumable: bool) -> None:
        self._world.gateway.invalidate_sessions(resumable=resumable)

    def gateway(self, **faults: int | bool) -> None:
        """Set fields of `gateway.GatewayFaults`."""
        for name, value in faults.items():
            if not hasattr(self._world.gateway.faults, name):
                raise ValueError(f"no gateway fault {name!r}")
            setattr(self._world.gateway.faults, name, value)

    def bot_permissions(self, *, permissions: str | int) -> str:
        """Give the bot's own role other rights; returns the old ones, as a decimal string."""
        return str(self._world.set_bot_permissions(Permission(int(permissions))).value)


class Control:
    """HTTP handlers around a desk and the switches."""

    def __init__(self, desk: Desk, switches: Switches) -> None:
        self._desk = desk
        self._switches = switches

    def add_to(self, application: web.Application) -> None:
        application.router.add_post(PREFIX + "/people/{action}", self._people)
        application.router.add_post(PREFIX + "/faults/{action}", self._faults)

    async def _people(self, request: web.Request) -> web.Response:
        try:
            arguments = await _arguments(request)
            return _answer({"result": await self._desk.call(request.match_info["action"], arguments)})
        except tuple(ERRORS.values()) as error:
            return _answer({"error": _kind(error), "message": str(error)}, status=400)

    async def _faults(self, request: web.Request) -> web.Response:
        try:
            arguments = await _arguments(request)
            return _answer({"result": self._switches.call(request.match_info["action"], arguments)})
        except CannotDo as error:
            return _answer({"error": _kind(error), "message": str(error)}, status=400)


def _kind(error: Exception) -> str:
    return next(name for name, kind in ERRORS.items() if isinstance(error, kind))


def _answer(body: Json, *, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


async def _arguments(request: web.Request) -> Json:
    host = request.host.rsplit(":", 1)[0]
    if host not in _HOSTS or request.content_type != "application/json":
        raise web.HTTPForbidden(text="only JSON, only from this machine")
    try:
        arguments = json.loads(await request.read() or b"{}")
    except ValueError:
        raise CannotDo("the body is no JSON") from None
    if not isinstance(arguments, dict):
        raise CannotDo("the body is no JSON object")
    return arguments
