"""Claims of phases, durable, one by one and in groups, against bare SQLite inserts as durable."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import Phase, ProjectCommand, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority
from core.store import cycles, leases, projects, stories
from core.store.database import Store, Transaction
from tests.bench.figure import Figure

_ONE_BAR, _BATCH_BAR = 2000, 20000
_GROUP = 500


def measure(*, claims: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        folder = Path(name)
        bare_one = _inserts(folder / "one.db", min(claims, 1000), 1)
        bare_batched = _inserts(folder / "batched.db", claims, _GROUP)
        one, batched, together = asyncio.run(_claims(folder / "orchard.db", claims))
    return [
        _figure("claims of a phase, one by one", one, bare_one, _ONE_BAR),
        _figure(f"claims, {_GROUP} a transaction, a lease each", batched, bare_batched, _BATCH_BAR),
        _figure("claims of a phase, all at once, each its own transaction", together, bare_batched, None),
    ]


def _figure(what: str, rate: float, bare: float, bar: int | None) -> Figure:
    return Figure(
        what=what,
        value=f"{rate:,.0f}/s",
        baseline=f"{bare:,.0f}/s",
        ratio=rate / bare,
        bar=f">= {bar:,}/s" if bar else "",
        holds=rate >= bar if bar else None,
        note="a claim: lease, generation, event, outbox; baseline: one row, as durable",
    )


async def _claims(path: Path, count: int) -> tuple[float, float, float]:
    """Claims a second: one after the other, many in a transaction, and many transactions at once."""
    single = min(count, 1000)
    async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
        ids = await store.write(lambda tx: _fill(tx, 2 * count + single))
        one, batched, together = ids[:single], ids[single : single + count], ids[single + count :]
        began = time.monotonic()
        for story in one:
            await store.write(_claim([story]))
        one_rate = single / (time.monotonic() - began)
        began = time.monotonic()
        for first in range(0, count, _GROUP):
            await store.write(_claim_all(batched[first : first + _GROUP]))
        batch_rate = count / (time.monotonic() - began)
        began = time.monotonic()
        await asyncio.gather(*(store.write(_claim([story])) for story in together))
        return one_rate, batch_rate, count / (time.monotonic() - began)


def _claim(ids: Sequence[str]) -> Callable[[Transaction], None]:
    def claim(tx: Transaction) -> None:
        for story in ids:
            lease = leases.claim(tx, story, phase=Phase.DESIGN, owner="bench", lease_seconds=60)
            data = {"phase": "design", "attempt": 1, "agent": "replay"}
            tx.emit(EventKind.PHASE_STARTED, project=lease.project, story_id=story, data=data)

    return claim


def _claim_all(ids: Sequence[str]) -> Callable[[Transaction], None]:
    """A project's starts of one pass, as the dispatcher claims them: a lease and an event each."""
    claims = [leases.Claim(story_id=story, phase=Phase.DESIGN) for story in ids]

    def claim(tx: Transaction) -> None:
        claimed = leases.claim_all(tx, claims, owner="bench", lease_seconds=60)
        if len(claimed.won) != len(ids):
            raise AssertionError(f"{len(claimed.lost)} claims were lost")
        for lease in claimed.won:
            data = {"phase": "design", "attempt": 1, "agent": "replay"}
            tx.emit(EventKind.PHASE_STARTED, project=lease.project, story_id=lease.story_id, data=data)

    return claim


def _fill(tx: Transaction, count: int) -> list[str]:
    """Runnable stories of one project."""
    projects.add(
        tx,
        Project(
            name="bench",
            path=Path("/srv/bench"),
            main_branch="main",
            status=ProjectStatus.INITIALIZING,
            workflow=WorkflowState.IDLE,
            registered_at=tx.now,
        ),
    )
    projects.move_status(tx, "bench", ProjectCommand.START)
    tx.conn.execute("UPDATE projects SET workflow = 'SPRINT_ACTIVE'")
    found = []
    for number in range(count):
        story = stories.add(
            tx,
            "bench",
            title=f"Story {number}",
            body="",
            acceptance_criteria=("it works",),
            priority=Priority.NORMAL,
            added_by="bench",
        )
        cycles.begin(tx, story)
        found.append(story.id)
    tx.conn.execute("UPDATE stories SET state = 'active'")
    return found


def _inserts(path: Path, count: int, group: int) -> float:
    """Rows a second, `group` of them a commit."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
        began = time.monotonic()
        for first in range(0, count, group):
            connection.execute("BEGIN IMMEDIATE")
            for number in range(first, min(first + group, count)):
                connection.execute("INSERT INTO rows (text) VALUES (?)", (f"row {number}",))
            connection.execute("COMMIT")
        return count / (time.monotonic() - began)
    finally:
        connection.close()
