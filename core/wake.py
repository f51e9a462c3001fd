"""What a loop rests on between two looks: until somebody has something for it, or its time has come."""

from __future__ import annotations

import asyncio
import contextlib


class Wake:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ends the present rest, or else the next one at once: what comes during a look is not lost."""
        self._event.set()

    async def rest(self, seconds: float) -> None:
        """At most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()
