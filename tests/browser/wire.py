"""A network that can be lost: what goes through it is cut off at once, and nothing new gets through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Wire:
    """Between a browser and a port of this machine. In one event loop."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lost = False
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def lose(self) -> None:
        self._lost = True
        for writer in tuple(self._open):
            writer.transport.abort()

    async def regain(self) -> None:
        self._lost = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._lost:
            writer.transport.abort()
            return
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, there}
        try:
            await asyncio.gather(_pass(reader, there), _pass(there_reader, writer))
        finally:
            self._open -= {writer, there}
            for end in (writer, there):
                end.transport.abort()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        await self.lose()
        if self._server is not None:
            self._server.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


@asynccontextmanager
async def wire(target: int) -> AsyncIterator[Wire]:
    made = Wire(target)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
