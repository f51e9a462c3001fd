"""NiceGUI's scripts, styles and fonts: the same for everybody, read once, kept in memory, packed."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.web.dashboard.inner import ask, inner

PREFIX = "/_nicegui/"
_MOST = 400  # more than there are
_PACKED = ("text/", "application/javascript", "application/json", "image/svg+xml")
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")  # their paths hold a version


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    status: int
    kind: bytes
    body: bytes
    packed: bytes | None


class Files:
    """An ASGI application."""

    def __init__(self, opened: Callable[[], Awaitable[ASGIApp]]) -> None:
        self._opened = opened
        self._files: dict[str, _File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        path: str = scope["path"]
        if (file := self._files.get(path)) is None:
            file = await self._read(scope)
            if file.status == 200 and len(self._files) < _MOST:
                self._files[path] = file
        body, headers = file.body, [(b"content-type", file.kind)]
        if file.packed is not None and b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b""):
            body = file.packed
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        headers.append((b"content-length", b"%d" % len(body)))
        if file.status == 200:
            headers.append(_FOR_EVER)
        await send({"type": "http.response.start", "status": file.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _read(self, scope: Scope) -> _File:
        gui, asked = await self._opened(), {**scope, "method": "GET", "headers": [], "query_string": b""}
        if not _is_there(gui, inner(asked)):
            return _File(status=404, kind=b"text/plain; charset=utf-8", body=b"Not found", packed=None)
        answer = await ask(gui, asked)
        kind = dict(answer.headers).get(b"content-type", b"application/octet-stream")
        packed = None
        if kind.decode("latin-1").startswith(_PACKED):
            packed = await asyncio.to_thread(gzip.compress, answer.body, 6)
        return _File(status=answer.status, kind=kind, body=answer.body, packed=packed)


def _is_there(gui: Any, asked: Scope) -> bool:
    """Whether one of NiceGUI's own routes of files has it. For what has none it would make a page that says
    so, keep that for a while, and write a line into the log: whatever a stranger asks for."""
    own = (route for route in gui.routes if getattr(route, "path", "").startswith(PREFIX))
    return any(route.matches(asked)[0] is Match.FULL for route in own)
