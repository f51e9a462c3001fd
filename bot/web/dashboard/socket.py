"""An open page's socket: for the session that opened the page, and nobody else.

What comes in by it is for that page alone: NiceGUI itself would take it for any whose id it names, and would
write into the log what a browser says.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs

from fastapi import WebSocket
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.web.cookies import SESSION, name_of
from bot.web.dashboard.inner import inner
from bot.web.dashboard.page import Viewer
from bot.web.house import House
from core.errors import Unavailable
from core.security.logins import Missing, NotLoggedIn

log = logging.getLogger(__name__)

PATH = "/_nicegui_ws/{rest:path}"
_OF_A_PAGE = ("event", "javascript_response", "ack")
_REFUSED = 1008  # policy violation (RFC 6455, 7.4.1)


class PageSockets:
    """An ASGI application. `viewers`: who opened which page, by its id."""

    def __init__(
        self, house: House, opened: Callable[[], Awaitable[ASGIApp]], viewers: Mapping[str, Viewer]
    ) -> None:
        self._house = house
        self._opened = opened
        self._viewers = viewers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not await self._fits(WebSocket(scope, receive, send)):
                raise NotLoggedIn("This is another's page.", hint="Load it again.")
            gui = await self._opened()
        except (NotLoggedIn, Unavailable) as error:
            await send({"type": "websocket.close", "code": _REFUSED, "reason": str(error)[:100]})
            return
        with suppress(OSError):  # the browser went while it was told something
            await gui(inner(scope), receive, send)

    async def _fits(self, asked: WebSocket) -> bool:
        """A page that is not known, of before a restart, is told so by NiceGUI, and loads itself anew. A
        socket joins the page that its address names, so it names one; and no other socket (`sid`)."""
        token = asked.cookies.get(name_of(SESSION, self._house.site), "")
        session = await self._house.logins.who(token)
        query = parse_qs(asked.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        said = query.get("client_id", [])
        if len(said) != 1 or not said[0] or "sid" in query:
            return False
        viewer = self._viewers.get(said[0])
        mine = viewer is None or viewer.login_id == session.login.id
        return mine and session.missing is Missing.NOTHING


@contextmanager
def own_events(server: Any) -> Iterator[None]:
    """While the block runs, a socket says nothing for another page than its own, to NiceGUI's Socket.IO."""
    handlers: dict[str, Any] = server.handlers["/"]
    before = dict(handlers)

    def bound(take: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
        def hear(sid: str, said: Any) -> None:
            try:
                if said["client_id"] in server.rooms(sid):  # it is in its page's since it shook hands
                    take(sid, said)
            except (KeyError, TypeError, ValueError, RecursionError) as error:
                log.debug("a page said what nobody understands: %r", error)

        return hear

    handlers |= {name: bound(before[name]) for name in _OF_A_PAGE}
    handlers["log"] = lambda sid, said: None
    try:
        yield
    finally:
        handlers |= before
