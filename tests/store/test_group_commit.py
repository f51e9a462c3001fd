from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import Event, EventKind
from core.errors import Unavailable
from core.store import events, projects
from core.store.database import Store
from core.store.transaction import Transaction

ORPHAN = "INSERT INTO sprints (id, project, number, goal, planned_at) VALUES ('s', 'nobody', 1, '', '')"


class Gate:
    """A work that holds the writer until it is opened, so that the next works gather behind it."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._open = threading.Event()

    def __call__(self, tx: Transaction) -> None:
        self._loop.call_soon_threadsafe(self.entered.set)
        assert self._open.wait(50)

    def open(self) -> None:
        self._open.set()


async def gathered(store: Store, *works: Callable[[Transaction], object]) -> list[object]:
    """The works' results, all of them run in one commit."""
    gate = Gate()
    first = asyncio.create_task(store.write(gate))
    await gate.entered.wait()
    waiting = [asyncio.create_task(store.write(work)) for work in works]
    await asyncio.sleep(0)  # each task has handed its work in
    gate.open()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    await first
    return results


def say(text: str) -> Callable[[Transaction], Event]:
    return lambda tx: tx.emit(EventKind.AGENT_SAID, project="shop", data={"text": text})


def texts(conn: sqlite3.Connection) -> list[str]:
    return [event.data["text"] for event in events.since(conn, 0, limit=100_000)]


async def drained(feed: object, count: int) -> list[Event]:
    return [await asyncio.wait_for(anext(feed), 40) for _ in range(count)]  # type: ignore[call-overload]


async def test_an_exception_undoes_its_own_work_and_no_other(store: Store, bus: Bus) -> None:
    def spoiled(tx: Transaction) -> None:
        say("spoiled")(tx)
        raise ValueError("no")

    with bus.subscribe() as feed:
        before, error, after = await gathered(store, say("before"), spoiled, say("after"))
        heard = [event.data["text"] for event in await drained(feed, 2)]
    assert isinstance(before, Event)
    assert isinstance(error, ValueError)
    assert isinstance(after, Event)
    assert await store.read(texts) == ["before", "after"] == heard
    assert after.seq == before.seq + 1


async def test_a_broken_constraint_undoes_its_own_work_and_no_other(
    store: Store, new_project: Callable[..., object]
) -> None:
    def orphan(tx: Transaction) -> None:
        say("orphan")(tx)
        tx.conn.execute(
            "INSERT INTO sprints (id, project, number, goal, planned_at) VALUES ('s', 'nobody', 1, '', '')"
        )

    results = await gathered(store, say("a"), orphan, new_project, say("b"))
    assert isinstance(results[1], sqlite3.IntegrityError)
    assert await store.read(texts) == ["a", "b"]
    assert [project.name for project in await store.read(projects.every)] == ["shop"]


async def test_a_failed_work_that_left_a_cursor_open_harms_nobody(store: Store) -> None:
    def careless(tx: Transaction) -> None:
        for text in ("x", "y", "z"):
            say(text)(tx)
        cursor = tx.conn.execute("UPDATE events SET actor = 'me' RETURNING seq")
        cursor.fetchone()
        raise ValueError

    results = await gathered(store, say("a"), careless, say("b"))
    assert isinstance(results[1], ValueError)
    assert await store.read(texts) == ["a", "b"]


async def test_waiting_works_share_a_commit(store: Store) -> None:
    def state(tx: Transaction) -> int:
        return int(tx.conn.execute("PRAGMA data_version").fetchone()[0])

    watcher = sqlite3.connect(store.path)
    before = watcher.execute("PRAGMA data_version").fetchone()[0]
    await gathered(store, *(say(str(number)) for number in range(50)))
    after = watcher.execute("PRAGMA data_version").fetchone()[0]
    watcher.close()
    assert after - before <= 2  # the gate's commit, and one for all fifty


async def test_a_hundred_producers_lose_nothing_and_mix_nothing(store: Store, bus: Bus) -> None:
    async def produce(name: int) -> list[int]:
        return [(await store.write(say(f"{name}:{number}"))).seq for number in range(20)]

    with bus.subscribe() as feed:
        seqs = await asyncio.gather(*(produce(name) for name in range(100)))
        heard = await drained(feed, 2000)
    assert sorted(seq for produced in seqs for seq in produced) == list(range(1, 2001))
    assert all(earlier < later for produced in seqs for earlier, later in pairwise(produced))
    assert [event.seq for event in heard] == list(range(1, 2001))
    stored = await store.read(lambda conn: events.since(conn, 0, limit=10_000))
    assert stored == tuple(heard)


async def test_events_are_on_the_bus_when_the_waiter_hears(store: Store, bus: Bus) -> None:
    with bus.subscribe() as feed:
        pull = asyncio.ensure_future(anext(feed))
        await asyncio.sleep(0)
        event = await store.write(say("now"))
        assert await asyncio.wait_for(pull, 40) == event


