"""Reads history. Rows are written by `Transaction.emit` alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from core.domain.event import Event, EventKind
from core.store.columns import from_object, from_time


def from_row(row: sqlite3.Row) -> Event:
    return Event(
        kind=EventKind(row["kind"]),
        at=from_time(row["at"]),
        project=row["project"],
        story_id=row["story_id"],
        actor=row["actor"],
        data=from_object(row["data"]),
        seq=row["seq"],
    )


def since(
    conn: sqlite3.Connection,
    after: int,
    *,
    project: str | None = None,
    story_id: str | None = None,
    kinds: Iterable[EventKind] | None = None,
    limit: int = 100,
) -> tuple[Event, ...]:
    """The first `limit` events with a seq above `after`, oldest first."""
    where, parameters = _filter(project, story_id, kinds)
    rows = conn.execute(
        f"SELECT * FROM events WHERE seq > ?{where} ORDER BY seq LIMIT ?",  # noqa: S608 - fixed texts
        (after, *parameters, limit),
    )
    return tuple(from_row(row) for row in rows)


def latest(
    conn: sqlite3.Connection,
    *,
    project: str | None = None,
    story_id: str | None = None,
    kinds: Iterable[EventKind] | None = None,
    limit: int = 100,
) -> tuple[Event, ...]:
    """The last `limit` events, oldest first."""
    where, parameters = _filter(project, story_id, kinds)
    rows = conn.execute(
        f"SELECT * FROM events WHERE seq > 0{where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - fixed texts
        (*parameters, limit),
    ).fetchall()
    return tuple(from_row(row) for row in reversed(rows))


def _filter(
    project: str | None, story_id: str | None, kinds: Iterable[EventKind] | None
) -> tuple[str, tuple[str, ...]]:
    where, parameters = "", []
    if project is not None:
        where += " AND project = ?"
        parameters.append(project)
    if story_id is not None:
        where += " AND story_id = ?"
        parameters.append(story_id)
    if kinds is not None:
        values = [kind.value for kind in kinds]
        where += f" AND kind IN ({', '.join('?' * len(values))})"
        parameters += values
    return where, tuple(parameters)
