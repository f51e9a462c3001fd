"""The pipe by which a watched test session tells its outcomes, drained while the session runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LIMIT_BYTES = 256 << 20
_REST_SECONDS = 5.0  # all writers are dead by then: what is left is in the kernel already


class ChannelReader:
    """`passed` goes to the program; `let_go` once it runs; `read` when it has ended."""

    def __init__(self, fd: int, drained: asyncio.Future[bytes] | None) -> None:
        self.fd = fd
        self._drained = drained

    @classmethod
    @asynccontextmanager
    async def open(cls, *, wanted: bool) -> AsyncIterator[ChannelReader]:
        """Without being `wanted` it has no pipe and reads as empty."""
        if not wanted:
            yield cls(-1, None)
            return
        loop = asyncio.get_running_loop()
        ours, theirs = os.pipe()
        drained: asyncio.Future[bytes] = loop.create_future()
        transport, _protocol = await loop.connect_read_pipe(lambda: _Drain(drained), os.fdopen(ours, "rb", 0))
        channel = cls(theirs, drained)
        try:
            yield channel
        finally:
            channel.let_go()
            transport.close()

    @property
    def passed(self) -> tuple[int, ...]:
        return (self.fd,) if self.fd >= 0 else ()

    def let_go(self) -> None:
        """Closes our copy of the writing end, so that the last writer's death ends the stream."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    async def read(self) -> bytes:
        if self._drained is None:
            return b""
        self.let_go()
        try:
            async with asyncio.timeout(_REST_SECONDS):
                return await self._drained
        except TimeoutError:
            return b""


class _Drain(asyncio.Protocol):
    def __init__(self, drained: asyncio.Future[bytes]) -> None:
        self._drained = drained
        self._content = bytearray()
        self._over = False

    def data_received(self, data: bytes) -> None:
        # Beyond the limit it goes on reading, so that the session does not stand still, but keeps no more:
        # the last record is then cut and the session counts as broken off.
        if not self._over:
            self._content += data
            self._over = len(self._content) > LIMIT_BYTES

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._drained.done():
            self._drained.set_result(bytes(self._content[:LIMIT_BYTES]))
