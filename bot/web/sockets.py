"""A WebSocket's connection: uvicorn's own, which lets go of whoever takes nothing any more.

uvicorn closes such a connection by waiting until all that was written is taken, which may be never; and it
answers pings into a buffer without a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Any, Protocol, cast

from starlette.types import Send
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from bot.web.problem import Problem

_GRACE_SECONDS = 5.0  # for the last frames, once the application has ended
_SEND_BUFFER = 128 * 1024  # bytes that the kernel holds for one that reads slowly
_LINE = "orchard.line"

log = logging.getLogger(__name__)
# Strangers fill no log: uvicorn tells of each socket that comes, and with a trace of a text that is no UTF-8.
log.addFilter(lambda record: record.levelno > logging.INFO and "UTF-8" not in str(record.msg))


class Socket(WebSocketsSansIOProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.logger = log
        line: socket.socket | None = transport.get_extra_info("socket")
        if line is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    async def run_asgi(self) -> None:
        cast(dict[str, Any], self.scope["extensions"])[_LINE] = {"line": self}
        await super().run_asgi()
        if not self.disconnected:
            self.loop.call_later(_GRACE_SECONDS, self.abort)

    async def send(self, message: ASGISendEvent) -> None:
        await self.writable.wait()
        if self.close_sent:  # it was closed for what they sent
            raise ClientDisconnected
        await super().send(message)
        if self.close_sent:  # refused with an answer, which uvicorn takes for a handshake that was forgotten
            self.handshake_complete = True

    @property
    def ready(self) -> bool:
        return self.writable.is_set() and not self.close_sent and not self.disconnected

    def put(self, frame: bytes) -> None:
        self.transport.write(frame)

    async def write(self, frame: bytes) -> None:
        await self.writable.wait()
        if not self.ready:
            raise ClientDisconnected
        self.transport.write(frame)

    def abort(self) -> None:
        if not self.disconnected:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.abort()

    def pause_writing(self) -> None:
        """Nothing more is read from one that takes no answers."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()


class Line(Protocol):
    """What an application may do with its connection beside ASGI."""

    @property
    def ready(self) -> bool:
        """Whether what is written now is taken at once, as far as can be told."""

    def put(self, frame: bytes) -> None:
        """Writes a whole frame as it is; only where it is ready."""

    async def write(self, frame: bytes) -> None:
        """Waits until it is ready. Raises OSError when the other side is gone."""

    def abort(self) -> None:
        """Ends the connection at once, whatever was not sent yet."""


def line_of(scope: Any) -> Line:
    """Of a WebSocket's scope."""
    found: Line = scope["extensions"][_LINE]["line"]
    return found


async def refuse_socket(problem: Problem, send: Send) -> None:
    """Before it is accepted, with an answer such as every request has."""
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    with contextlib.suppress(OSError):
        await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": problem.body})
