"""The wish that a phase makes place for another project's, on its way to the agent's turn."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import InvalidInput
from core.worker.contract import Park


class ParkWish:
    """Of one phase. `asked` is set when somebody wants the place, `due` when the agent's time is over."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.due = asyncio.Event()
        self.taker = ""  # a project
        self.reason = ""
        self._at = math.inf  # of the loop's clock
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, park: Park) -> None:
        """Of several wishes the earliest counts; the first says for whom. A time that is over is now.

        Raises InvalidInput for a time that is no number.
        """
        if not math.isfinite(park.within_seconds):
            raise InvalidInput(f"{park.story_id} cannot be parked within {park.within_seconds} s.")
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, park.within_seconds)
        if not self.asked.is_set():
            self.taker, self.reason = park.taker, park.reason
            self.asked.set()
        if at >= self._at or self.due.is_set():
            return
        self.end()
        self._at, self._timer = at, loop.call_at(at, self.due.set)

    def reach_checkpoint(self) -> bool:
        """The agent would now wait for people: no better moment comes. False when nobody wants the place."""
        if self.asked.is_set():
            self.due.set()
        return self.asked.is_set()

    def end(self) -> None:
        """The phase is over: no timer is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@asynccontextmanager
async def either(*events: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """An event that is set when one of these is."""
    one = asyncio.Event()

    async def wait(event: asyncio.Event) -> None:
        await event.wait()
        one.set()

    waits = [asyncio.create_task(wait(event), name="either") for event in events]
    if any(event.is_set() for event in events):
        one.set()
    try:
        yield one
    finally:
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