async def test_nothing_is_published_before_it_is_committed(store: Store, bus: Bus) -> None:
    with bus.subscribe() as feed:
        pull = asyncio.ensure_future(anext(feed))
        gate = Gate()
        writing = asyncio.create_task(store.write(lambda tx: (say("early")(tx), gate(tx))))
        await gate.entered.wait()
        await asyncio.sleep(0.02)
        assert not pull.done()
        assert await store.read(texts) == []
        gate.open()
        await writing
        assert (await asyncio.wait_for(pull, 40)).data == {"text": "early"}


async def test_a_cancelled_waiter_changes_nothing(store: Store) -> None:
    gate = Gate()
    running = asyncio.create_task(store.write(lambda tx: (say("running")(tx), gate(tx))))
    await gate.entered.wait()
    waiting = asyncio.create_task(store.write(say("waiting")))
    await asyncio.sleep(0)
    for task in (running, waiting):
        task.cancel()
    for task in (running, waiting):
        with pytest.raises(asyncio.CancelledError):
            await task
    gate.open()
    await store.write(say("after"))
    assert await store.read(texts) == ["running", "waiting", "after"]


async def test_when_the_commit_fails_every_waiter_hears_and_nothing_is_kept(store: Store, bus: Bus) -> None:
    def fails_at_commit(tx: Transaction) -> None:
        tx.conn.execute("PRAGMA defer_foreign_keys = ON")
        tx.conn.execute(
            "INSERT INTO sprints (id, project, number, goal, planned_at) VALUES ('s', 'nobody', 1, '', '')"
        )

    def refused(tx: Transaction) -> None:
        raise ValueError("saw a row that never came to be")

    with bus.subscribe() as feed:
        results = await gathered(store, say("a"), fails_at_commit, refused, say("b"))
        assert [type(result) for result in results] == [sqlite3.IntegrityError] * 4
        assert await store.read(texts) == []
        event = await store.write(say("the store goes on"))
        assert await drained(feed, 1) == [event]


async def test_a_full_disk_is_told_and_survived(store: Store) -> None:
    await store.write(say("kept"))

    def limit(pages: int) -> Callable[[Transaction], object]:
        return lambda tx: tx.conn.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await store.write(limit(1))  # SQLite makes that the present size: no page may be added
    with pytest.raises(Unavailable, match="full") as caught:
        await store.write(say("x" * 1_000_000))
    assert str(store.path.parent) in caught.value.hint
    await store.write(limit(1_000_000))
    await store.write(say("and on"))
    assert await store.read(texts) == ["kept", "and on"]


async def test_stop_iteration_reaches_the_waiter(store: Store) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await store.write(lambda tx: next(iter(())))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await store.read(lambda conn: next(conn.execute("SELECT 1 WHERE FALSE")))


async def test_closing_finishes_what_was_accepted(path: Path) -> None:
    async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
        gate = Gate()
        held = asyncio.create_task(store.write(gate))
        await gate.entered.wait()
        late = [asyncio.create_task(store.write(say(str(number)))) for number in range(1200)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, gate.open)
    await held
    assert len({event.seq for event in await asyncio.gather(*late)}) == 1200
    async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
        assert len(await store.read(texts)) == 1200


async def test_a_closed_store_says_so(path: Path) -> None:
    async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
        pass
    with pytest.raises(Unavailable, match="closed"):
        await store.write(say("too late"))
    with pytest.raises(Unavailable, match="closed"):
        await store.read(texts)


async def test_one_reading_of_the_clock_a_transaction(path: Path, bus: Bus) -> None:
    async with Store.open(path, clock=SystemClock(), bus=bus) as store:
        first, second = await store.write(lambda tx: (say("1")(tx), say("2")(tx)))
        other = await store.write(say("3"))
    assert first.at == second.at < other.at


async def test_what_is_not_json_is_refused_whole(store: Store) -> None:
    with pytest.raises(TypeError, match="JSON"):
        await store.write(lambda tx: tx.emit(EventKind.AGENT_SAID, data={"path": Path("/")}))
    assert await store.read(lambda conn: events.latest(conn)) == ()


FAILING_DISK = """
import asyncio, resource, sys
from pathlib import Path
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.errors import Unavailable
from core.store import events
from core.store.database import Store

def say(text):
    return lambda tx: tx.emit(EventKind.AGENT_SAID, data={"text": text})

async def main(path):
    async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
        await store.write(say("kept"))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        written = path.with_name(path.name + "-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (written, hard))
        small, big = await asyncio.gather(
            store.write(say("small")), store.write(say("x" * 100_000)), return_exceptions=True
        )
        assert isinstance(small, Unavailable) and isinstance(big, Unavailable), (small, big)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await store.write(say("and on"))
        texts = [event.data["text"] for event in await store.read(lambda conn: events.since(conn, 0))]
        assert texts == ["kept", "and on"], texts
        print(big)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_disk_that_fails_at_the_commit_is_told_to_all_and_survived(path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", FAILING_DISK, str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert child.returncode == 0, child.stderr
    assert "Reading or writing the store failed." in child.stdout
