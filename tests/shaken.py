"""A pytest plugin that finds races: `make shake ARGS=tests/web` runs tests on a machine that seems to be
slow, now here, now there.

Reads and writes of the store, requests, new processes and threads wait a moment before they are begun, or
before their answer is seen; now and then the whole event loop stands still, as it does while other programs
have the processor. What fails then either measures time, or relies on an order that nothing promises. Each
run shakes differently; `SHAKE_SEED` repeats one as far as the machine allows.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import aiohttp
import pytest

from core.store.database import Store

SEED = int(os.environ.get("SHAKE_SEED", str(time.time_ns() % 1_000_000)))
_OFTEN = 0.08  # of all waits
_MEAN_SECONDS, _LONGEST_SECONDS = 0.15, 1.0
_STILL = 1 / 4000  # of all callbacks of a loop
_LONGEST_STILL_SECONDS = 0.4

_random = random.Random(SEED + os.getpid())
os.register_at_fork(after_in_child=lambda: _random.seed(SEED + os.getpid()))

Waits = Callable[..., Awaitable[Any]]


async def _pause() -> None:
    if _random.random() < _OFTEN:
        await asyncio.sleep(min(_random.expovariate(1 / _MEAN_SECONDS), _LONGEST_SECONDS))


def _late(waits: Waits, *, both_ends: bool = True) -> Waits:
    """`both_ends`: also before its result is seen, where whoever is cancelled then leaves nothing behind."""

    @wraps(waits)
    async def late(*args: Any, **more: Any) -> Any:
        await _pause()
        result = await waits(*args, **more)
        if both_ends:
            await _pause()
        return result

    return late


def _still(run: Callable[[asyncio.Handle], None]) -> Callable[[asyncio.Handle], None]:
    def run_sometimes_later(handle: asyncio.Handle) -> None:
        if _random.random() < _STILL:
            time.sleep(_random.uniform(0, _LONGEST_STILL_SECONDS))
        run(handle)

    return run_sometimes_later


def pytest_configure() -> None:
    changed: list[tuple[Any, str, Any]] = [
        (Store, "read", _late(Store.read)),
        (Store, "write", _late(Store.write)),
        (asyncio, "to_thread", _late(asyncio.to_thread)),
        (asyncio, "create_subprocess_exec", _late(asyncio.create_subprocess_exec, both_ends=False)),
        (aiohttp.ClientSession, "_request", _late(aiohttp.ClientSession._request, both_ends=False)),
        (asyncio.Handle, "_run", _still(asyncio.Handle._run)),
    ]
    for where, name, new in changed:
        setattr(where, name, new)


def pytest_report_header() -> str:
    return f"shaken: SHAKE_SEED={SEED}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"shaken with SHAKE_SEED={SEED}")
