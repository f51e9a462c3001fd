"""A loop's rest: ended by whoever has something for it, else by the time."""

from __future__ import annotations

import asyncio

import pytest

from core.wake import Wake


async def test_what_came_before_the_rest_ends_it_at_once_and_once_only() -> None:
    wake = Wake()
    wake.set()
    wake.set()
    async with asyncio.timeout(50):
        await wake.rest(3600)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await wake.rest(3600)


async def test_it_is_ended_from_elsewhere() -> None:
    wake = Wake()
    resting = asyncio.create_task(wake.rest(3600))
    await asyncio.sleep(0)
    assert not resting.done()
    wake.set()
    async with asyncio.timeout(50):
        await resting


async def test_it_ends_when_its_time_has_come() -> None:
    async with asyncio.timeout(50):
        await Wake().rest(0.01)
