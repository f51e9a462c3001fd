"""What was heard from GitHub and acted on, each once; what is about to be made there."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Literal

from core.store.columns import to_time
from core.store.transaction import Transaction

CommentKind = Literal["issue", "review", "review_comment", "vote"]  # vote: a review, told to people


def comment(tx: Transaction, project: str, kind: CommentKind, comment_id: int) -> bool:
    """True the first time: in the transaction that acts on it."""
    return (
        tx.conn.execute(
            "INSERT INTO github_comments (project, kind, comment_id, at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (project, kind, comment_id, tx.now_text),
        ).rowcount
        > 0
    )


def was_heard(conn: sqlite3.Connection, project: str, kind: CommentKind, comment_id: int) -> bool:
    return (
        conn.execute(
            "SELECT 1 FROM github_comments WHERE project = ? AND kind = ? AND comment_id = ?",
            (project, kind, comment_id),
        ).fetchone()
        is not None
    )


def delivery(tx: Transaction, delivery_id: str, event: str, project: str | None) -> bool:
    """True the first time; one that comes again is a replay, or was asked for at GitHub."""
    return (
        tx.conn.execute(
            "INSERT INTO github_deliveries (id, at, event, project) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (delivery_id, tx.now_text, event, project),
        ).rowcount
        > 0
    )


def last_delivery(conn: sqlite3.Connection, project: str) -> str | None:
    """When, ISO time; None: no webhook of its repository ever came."""
    row = conn.execute("SELECT max(at) AS at FROM github_deliveries WHERE project = ?", (project,)).fetchone()
    return None if row is None else row["at"]


def delivered_since(conn: sqlite3.Connection, project: str, since: datetime) -> int:
    """How many webhooks of its repository were taken; a replay is none."""
    row = conn.execute(
        "SELECT count(*) AS number FROM github_deliveries WHERE project = ? AND at >= ?",
        (project, to_time(since)),
    ).fetchone()
    return int(row["number"])


def forget_deliveries(tx: Transaction, before: datetime) -> int:
    return tx.conn.execute("DELETE FROM github_deliveries WHERE at < ?", (to_time(before),)).rowcount


def intend(tx: Transaction, project: str, what: str) -> bool:
    """Says what is about to be made outside. False: it was said before, so it may be there already and is
    to be looked for first."""
    return (
        tx.conn.execute(
            "INSERT INTO github_intents (project, what, begun_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (project, what, tx.now_text),
        ).rowcount
        > 0
    )


def intended(conn: sqlite3.Connection, project: str) -> tuple[str, ...]:
    rows = conn.execute("SELECT what FROM github_intents WHERE project = ? ORDER BY what", (project,))
    return tuple(row["what"] for row in rows)


def settle(tx: Transaction, project: str, what: str) -> None:
    """It is there, and known."""
    tx.conn.execute("DELETE FROM github_intents WHERE project = ? AND what = ?", (project, what))
