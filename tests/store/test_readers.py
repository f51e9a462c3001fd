from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from core.domain.event import EventKind
from core.store.database import Store
from core.store.transaction import Transaction


def count(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM events").fetchone()[0])


def say(tx: Transaction) -> None:
    tx.emit(EventKind.AGENT_SAID, data={"text": ""})


async def test_a_reader_is_not_blocked_by_an_open_write_and_does_not_see_it(store: Store) -> None:
    entered, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(tx: Transaction) -> None:
        say(tx)
        loop.call_soon_threadsafe(entered.set)
        assert go_on.wait(50)

    writing = asyncio.create_task(store.write(slow))
    await entered.wait()
    assert await asyncio.wait_for(store.read(count), 40) == 0
    go_on.set()
    await writing
    assert await store.read(count) == 1


async def test_one_read_is_one_snapshot(store: Store) -> None:
    entered, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def twice(conn: sqlite3.Connection) -> tuple[int, int]:
        first = count(conn)
        loop.call_soon_threadsafe(entered.set)
        assert go_on.wait(50)
        return first, count(conn)

    reading = asyncio.create_task(store.read(twice))
    await entered.wait()
    await store.write(say)
    go_on.set()
    assert await reading == (0, 0)
    assert await store.read(count) == 1


async def test_a_slow_read_leaves_another_reader_free(store: Store) -> None:
    entered, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(conn: sqlite3.Connection) -> None:
        loop.call_soon_threadsafe(entered.set)
        assert go_on.wait(50)

    reading = asyncio.create_task(store.read(slow))
    await entered.wait()
    assert await asyncio.wait_for(store.read(count), 40) == 0
    go_on.set()
    await reading


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match="readonly"):
        await store.read(lambda conn: conn.execute("DELETE FROM events"))


async def test_a_cancelled_or_failed_read_leaves_the_readers_usable(store: Store) -> None:
    for _ in range(6):
        reading = asyncio.create_task(store.read(count))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await store.read(lambda conn: conn.execute("SELECT * FROM nowhere"))
    await store.write(say)
    assert [await store.read(count) for _ in range(4)] == [1, 1, 1, 1]
