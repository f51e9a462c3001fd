"""Pipes and process descriptors on the event loop, without a thread for each."""

from __future__ import annotations

import asyncio
import os
from typing import IO


class _Ending(asyncio.StreamReaderProtocol):
    """A reader that also tells when its pipe is gone."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


class PipeReader:
    """The reading end of a pipe; `close` lets what is still in it arrive first."""

    def __init__(
        self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport, protocol: _Ending
    ) -> None:
        self.reader = reader
        self._transport = transport
        self._protocol = protocol

    async def read_all(self) -> bytes:
        return await self.reader.read()

    async def close(self) -> None:
        """For a pipe whose writers are gone. What nobody reads is dropped."""
        try:
            async with asyncio.timeout(0.2):
                await self._protocol.lost.wait()
        except TimeoutError:
            self._transport.close()
            await self._protocol.lost.wait()


async def connect_reader(pipe: IO[bytes], limit: int) -> PipeReader:
    reader = asyncio.StreamReader(limit=limit)
    transport, protocol = await asyncio.get_running_loop().connect_read_pipe(lambda: _Ending(reader), pipe)
    return PipeReader(reader, transport, protocol)


async def connect_writer(pipe: IO[bytes]) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(lambda: _Ending(asyncio.StreamReader()), pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def until_readable(fd: int) -> None:
    """Waits, then closes `fd`: a process descriptor is readable when its process has ended."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(fd, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
