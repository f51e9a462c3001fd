"""The audit log as it is stored: its rows, its head, its checkpoints. Reading takes no key.

Who adds rows and signs is core.store.auditor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.errors import Unavailable
from core.security.audit import AuditKind, Mark, Row, read_data
from core.store.columns import from_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row as people read it. `kind` is an AuditKind's value, or a newer program's."""

    seq: int
    at: datetime
    kind: str
    actor: str
    project: str | None
    subject: str
    data: Mapping[str, Any]


def rows(conn: sqlite3.Connection, *, after: int = 0, limit: int = -1) -> Iterator[Row]:
    """In order, as they are stored. Use it up within the transaction."""
    cursor = conn.execute(
        "SELECT seq, at, kind, actor, project, subject, data, previous, hash FROM audit_log"
        " WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
    )
    for seq, at, kind, actor, project, subject, data, previous, row_hash in cursor:
        yield Row(
            seq=seq,
            at=at,
            kind=kind,
            actor=actor,
            project=project,
            subject=subject,
            data=data,
            previous=previous,
            hash=row_hash,
        )


def entries(
    conn: sqlite3.Connection, *, after: int = 0, limit: int = 100, kind: AuditKind | None = None
) -> tuple[Entry, ...]:
    """Oldest first. Also rows that were altered: `verify` finds these, and people have to see them."""
    found = conn.execute(
        "SELECT * FROM audit_log WHERE seq > ? AND (? IS NULL OR kind = ?) ORDER BY seq LIMIT ?",
        (after, kind and kind.value, kind and kind.value, limit),
    )
    return tuple(map(_entry, found))


def latest(
    conn: sqlite3.Connection, *, before: int | None = None, limit: int, kind: AuditKind | None = None
) -> tuple[Entry, ...]:
    """The newest first, of those before number `before`."""
    found = conn.execute(
        "SELECT * FROM audit_log WHERE (?1 IS NULL OR seq < ?1) AND (?2 IS NULL OR kind = ?2)"
        " ORDER BY seq DESC LIMIT ?3",
        (before, kind and kind.value, limit),
    )
    return tuple(map(_entry, found))


def head(conn: sqlite3.Connection) -> Mark:
    """Raises Unavailable when it was removed."""
    row = conn.execute("SELECT seq, hash, key_id, mac FROM audit_head WHERE id = 1").fetchone()
    if row is None:
        raise Unavailable(
            "The audit log has lost its head.",
            why="The row that says where it ends was removed by another program.",
            hint="Stop Orchard, keep a copy of the store, and restore a backup: `orchard restore FILE`.",
        )
    return Mark(seq=row[0], hash=row[1], key_id=row[2], mac=row[3])


def checkpoints(conn: sqlite3.Connection) -> tuple[Mark, ...]:
    found = conn.execute("SELECT seq, hash, at, by, pruned, key_id, mac FROM audit_checkpoints ORDER BY seq")
    return tuple(
        Mark(seq=seq, hash=row_hash, at=at, by=by, pruned=pruned, key_id=key_id, mac=mac)
        for seq, row_hash, at, by, pruned, key_id, mac in found
    )


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(
        seq=row["seq"],
        at=_time(row["at"]),
        kind=row["kind"],
        actor=row["actor"],
        project=row["project"],
        subject=row["subject"],
        data=_object(row["data"]),
    )


def _time(text: str) -> datetime:
    """The year 1 for what is no time."""
    try:
        return from_time(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def _object(text: str) -> Mapping[str, Any]:
    found = read_data(text)
    return found if isinstance(found, dict) else {"unreadable": text}
