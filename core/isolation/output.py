"""Keeps the beginning and the end of what a program prints, in bounded memory."""

from __future__ import annotations

HEAD_BYTES = 32 << 10
TAIL_BYTES = 64 << 10


class BoundedOutput:
    def __init__(self) -> None:
        self.total = 0
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = HEAD_BYTES - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[max(room, 0) :]
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    def text(self) -> bytes:
        """All of it, or head and tail with a line that says how much is missing between."""
        missing = self.total - len(self._head) - TAIL_BYTES
        if missing <= 0:
            return bytes(self._head + self._tail)
        note = f"\n[... {missing} bytes left out ...]\n".encode()
        return bytes(self._head) + note + bytes(self._tail[-TAIL_BYTES:])
