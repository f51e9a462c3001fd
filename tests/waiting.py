"""Waiting for what tells nobody that it has happened."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

SECONDS = 50.0  # of a test's 60: only a failing test waits for so long, however busy the machine
_PAUSE = 0.02

T = TypeVar("T")


async def until(condition: Callable[[], T | Awaitable[T]], what: str = "it", seconds: float = SECONDS) -> T:
    """The condition's first true value; the condition may be a coroutine function. Fails with `what` did not
    come."""
    deadline = time.monotonic() + seconds
    while True:
        found: Any = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return cast("T", found)
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(_PAUSE)


def wait_until(
    condition: Callable[[], T], what: str = "it", seconds: float = SECONDS, *, pause: float = _PAUSE
) -> T:
    """As `until`, for what happens in other threads and processes."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return found
