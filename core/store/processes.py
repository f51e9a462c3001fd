"""Living child processes, to be reaped at boot by identity: pid and start time, never age or name."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.store.columns import from_list, from_time, to_list
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """`start_ticks` is field 22 of /proc/<pid>/stat, in clock ticks since boot; a row whose `started_at`
    is before the machine's boot is of a process that cannot live."""

    pid: int
    start_ticks: int
    group: int
    kind: str  # "worker" | "template" | "agent" | "test" | "setup"
    project: str | None
    story_id: str | None
    argv: tuple[str, ...]
    started_at: datetime


def from_row(row: sqlite3.Row) -> ProcessRow:
    return ProcessRow(
        pid=row["pid"],
        start_ticks=row["start_ticks"],
        group=row["process_group"],
        kind=row["kind"],
        project=row["project"],
        story_id=row["story_id"],
        argv=from_list(row["argv"]),
        started_at=from_time(row["started_at"]),
    )


def started(
    tx: Transaction,
    *,
    pid: int,
    start_ticks: int,
    group: int,
    kind: str,
    project: str | None = None,
    story_id: str | None = None,
    argv: Sequence[str] = (),
) -> ProcessRow:
    """Registers a child; the same one again replaces its row."""
    row = tx.conn.execute(
        "INSERT OR REPLACE INTO processes (pid, start_ticks, process_group, kind, project, story_id, argv,"
        " started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        (pid, start_ticks, group, kind, project, story_id, to_list(argv), tx.now_text),
    ).fetchone()
    return from_row(row)


def ended(tx: Transaction, pid: int, start_ticks: int) -> bool:
    """False when it was not registered, or reaped already."""
    return (
        tx.conn.execute(
            "DELETE FROM processes WHERE pid = ? AND start_ticks = ?", (pid, start_ticks)
        ).rowcount
        > 0
    )


def every(conn: sqlite3.Connection) -> tuple[ProcessRow, ...]:
    """Oldest first."""
    rows = conn.execute("SELECT * FROM processes ORDER BY started_at, rowid")
    return tuple(from_row(row) for row in rows)
