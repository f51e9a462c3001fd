"""What happened in a stretch of history: for digests. A stretch is (`after`, `last`] in events' seqs."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime

from core.domain.event import EventKind
from core.domain.story import Sprint
from core.store import sprints
from core.store.columns import from_optional_time, to_time


def last_seq(conn: sqlite3.Connection) -> int:
    """0 where nothing ever happened."""
    return int(conn.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])


def last_seq_before(conn: sqlite3.Connection, at: datetime) -> int:
    row = conn.execute(
        "SELECT seq FROM events WHERE at < ? ORDER BY seq DESC LIMIT 1", (to_time(at),)
    ).fetchone()
    return 0 if row is None else int(row["seq"])


def time_of(conn: sqlite3.Connection, seq: int) -> datetime | None:
    row = conn.execute("SELECT at FROM events WHERE seq = ?", (seq,)).fetchone()
    return from_optional_time(None if row is None else row["at"])


def counts(conn: sqlite3.Connection, after: int, last: int, project: str | None) -> Mapping[EventKind, int]:
    """How many events of each kind, most frequent first."""
    where, parameters = _of(project)
    rows = conn.execute(
        f"SELECT kind, count(*) AS many FROM events WHERE seq > ? AND seq <= ?{where}"  # noqa: S608
        " GROUP BY kind ORDER BY many DESC, kind",
        (after, last, *parameters),
    )
    return {EventKind(row["kind"]): row["many"] for row in rows}


def stories_with(
    conn: sqlite3.Connection, kind: EventKind, after: int, last: int, project: str | None
) -> tuple[str, ...]:
    """Ids of the stories with such an event, in its order."""
    where, parameters = _of(project)
    rows = conn.execute(
        "SELECT story_id FROM events WHERE kind = ? AND seq > ? AND seq <= ? AND story_id IS NOT NULL"  # noqa: S608
        f"{where} GROUP BY story_id ORDER BY min(seq)",
        (kind.value, after, last, *parameters),
    )
    return tuple(row["story_id"] for row in rows)


def finished_sprints(
    conn: sqlite3.Connection, after: int, last: int, project: str | None
) -> tuple[Sprint, ...]:
    """In the order in which they ended."""
    where, parameters = _of(project)
    rows = conn.execute(
        "SELECT s.* FROM (SELECT project AS of, json_extract(data, '$.sprint') AS number, min(seq) AS seq"  # noqa: S608
        f" FROM events WHERE kind = ? AND seq > ? AND seq <= ?{where} GROUP BY 1, 2) e"
        " JOIN sprints s ON s.project = e.of AND s.number = e.number ORDER BY e.seq",
        (EventKind.SPRINT_FINISHED.value, after, last, *parameters),
    )
    return tuple(sprints.from_row(row) for row in rows)


def _of(project: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if project is None else (" AND project = ?", (project,))
