"""What a new start owes to the one before it: no process left behind, no lease held by the dead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.isolation.orphans import end_orphans
from core.orchestrator.sprint_end import settle_sprint
from core.store import approvals, leases, processes, projects
from core.store.database import Store, Transaction
from core.store.processes import ProcessRow

log = logging.getLogger(__name__)


async def recover(store: Store) -> int:
    """Run once, before anything is dispatched. Returns how many processes it had to end.

    A pid that was given to somebody else since is left alone: with its start time it is an identity, as
    long as the machine runs. What was started before it booted cannot live, whoever has the same numbers now.
    """
    left = await store.read(processes.every)
    reaped = await asyncio.to_thread(end_processes, left)
    await asyncio.to_thread(end_orphans)  # what was launched, but not registered yet

    def settle(tx: Transaction) -> None:
        forget(tx, left, reaped)
        for lease in leases.held(tx.conn):
            # The turn that asked is gone; the next one asks again if it still wants to know.
            approvals.cancel_of_story(tx, lease.story_id, ApprovalKind.PERMISSION)
            leases.release_all_of(tx, lease.owner)
        for project in projects.every(tx.conn):
            settle_sprint(tx, project.name)

    await store.write(settle)
    return len(reaped)


def end_processes(rows: Sequence[ProcessRow]) -> tuple[ProcessRow, ...]:
    """Kills what of these still lives, with all that it started, and waits for it. Returns those that did."""
    booted = datetime.fromtimestamp(psutil.boot_time(), UTC)
    return tuple(
        row
        for row in rows
        if row.started_at >= booted and _start_ticks(row.pid) == row.start_ticks and _kill_tree(row)
    )


def forget(tx: Transaction, rows: Sequence[ProcessRow], reaped: Sequence[ProcessRow]) -> None:
    """Takes ended processes out of the register, and tells of those that had to be ended."""
    for row in rows:
        processes.ended(tx, row.pid, row.start_ticks)
    for row in reaped:
        tx.emit(
            EventKind.PROCESS_REAPED,
            project=row.project,
            story_id=row.story_id,
            data={"pid": row.pid, "argv": list(row.argv[:8])},
        )


def _start_ticks(pid: int) -> int | None:
    """/proc/<pid>/stat, field 22; None when there is no such process, or only its entry waits to be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return int(fields[19]) if fields[0] not in ("Z", "X") else None


def _kill_tree(row: ProcessRow) -> bool:
    try:
        root = psutil.Process(row.pid)
        family = [root, *root.children(recursive=True)]  # the root first: it starts nothing more
    except psutil.NoSuchProcess:
        return False
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=5)
    log.warning("ended a process of an earlier run: pid %d, %s", row.pid, " ".join(row.argv[:4]))
    return True
