from __future__ import annotations

import asyncio

from core.worker.steering import Steering


async def _said(steering: Steering, *texts: str) -> list[asyncio.Task[bool]]:
    words = [asyncio.create_task(steering.say(text)) for text in texts]
    await asyncio.sleep(0)
    return words


async def test_each_text_is_queued_in_order_and_answered_when_it_is_in_a_prompt() -> None:
    steering = Steering()
    first, second = await _said(steering, "one", "two")
    assert [steering.queue.get_nowait(), steering.queue.get_nowait()] == ["one", "two"]
    steering.reached("two")
    assert await second
    assert not first.done()
    steering.end()
    assert await first is False


async def test_the_same_text_twice_is_two_texts() -> None:
    steering = Steering()
    first, second = await _said(steering, "go on", "go on")
    steering.reached("go on")
    assert await first
    steering.end()
    assert await second is False


async def test_a_turn_s_end_says_what_it_had_heard() -> None:
    steering = Steering()
    first, second = await _said(steering, "one", "two")
    steering.end(["two"])
    assert [await first, await second] == [False, True]


async def test_a_text_that_nobody_waits_for_any_more_harms_nothing() -> None:
    steering = Steering()
    first, second = await _said(steering, "one", "two")
    first.cancel()
    await asyncio.sleep(0)
    steering.reached("one")
    steering.end(["two"])
    assert await second
