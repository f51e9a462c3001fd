"""The store: one SQLite file, one writer connection on its own thread, readers beside it.

A transaction is one function and one hop to the writer's thread; it is never open across an await.
Works that arrive while a commit is under way share the next one (group commit), so durability
(`synchronous=FULL`) costs one disk flush a group. See `transaction.run_group` for who undoes what.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import aiosqlite

from core.bus import Bus
from core.clock import Clock
from core.errors import Unavailable
from core.store import faults, migrations
from core.store.transaction import EventWitness, Outcome, Transaction, run_group
from core.store.wal import switch_to_wal

if TYPE_CHECKING:  # a plain store needs none of what it imports
    from core.store.cipher import Cipher

__all__ = ["Store", "Transaction"]

T = TypeVar("T")

# Works in one commit: bounds how long the group's first waits, and how long other programs do.
_GROUP_LIMIT = 500
_READERS = 2
_OLDEST_SQLITE = (3, 38, 0)  # STRICT, RETURNING, built-in JSON
_CACHED_STATEMENTS = 512
_WAL_KEPT_BYTES = 64 * 1024 * 1024
_CHECKPOINT_PAGES = 4000  # 16 MiB: a checkpoint flushes twice, so not after every few groups
_WRITER_CACHE_KIB = 16 * 1024


@dataclass(slots=True)
class _Job:
    work: Callable[[Transaction], Any]
    future: asyncio.Future[Any]


@dataclass(slots=True)
class _Reader:
    connection: aiosqlite.Connection
    waiting: int = 0


@dataclass(slots=True)
class Store:
    path: Path
    _clock: Clock
    _bus: Bus
    _writer: aiosqlite.Connection
    _readers: list[_Reader]
    _waiting: deque[_Job] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False
    _witness: EventWitness | None = None
    written: int = 0  # works that were answered since it was opened
    write_seconds: float = 0.0  # that those who asked for them waited

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        clock: Clock,
        bus: Bus,
        busy_seconds: float = 10.0,
        cipher: Cipher | None = None,
        witness: EventWitness | None = None,
    ) -> AsyncIterator[Store]:
        """Opens or makes the file and brings it to this program's schema.

        `busy_seconds` is how long a write waits for another program's lock. On exit every work that was
        accepted is finished first. With a `cipher` the file is encrypted, and a plain one or one of
        another key is refused. `witness` hears of each event inside of its transaction. Raises SchemaTooNew,
        or Unavailable for a file that cannot be used.
        """
        _make_file(path)
        async with AsyncExitStack() as stack:
            try:
                row = sqlite3.Row if cipher is None else cipher.row
                writer = await stack.enter_async_context(_connect(path, busy_seconds, cipher))
                await _hop(writer, partial(_prepare_writer, path=path, busy_seconds=busy_seconds, row=row))
                readers = []
                for _ in range(_READERS):
                    connection = await stack.enter_async_context(_connect(path, busy_seconds, cipher))
                    await _hop(connection, partial(_prepare_reader, row=row))
                    readers.append(_Reader(connection))
            except sqlite3.Error as error:
                explain = faults.explain if cipher is None else cipher.explain
                raise explain(error, path) from error
            store = cls(path, clock, bus, writer, readers, _witness=witness)
            committer = asyncio.create_task(store._commit_groups(), name="store: group commit")
            try:
                yield store
            finally:
                store._closed = True
                store._wake.set()
                # A second cancellation must not stop it: accepted works are finished, waiters are answered.
                await asyncio.shield(committer)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Runs the work in a transaction and returns its value once that is durable.

        The work's exception undoes this work alone and is raised here. Cancelling the waiter changes
        nothing: the work is done, whole, though nobody hears of it. Its events reach the bus first.
        Raises Unavailable when the file stays locked or the disk fails; then nothing was kept.
        """
        if self._closed:
            raise Unavailable("The store is closed.", hint="Orchard is stopping; start it again.")
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._wake.set()
        began = time.perf_counter()
        try:
            return cast(T, await job.future)
        finally:
            self.written += 1
            self.write_seconds += time.perf_counter() - began

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Runs the query on a reader's thread, in one snapshot of what is committed.

        The writer never blocks it. The query returns values, not cursors.
        """
        if self._closed:
            raise Unavailable("The store is closed.", hint="Orchard is stopping; start it again.")
        reader = min(self._readers, key=lambda candidate: candidate.waiting)
        reader.waiting += 1
        try:
            return await _hop(reader.connection, partial(_run_query, query))
        except sqlite3.Error as error:
            if faults.is_fault(error):
                raise faults.explain(error, self.path) from error
            raise
        finally:
            reader.waiting -= 1

    async def _commit_groups(self) -> None:
        while self._waiting or not self._closed:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            size = min(len(self._waiting), _GROUP_LIMIT)
            await self._commit_group([self._waiting.popleft() for _ in range(size)])

    async def _commit_group(self, jobs: list[_Job]) -> None:
        works = [job.work for job in jobs]
        try:
            outcomes, events = await _hop(
                self._writer, partial(run_group, clock=self._clock, works=works, witness=self._witness)
            )
        except BaseException as error:
            # Whatever it is, it belongs to the waiters: were it raised here, they would wait for ever.
            for job in jobs:
                self._settle(job, Outcome(error=error))
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        self._bus.publish(events)
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._settle(job, outcome)

    def _settle(self, job: _Job, outcome: Outcome) -> None:
        if job.future.done():  # its waiter was cancelled
            return
        error = outcome.error
        if error is None:
            job.future.set_result(outcome.value)
        elif isinstance(error, sqlite3.Error) and faults.is_fault(error):
            job.future.set_exception(faults.explain(error, self.path))
        else:
            job.future.set_exception(error)


async def _hop(connection: aiosqlite.Connection, function: Callable[[sqlite3.Connection], T]) -> T:
    """Runs the function on the connection's thread. aiosqlite has no public way to run one function in
    one hop; its `execute` and `commit`, each awaited, cost half the rate and leave transactions open."""

    def call() -> T:
        try:
            return function(connection._conn)
        except StopIteration as error:  # a future cannot carry one: the waiter would never be woken
            raise RuntimeError("StopIteration came out of a transaction") from error

    return cast(T, await connection._execute(call))  # type: ignore[no-untyped-call]


@asynccontextmanager
async def _connect(
    path: Path, busy_seconds: float, cipher: Cipher | None
) -> AsyncIterator[aiosqlite.Connection]:
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect if cipher is None else cipher.connect
    connector = partial(
        connect, path, timeout=busy_seconds, isolation_level=None, cached_statements=_CACHED_STATEMENTS
    )
    connection = aiosqlite.Connection(connector, iter_chunk_size=64)
    try:
        await connection
    except BaseException:
        # Its thread still reports to this loop, which may close as soon as we have raised.
        await asyncio.to_thread(connection._thread.join)
        raise
    try:
        yield connection
    finally:
        await connection.close()


def _make_file(path: Path) -> None:
    """Only this user may read the store: it holds diffs, prompts and people's words."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "The store cannot be opened.",
            why=f"{path}: {error.strerror or error}.",
            hint="Set global_state_path to a folder on a local disk in which this user may write.",
        ) from error


