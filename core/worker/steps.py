"""The steps of a phase: told as they begin, timed, and given up when somebody stops it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from core.worker.contract import PhaseJob, Progress
from core.worker.parking import ParkWish
from core.worker.workshop import Tell

T = TypeVar("T")

_PROGRESS_CHARACTERS = 200


class Stopped(Exception):
    """Not an error: somebody stopped this."""


async def unless_stopped(work: Coroutine[Any, Any, T], *stops: asyncio.Event) -> T:
    """`work`, given up with Stopped when one of `stops` is set."""
    task = asyncio.ensure_future(work)
    wishes = [asyncio.ensure_future(stop.wait()) for stop in stops]
    try:
        await asyncio.wait({task, *wishes}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Stopped
        return task.result()
    finally:
        for wish in wishes:
            wish.cancel()
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


class PhaseSteps:
    """Of one phase. `seconds` holds the time by step."""

    def __init__(self, job: PhaseJob, tell: Tell, stop: asyncio.Event, park: ParkWish) -> None:
        self._job = job
        self._tell = tell
        self.stop = stop
        self.park = park
        self.seconds: dict[str, float] = {}

    @asynccontextmanager
    async def step(self, step: str, text: str) -> AsyncIterator[None]:
        """Raises Stopped instead of beginning when somebody wishes so."""
        if self.stop.is_set():
            raise Stopped
        await self.tell(step, text)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - began

    async def tell(self, step: str, text: str) -> None:
        job = self._job
        await self._tell.progress(
            Progress(
                story_id=job.story.id,
                phase=job.phase,
                generation=job.generation,
                step=step,
                text=text[:_PROGRESS_CHARACTERS],
            )
        )

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        return await unless_stopped(work, self.stop)
