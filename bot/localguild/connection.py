"""One gateway connection: an ordered way out, compressed when the bot asked for it."""

from __future__ import annotations

import asyncio
import json
import zlib
from enum import IntEnum
from typing import Any

from aiohttp import web


class CloseCode(IntEnum):
    """https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes"""

    UNKNOWN_ERROR = 4000
    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    INVALID_SEQUENCE = 4007
    RATE_LIMITED = 4008
    SESSION_TIMED_OUT = 4009
    INVALID_API_VERSION = 4012
    INVALID_INTENTS = 4013
    DISALLOWED_INTENTS = 4014


class Dropped(Exception):
    """The server ends the connection with this close code."""

    def __init__(self, code: CloseCode) -> None:
        super().__init__(code.name)
        self.code = code


class Connection:
    """A socket with a queue before it, so that events keep their order and senders never wait."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport | None, *, compressed: bool
    ) -> None:
        self.socket = socket
        self.closed_by_us = False
        self._transport = transport
        self._deflate = zlib.compressobj() if compressed else None
        self._queue: asyncio.Queue[str | int] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write(), name="localguild-gateway-writer")

    def send(self, operation: int, data: Any) -> None:
        self.send_text(json.dumps({"op": operation, "d": data, "s": None, "t": None}))

    def send_text(self, text: str) -> None:
        self._queue.put_nowait(text)

    def close(self, code: int) -> None:
        """Close with this code once what is queued has been sent."""
        self.closed_by_us = True
        self._queue.put_nowait(int(code))

    def abort(self) -> None:
        """Cut the TCP connection, as a broken network would."""
        self.closed_by_us = True
        if self._transport is not None and hasattr(self._transport, "abort"):
            self._transport.abort()

    async def finish(self) -> None:
        """Let what is queued go out if the peer is still there, then end."""
        if self.socket.closed or not self.closed_by_us:
            self._writer.cancel()
        await asyncio.wait([self._writer], timeout=5)
        if not self._writer.done():
            self._writer.cancel()
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        while True:
            item = await self._queue.get()
            try:
                if isinstance(item, int):
                    await self.socket.close(code=item)
                    return
                if self._deflate is None:
                    await self.socket.send_str(item)
                else:
                    data = self._deflate.compress(item.encode())
                    await self.socket.send_bytes(data + self._deflate.flush(zlib.Z_SYNC_FLUSH))
            except (ConnectionError, RuntimeError):
                return  # the peer has gone; the reader notices and keeps the session for a resume
