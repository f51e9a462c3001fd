"""Discord objects that stand for ours, so that a restart edits them instead of posting again.

Kinds: "category" (ref: the guild's id), "channel" (ref: project), "thread" (ref: story id),
"status" (ref: sprint id), "approval" (ref: approval id), "budget" (ref: scope, unit and whose, of a limit
that is used up), "denied" (ref: number of the first refusal of the network that it tells of), "checks" (ref:
number of the first event of what a pull request's checks came to).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Discord ids are 63-bit integers."""

    kind: str
    ref: str
    channel_id: int | None = None
    message_id: int | None = None
    thread_id: int | None = None


def from_row(row: sqlite3.Row) -> Post:
    return Post(
        kind=row["kind"],
        ref=row["ref"],
        channel_id=row["channel_id"],
        message_id=row["message_id"],
        thread_id=row["thread_id"],
    )


def remember(
    tx: Transaction,
    kind: str,
    ref: str,
    *,
    channel_id: int | None = None,
    message_id: int | None = None,
    thread_id: int | None = None,
) -> Post:
    """Adds or replaces; an id that is not given keeps what was remembered. To drop one, `forget` first."""
    row = tx.conn.execute(
        "INSERT INTO posts (kind, ref, channel_id, message_id, thread_id, remembered_at)"
        " VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (kind, ref) DO UPDATE SET"
        " channel_id = coalesce(excluded.channel_id, channel_id),"
        " message_id = coalesce(excluded.message_id, message_id),"
        " thread_id = coalesce(excluded.thread_id, thread_id),"
        " remembered_at = excluded.remembered_at RETURNING *",
        (kind, ref, channel_id, message_id, thread_id, tx.now_text),
    ).fetchone()
    return from_row(row)


def find(conn: sqlite3.Connection, kind: str, ref: str) -> Post | None:
    row = conn.execute("SELECT * FROM posts WHERE kind = ? AND ref = ?", (kind, ref)).fetchone()
    return None if row is None else from_row(row)


def every(conn: sqlite3.Connection, kind: str) -> tuple[Post, ...]:
    """All of a kind, by ref: to see which project a channel belongs to."""
    rows = conn.execute("SELECT * FROM posts WHERE kind = ? ORDER BY ref", (kind,))
    return tuple(from_row(row) for row in rows)


def forget(tx: Transaction, kind: str, ref: str) -> bool:
    """After Discord said that it is gone. False when it was not remembered."""
    return tx.conn.execute("DELETE FROM posts WHERE kind = ? AND ref = ?", (kind, ref)).rowcount > 0
