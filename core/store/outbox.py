"""The outbox: what must be told outside, once each, in order a project, also after a crash.

`Transaction.emit` puts rows in. A sender takes what is due, sends it with the row's deduplication key,
and marks it. A crash between sending and marking sends again: the key tells the sender that it did.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.domain.event import Event
from core.errors import LostRace
from core.store import events
from core.store.columns import to_text, to_time
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    id: int
    dedup_key: str
    target: str  # "discord"
    event: Event
    attempts: int  # that failed so far


def from_row(row: sqlite3.Row) -> OutboxRow:
    """From a row of outbox joined with its event."""
    return OutboxRow(
        id=row["id"],
        dedup_key=row["dedup_key"],
        target=row["target"],
        event=events.from_row(row),
        attempts=row["attempts"],
    )


def due(conn: sqlite3.Connection, now: datetime, limit: int) -> tuple[OutboxRow, ...]:
    """The head of each project's queue, where its time has come, oldest first.

    A row waits while an older one of the same project (and target) is unsent, so that posts keep their
    order; events of no project form a queue of their own.
    """
    rows = conn.execute(
        """
        SELECT o.id, o.dedup_key, o.target, o.attempts, e.*
        FROM (SELECT min(id) AS head FROM outbox WHERE state = 'pending' GROUP BY target, lane)
        JOIN outbox o ON o.id = head
        JOIN events e ON e.seq = o.event_seq
        WHERE o.due_at <= ?
        ORDER BY o.id LIMIT ?
        """,
        (to_time(now), limit),
    )
    return tuple(from_row(row) for row in rows)


def sent(tx: Transaction, id: int) -> None:  # noqa: A002
    """Raises LostRace when the row is settled already."""
    _settle(tx, id, "sent", "")


def dead(tx: Transaction, id: int, error: str) -> None:  # noqa: A002
    """Given up: the next of its project may go. Raises LostRace when the row is settled already."""
    _settle(tx, id, "dead", error)


def drop_stale(tx: Transaction, before: datetime) -> int:
    """Gives up what was said before then and is no news any more; returns how many.

    Questions that still wait for an answer stay, however old.
    """
    return tx.conn.execute(
        "UPDATE outbox SET state = 'dead', settled_at = ?, last_error = 'no longer news'"
        " WHERE state = 'pending' AND event_seq IN (SELECT seq FROM events WHERE at < ?)"
        " AND event_seq NOT IN (SELECT e.seq FROM events e JOIN approvals a"
        "   ON a.id = json_extract(e.data, '$.approval')"
        "   WHERE e.kind = 'approval_requested' AND a.state = 'pending')",
        (to_time(tx.now), to_time(before)),
    ).rowcount


def failed(tx: Transaction, id: int, error: str, retry_at: datetime) -> None:  # noqa: A002
    """Not now: it stays at the head of its queue until then. Raises LostRace when it is settled."""
    changed = tx.conn.execute(
        "UPDATE outbox SET attempts = attempts + 1, last_error = ?, due_at = ?"
        " WHERE id = ? AND state = 'pending'",
        (to_text(error), to_time(retry_at), id),
    ).rowcount
    if not changed:
        raise _lost(id)


def counts(conn: sqlite3.Connection) -> Mapping[str, int]:
    """Rows by state: pending, sent, dead."""
    pending = conn.execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()[0]
    gone = conn.execute("SELECT count(*) FROM outbox WHERE state = 'dead'").fetchone()[0]
    everything = conn.execute("SELECT count(*) FROM outbox").fetchone()[0]
    return {"pending": pending, "sent": everything - pending - gone, "dead": gone}


def _settle(tx: Transaction, id: int, state: str, error: str) -> None:  # noqa: A002
    changed = tx.conn.execute(
        "UPDATE outbox SET state = ?, settled_at = ?, last_error = ? WHERE id = ? AND state = 'pending'",
        (state, tx.now_text, to_text(error), id),
    ).rowcount
    if not changed:
        raise _lost(id)


def _lost(id: int) -> LostRace:  # noqa: A002
    return LostRace(f"Outbox row {id} is not pending.", why="Another sender settled it, or it never was.")
