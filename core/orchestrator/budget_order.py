"""Who adds to the ledger and who reads sums out of it: many add at once, who reads is alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Order:
    """What is added at once shares a commit of the store. Who wants to be alone waits for those only that add
    already."""

    def __init__(self) -> None:
        self._gate = asyncio.Lock()
        self._adding = 0
        self._quiet = asyncio.Event()

    @asynccontextmanager
    async def adding(self) -> AsyncIterator[None]:
        async with self._gate:
            self._adding += 1
        try:
            yield
        finally:
            self._adding -= 1
            self._quiet.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._gate:
            while self._adding:
                self._quiet.clear()
                await self._quiet.wait()
            yield
