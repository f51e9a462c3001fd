"""An agent's stderr, always drained: the head goes to a file, the tail is kept for error messages."""

from __future__ import annotations

import asyncio
import codecs
import os
from contextlib import suppress
from pathlib import Path

from core.agents.redaction import Redactor

_FILE_LIMIT_BYTES = 4 << 20
_TAIL_BYTES = 4 << 10


class StderrLog:
    """Appends to `path`, without secrets, at most 4 MiB a turn; what comes after is read and dropped."""

    def __init__(self, path: Path, redactor: Redactor | None = None) -> None:
        self._path = path
        self._redactor = redactor or Redactor()
        self._tail = b""
        self._ended = asyncio.Event()

    async def drain(self, reader: asyncio.StreamReader) -> None:
        """Read until the end, so that an agent that talks to stderr never blocks."""
        try:
            await self._drain(reader)
        finally:
            self._ended.set()

    async def settle(self) -> None:
        """Wait for what a program that has ended still had in the pipe, half a second at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self._ended.wait()

    async def _drain(self, reader: asyncio.StreamReader) -> None:
        room = _FILE_LIMIT_BYTES
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        stream = self._redactor.stream()
        with os.fdopen(_opened(self._path), "ab", buffering=0) as file:
            while chunk := await reader.read(64 << 10):
                self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
                if room > 0:
                    file.write(stream.add(decoder.decode(chunk[:room])).encode(errors="replace"))
                    room -= len(chunk)
                    if room <= 0:
                        file.write(stream.end().encode(errors="replace"))
                        file.write(b"\n[the rest was dropped]\n")
            file.write((stream.add(decoder.decode(b"", final=True)) + stream.end()).encode(errors="replace"))

    def last_words(self) -> str:
        """The last lines in one, at most 300 characters; "" when there were none."""
        text = self._redactor.text(self._tail.decode(errors="replace"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(lines[-3:])[-300:]


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
