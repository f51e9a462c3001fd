from __future__ import annotations

import asyncio
import math

import pytest

from core.errors import InvalidInput
from core.worker.contract import Park
from core.worker.parking import ParkWish, either


def _park(seconds: float, taker: str = "shop") -> Park:
    return Park(story_id="calc-1", within_seconds=seconds, taker=taker, reason="it waits")


async def test_the_earliest_of_several_wishes_counts_and_the_first_says_for_whom() -> None:
    wish = ParkWish()
    wish.ask(_park(3600.0))
    wish.ask(_park(0.0, taker="other"))
    wish.ask(_park(3600.0, taker="third"))
    async with asyncio.timeout(50):
        await wish.due.wait()
    assert (wish.taker, wish.reason) == ("shop", "it waits")


async def test_a_later_wish_prolongs_nothing() -> None:
    wish = ParkWish()
    wish.ask(_park(0.01))
    wish.ask(_park(3600.0))
    async with asyncio.timeout(50):
        await wish.due.wait()


async def test_a_time_that_is_over_is_now() -> None:
    wish = ParkWish()
    wish.ask(_park(-5.0))
    async with asyncio.timeout(50):
        await wish.due.wait()


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf])
async def test_a_time_that_is_no_number_is_refused_and_nothing_is_wished(seconds: float) -> None:
    wish = ParkWish()
    with pytest.raises(InvalidInput, match="calc-1"):
        wish.ask(_park(seconds))
    assert not wish.asked.is_set()


async def test_a_checkpoint_is_one_only_where_somebody_wants_the_place() -> None:
    wish = ParkWish()
    assert not wish.reach_checkpoint()
    assert not wish.due.is_set()
    wish.ask(_park(3600.0))
    assert wish.reach_checkpoint()
    assert wish.due.is_set()
    wish.end()


async def test_no_timer_is_left_at_the_end() -> None:
    wish = ParkWish()
    wish.ask(_park(0.001))
    wish.end()
    wish.end()
    await asyncio.sleep(0.02)
    assert not wish.due.is_set()


@pytest.mark.parametrize("which", [0, 1])
async def test_either_event_is_enough_also_one_that_is_set_already(which: int) -> None:
    events = (asyncio.Event(), asyncio.Event())
    async with either(*events) as one:
        assert not one.is_set()
        events[which].set()
        async with asyncio.timeout(50):
            await one.wait()
    async with either(*events) as again:
        assert again.is_set()
