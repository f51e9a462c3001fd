"""Calls that block, off the event loop: a thread each, as many as who calls lets run at once.

Not the loop's own threads, which other work waits for; and daemons, so that a server that does not answer
keeps nobody from stopping Orchard.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def started(call: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Its outcome. Cancelling it does not stop the thread: who has to know when that ended shields it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(outcome: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(outcome)  # type: ignore[arg-type]

    def run() -> None:
        outcome: T | None = None
        error: BaseException | None = None
        try:
            outcome = call()
        except BaseException as failure:  # handed to who waits
            error = failure
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, outcome, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
