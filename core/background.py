"""What runs as long as Orchard does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

log = logging.getLogger(__name__)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None], name: str, *, vital: bool = True) -> AsyncIterator[None]:
    """Ended with the block. When a vital one dies before that, so does the block's task."""
    task = asyncio.create_task(work, name=name)
    owner = asyncio.current_task()
    assert owner is not None

    def died(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and done.exception() is not None:
            log.critical("%s died", name, exc_info=done.exception())
            if vital:
                owner.cancel(f"{name} died")

    task.add_done_callback(died)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])  # which lets a cancellation of ours through, as `await task` does not
        if vital and not task.cancelled() and (error := task.exception()) is not None:
            raise error
