"""The stop ladder: cancel, close stdin, TERM, kill the contained tree. Each rung has its time.

`cancelled` means that the turn ended, never that its tools stopped; so the last step, which proves
that nothing is left, is always taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from core.agents.turn import Rung
from core.errors import OrchardError
from core.isolation.launch import ContainedProcess


class Ladder:
    """`seconds`: the time after cancel, after stdin was closed, after TERM. `rungs` are those taken."""

    def __init__(self, process: ContainedProcess, seconds: tuple[float, float, float]) -> None:
        self._process = process
        self._after_cancel, self._after_eof, self._after_term = seconds
        self.exited = asyncio.ensure_future(process.wait())
        self.rungs: list[Rung] = []
        self.left: OrchardError | None = None  # something could not be ended
        self.exit_code: int | None = None

    async def cancel(self, send: Callable[[], Awaitable[None]], work: asyncio.Future[Any]) -> None:
        """Ask for the end of the turn and wait for its answer. An agent may not even read the request."""
        self.rungs.append(Rung.CANCEL)
        await self._ask(send, work)

    async def interrupt(self, send: Callable[[], Awaitable[None]], work: asyncio.Future[Any]) -> bool:
        """Ask for the end of a prompt that another follows, as patiently; a rung only when it is deaf."""
        heard = await self._ask(send, work)
        if not heard:
            self.rungs.append(Rung.CANCEL)
        return heard

    async def _ask(self, send: Callable[[], Awaitable[None]], work: asyncio.Future[Any]) -> bool:
        """Whether there was an answer, or an end, before the patience was over."""
        with suppress(ConnectionError):  # it no longer reads: its end is near, and comes by itself
            try:
                async with asyncio.timeout(self._after_cancel):
                    await send()
                    either: set[asyncio.Future[Any]] = {work, self.exited}
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            except TimeoutError:
                return work.done() or self.exited.done()
        return True

    async def down(self, *, end_of_input: bool = True) -> None:
        """From closing stdin, where that tells it something, to the proof that nothing is left."""
        if not self.exited.done() and end_of_input:
            self.rungs.append(Rung.EOF)
            if self._process.stdin is not None:
                self._process.stdin.close()
            await asyncio.wait({self.exited}, timeout=self._after_eof)
        if not self.exited.done():
            self.rungs.append(Rung.TERM)
            self._process.terminate()
            await asyncio.wait({self.exited}, timeout=self._after_term)
        if not self.exited.done():
            self.rungs.append(Rung.KILL)
        try:
            await self._process.kill_tree()
        except OrchardError as error:
            self.left = error
        await asyncio.wait({self.exited}, timeout=1.0)
        if self.exited.done():
            self.exit_code = self.exited.result() if self.exited.exception() is None else None
        else:
            self.exited.cancel()


async def to_the_end(work: Awaitable[None]) -> None:
    """Await `work` whole, also when this task is cancelled meanwhile; the cancellation is raised after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
