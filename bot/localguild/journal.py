"""What has happened in the guild, in order, for people who wait for something to happen."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from bot.localguild.model import Json

_KEPT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event. `channel_id` is where (None: the guild), `only_for` the one person who sees it."""

    number: int
    event: str
    data: Json
    channel_id: int | None = None
    only_for: int | None = None


class Journal:
    """Events with increasing numbers; readers wait without polling."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._last = 0
        self._changed = asyncio.Event()

    @property
    def last(self) -> int:
        """The number of the newest entry, 0 when there is none."""
        return self._last

    def add(
        self, event: str, data: Json, *, channel_id: int | None = None, only_for: int | None = None
    ) -> None:
        self._last += 1
        entry = Entry(number=self._last, event=event, data=data, channel_id=channel_id, only_for=only_for)
        self._entries.append(entry)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def after(self, number: int) -> list[Entry]:
        fresh = []
        for entry in reversed(self._entries):
            if entry.number <= number:
                break
            fresh.append(entry)
        return fresh[::-1]

    async def wait_after(self, number: int, timeout: float) -> None:
        """Return when there is an entry after `number`, or when `timeout` seconds are over."""
        try:
            async with asyncio.timeout(timeout):
                while self._last <= number:
                    await self._changed.wait()
        except TimeoutError:
            return
