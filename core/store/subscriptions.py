"""Who wants to be called for what."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from core.domain.ping import Ping, Subscription
from core.store.transaction import Transaction

EVERY_PROJECT = ""


def from_row(row: sqlite3.Row) -> Subscription:
    return Subscription(person=row["person"], project=row["project"], kind=Ping(row["kind"]))


def add(tx: Transaction, person: str, project: str, kinds: Collection[Ping]) -> None:
    """`project` may be EVERY_PROJECT. What they have already stays as it is."""
    tx.conn.executemany(
        "INSERT OR IGNORE INTO subscriptions (person, project, kind, since) VALUES (?, ?, ?, ?)",
        [(person, project, kind.value, tx.now_text) for kind in kinds],
    )


def remove(tx: Transaction, person: str, project: str | None, kinds: Collection[Ping]) -> int:
    """How many went away. No project: these kinds, of whatever project."""
    marks = ", ".join("?" * len(kinds))
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    return tx.conn.execute(
        f"DELETE FROM subscriptions WHERE person = ? AND kind IN ({marks}){where}",  # noqa: S608
        (person, *(kind.value for kind in kinds), *parameters),
    ).rowcount


def of_person(conn: sqlite3.Connection, person: str) -> tuple[Subscription, ...]:
    """By project, those for every project first."""
    rows = conn.execute("SELECT * FROM subscriptions WHERE person = ? ORDER BY project, kind", (person,))
    return tuple(from_row(row) for row in rows)


def people_for(conn: sqlite3.Connection, project: str | None, kind: Ping) -> tuple[str, ...]:
    """Who is called for this kind of this project, each once, who asked first first."""
    rows = conn.execute(
        "SELECT person FROM subscriptions WHERE kind = ? AND project IN (?, ?)"
        " GROUP BY person ORDER BY min(since), person",
        (kind.value, EVERY_PROJECT, project or EVERY_PROJECT),
    )
    return tuple(row["person"] for row in rows)
