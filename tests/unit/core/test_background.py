from __future__ import annotations

import asyncio

import pytest

from core.background import running


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _fails() -> None:
    raise RuntimeError("the work is bad")


async def _stubborn(go: asyncio.Event) -> None:
    try:
        await _for_ever()
    finally:
        await go.wait()


async def test_it_ends_with_the_block():
    async with running(_for_ever(), "work"):
        [task] = [one for one in asyncio.all_tasks() if one.get_name() == "work"]
    assert task.cancelled()


async def test_the_block_ends_with_a_vital_one():
    with pytest.raises(RuntimeError, match="the work is bad"):
        async with running(_fails(), "work"):
            await _for_ever()


async def test_the_block_goes_on_without_another():
    async with running(_fails(), "work", vital=False):
        [task] = [one for one in asyncio.all_tasks() if one.get_name() == "work"]
        await asyncio.wait([task])
    assert isinstance(task.exception(), RuntimeError)


async def test_who_waits_for_its_end_can_be_cancelled_meanwhile():
    go, leaving = asyncio.Event(), asyncio.Event()

    async def block() -> None:
        async with running(_stubborn(go), "work", vital=False):
            await asyncio.sleep(0)
            leaving.set()

    owner = asyncio.create_task(block())
    await leaving.wait()
    owner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await owner
    go.set()
