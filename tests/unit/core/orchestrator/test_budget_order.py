"""Who adds and who reads sums never meet, whoever is cancelled when."""

import asyncio

import pytest

from core.orchestrator.budget_order import Order


async def test_many_add_at_once_and_who_reads_is_alone() -> None:
    order, now, seen = Order(), {"adding": 0, "alone": 0}, []

    async def add(turns: int) -> None:
        async with order.adding():
            now["adding"] += 1
            try:
                for _ in range(turns):
                    seen.append(dict(now))
                    await asyncio.sleep(0)
            finally:
                now["adding"] -= 1

    async def read(turns: int) -> None:
        async with order.alone():
            now["alone"] += 1
            try:
                for _ in range(turns):
                    seen.append(dict(now))
                    await asyncio.sleep(0)
            finally:
                now["alone"] -= 1

    work = [add(number % 4 + 1) if number % 5 else read(number % 3 + 1) for number in range(60)]
    tasks = [asyncio.create_task(each) for each in work]
    for number, task in enumerate(tasks):
        if number % 7 == 3:
            asyncio.get_running_loop().call_later(number / 100_000, task.cancel)
    async with asyncio.timeout(50):
        await asyncio.gather(*tasks, return_exceptions=True)
        async with order.alone():
            pass
    assert max(each["adding"] for each in seen) > 1
    assert all(not each["alone"] or (each["alone"] == 1 and not each["adding"]) for each in seen)


async def test_who_reads_waits_only_for_those_who_add_already() -> None:
    order, done = Order(), []

    async def note(name: str, place) -> None:
        async with place:
            done.append(name)

    async with asyncio.timeout(50):
        async with order.adding():
            reading = asyncio.create_task(note("read", order.alone()))
            await asyncio.sleep(0)
            later = asyncio.create_task(note("add", order.adding()))
            await asyncio.sleep(0)
            assert done == []
        await asyncio.gather(reading, later)
    assert done == ["read", "add"]


async def test_a_fault_leaves_the_way_free() -> None:
    order = Order()
    for place in (order.adding, order.alone):
        with pytest.raises(ValueError, match="no"):
            async with place():
                raise ValueError("no")
    async with asyncio.timeout(50), order.alone():
        pass
