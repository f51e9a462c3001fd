"""What is kept of a person: quiet hours, how far their digests went, and which calls they missed."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime, time

from core.domain.event import Event
from core.domain.quiet import QuietHours
from core.store import events
from core.store.columns import to_time
from core.store.transaction import Transaction


def set_quiet(tx: Transaction, person: str, quiet: QuietHours | None) -> None:
    """What they missed is looked at anew, since it may be told earlier now."""
    values = (None, None, "UTC") if quiet is None else (_hhmm(quiet.start), _hhmm(quiet.end), quiet.time_zone)
    tx.conn.execute(
        "INSERT INTO people (person, quiet_from, quiet_until, time_zone) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (person) DO UPDATE SET quiet_from = excluded.quiet_from,"
        " quiet_until = excluded.quiet_until, time_zone = excluded.time_zone",
        (person, *values),
    )
    postpone(tx, person, tx.now)


def quiet_of(conn: sqlite3.Connection, people: Collection[str]) -> Mapping[str, QuietHours]:
    """Of those who have quiet hours."""
    found: dict[str, QuietHours] = {}
    for person in people:
        row = conn.execute(
            "SELECT * FROM people WHERE person = ? AND quiet_from IS NOT NULL", (person,)
        ).fetchone()
        if row is not None:
            found[person] = QuietHours(
                start=time.fromisoformat(row["quiet_from"]),
                end=time.fromisoformat(row["quiet_until"]),
                time_zone=row["time_zone"],
            )
    return found


def digest_seq(conn: sqlite3.Connection, person: str) -> int | None:
    """The last event that their last digest told of; None when they never had one."""
    row = conn.execute(
        "SELECT digest_seq FROM people WHERE person = ? AND digest_seq > 0", (person,)
    ).fetchone()
    return None if row is None else int(row["digest_seq"])


def set_digest_seq(tx: Transaction, person: str, seq: int) -> None:
    """It never goes back: of two digests at once the one that told more counts."""
    tx.conn.execute(
        "INSERT INTO people (person, digest_seq) VALUES (?, ?)"
        " ON CONFLICT (person) DO UPDATE SET digest_seq = max(digest_seq, excluded.digest_seq)",
        (person, seq),
    )


# -- missed calls ----------------------------------------------------------------------------


def miss(tx: Transaction, person: str, event_seq: int) -> None:
    """They are to be told of the event. Once is enough: a second time changes nothing."""
    tx.conn.execute(
        "INSERT OR IGNORE INTO missed_pings (person, event_seq, due_at) VALUES (?, ?, ?)",
        (person, event_seq, to_time(tx.now)),
    )


def due(conn: sqlite3.Connection, now: datetime) -> tuple[str, ...]:
    """People with something missed whose time has come."""
    rows = conn.execute(
        "SELECT person FROM missed_pings WHERE due_at <= ? GROUP BY person ORDER BY min(due_at), person",
        (to_time(now),),
    )
    return tuple(row["person"] for row in rows)


def missed(conn: sqlite3.Connection, person: str) -> tuple[Event, ...]:
    """All that they missed, due or not, oldest first."""
    rows = conn.execute(
        "SELECT e.* FROM missed_pings m JOIN events e ON e.seq = m.event_seq"
        " WHERE m.person = ? ORDER BY e.seq",
        (person,),
    )
    return tuple(events.from_row(row) for row in rows)


def postpone(tx: Transaction, person: str, due_at: datetime) -> None:
    tx.conn.execute("UPDATE missed_pings SET due_at = ? WHERE person = ?", (to_time(due_at), person))


def told(tx: Transaction, person: str, seqs: Collection[int]) -> None:
    tx.conn.executemany(
        "DELETE FROM missed_pings WHERE person = ? AND event_seq = ?", [(person, seq) for seq in seqs]
    )


def _hhmm(at: time) -> str:
    return at.strftime("%H:%M")
