"""Draft releases that were made of sprints, each once: one that people deleted is not made again."""

from __future__ import annotations

import sqlite3

from core.store.transaction import Transaction


def of_sprint(conn: sqlite3.Connection, sprint_id: str) -> str | None:
    """Its address; None: there was none yet."""
    row = conn.execute("SELECT url FROM github_releases WHERE sprint_id = ?", (sprint_id,)).fetchone()
    return None if row is None else row["url"]


def due(conn: sqlite3.Connection, project: str, since: str) -> tuple[str, ...]:
    """Sprints that ended at or after `since` (a time as columns have it) and have none, oldest first."""
    rows = conn.execute(
        "SELECT s.id FROM sprints s LEFT JOIN github_releases r ON r.sprint_id = s.id"
        " WHERE s.project = ? AND s.ended_at >= ? AND r.sprint_id IS NULL ORDER BY s.number",
        (project, since),
    )
    return tuple(row["id"] for row in rows)


def made(tx: Transaction, project: str, sprint_id: str, release_id: int, url: str) -> None:
    tx.conn.execute(
        "INSERT INTO github_releases (sprint_id, project, release_id, url) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (sprint_id, project, release_id, url),
    )