def _prepare_writer(conn: sqlite3.Connection, *, path: Path, busy_seconds: float, row: Any) -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise Unavailable(
            f"SQLite {sqlite3.sqlite_version} is too old.",
            hint=f"Use a Python that brings {'.'.join(map(str, _OLDEST_SQLITE))} or newer.",
        )
    migrations.check_owner(conn, path)  # before the first pragma that writes to the file
    mode = switch_to_wal(conn, busy_seconds)
    if mode != "wal":
        raise Unavailable(
            "The store's folder cannot hold it.",
            why=f"{path}: no write-ahead log there (journal mode {mode}).",
            hint="Set global_state_path to a folder on a local disk.",
        )
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
    conn.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    conn.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    _prepare(conn, row)
    migrations.migrate(conn, path)


def _prepare_reader(conn: sqlite3.Connection, *, row: Any) -> None:
    _prepare(conn, row)
    conn.execute("PRAGMA query_only = ON")


def _prepare(conn: sqlite3.Connection, row: Any) -> None:
    conn.row_factory = row
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute("PRAGMA temp_store = MEMORY")


def _run_query(query: Callable[[sqlite3.Connection], T], conn: sqlite3.Connection) -> T:
    conn.execute("BEGIN")
    try:
        return query(conn)
    finally:
        conn.execute("ROLLBACK")
