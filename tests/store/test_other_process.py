from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.errors import Unavailable
from core.store import events
from core.store.database import Store
from core.store.transaction import Transaction

ROOT = Path(__file__).parents[2]

WRITER = """
import asyncio, sys
from pathlib import Path
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.store.database import Store

async def main():
    async with Store.open(Path(sys.argv[1]), clock=SystemClock(), bus=Bus(), busy_seconds=30) as store:
        print("ready", flush=True)
        for number in range(int(sys.argv[2])):
            await store.write(
                lambda tx: tx.emit(EventKind.AGENT_SAID, actor="other", data={"number": number})
            )

asyncio.run(main())
"""

LOCKER = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
conn.execute("ROLLBACK")
print("released", flush=True)
"""


def child(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


async def test_two_processes_write_at_the_same_time(path: Path) -> None:
    async with Store.open(path, clock=SystemClock(), bus=Bus(), busy_seconds=30) as store:
        with child(WRITER, path, 300) as other:
            assert await asyncio.to_thread(said, other) == "ready"
            for number in range(300):
                await store.write(
                    lambda tx, number=number: tx.emit(
                        EventKind.AGENT_SAID, actor="we", data={"number": number}
                    )
                )
            assert await asyncio.to_thread(other.wait, 60) == 0
        everything = await store.read(lambda conn: events.since(conn, 0, limit=10_000))
    assert [event.seq for event in everything] == list(range(1, 601))
    for actor in ("we", "other"):
        assert [event.data["number"] for event in everything if event.actor == actor] == list(range(300))


async def test_a_lock_that_lasts_is_waited_for_only_so_long(path: Path) -> None:
    async with Store.open(path, clock=SystemClock(), bus=Bus(), busy_seconds=0.3) as store:
        with child(LOCKER, path) as other:
            assert await asyncio.to_thread(said, other) == "locked"
            began = time.monotonic()
            with pytest.raises(Unavailable, match="locked by another program") as caught:
                await store.write(say)
            assert time.monotonic() - began > 0.25
            assert str(path) in caught.value.hint
            assert await store.read(count) == 0  # readers go on
            other.communicate("\n", timeout=40)
        await store.write(say)
        assert await store.read(count) == 1


async def test_a_lock_that_ends_in_time_is_only_a_delay(path: Path) -> None:
    async with Store.open(path, clock=SystemClock(), bus=Bus(), busy_seconds=30) as store:
        with child(LOCKER, path) as other:
            assert await asyncio.to_thread(said, other) == "locked"
            writing = asyncio.create_task(store.write(say))
            await asyncio.sleep(0.2)
            assert not writing.done()
            other.communicate("\n", timeout=40)
            await asyncio.wait_for(writing, 40)
        assert await store.read(count) == 1


def say(tx: Transaction) -> None:
    tx.emit(EventKind.AGENT_SAID, data={})


def count(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM events").fetchone()[0])
