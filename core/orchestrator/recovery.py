"""What a new start owes to the one before it: no process left behind, no lease held by the dead."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import psutil

from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.orchestrator.reports import settle_sprint
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
    booted = datetime.fromtimestamp(psutil.boot_time(), UTC)
    reaped = [
        row
        for row in left
        if row.started_at >= booted and _start_ticks(row.pid) == row.start_ticks and _kill_tree(row)
    ]

    def settle(tx: Transaction) -> None:
        for row in left:
            processes.ended(tx, row.pid, row.start_ticks)
        for row in reaped:
            tx.emit(
                EventKind.PROCESS_REAPED,
                project=row.project,
                story_id=row.story_id,
                data={"pid": row.pid, "argv": list(row.argv[:8])},
            )
        for lease in leases.held(tx.conn):
            # The turn that asked is gone; the next one asks again if it still wants to know.
            approvals.cancel_of_story(tx, lease.story_id, ApprovalKind.PERMISSION)
            leases.release_all_of(tx, lease.owner)
        for project in projects.every(tx.conn):
            settle_sprint(tx, project.name)

    await store.write(settle)
    return len(reaped)


def _start_ticks(pid: int) -> int | None:
    """/proc/<pid>/stat, field 22; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def _kill_tree(row: ProcessRow) -> bool:
    try:
        root = psutil.Process(row.pid)
        family = [*root.children(recursive=True), root]
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
