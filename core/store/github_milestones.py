"""Milestones that are sprints, or may become one, of the repository that the project is linked with now."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from core.errors import LostRace
from core.store.columns import to_text
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    project: str
    number: int
    title: str
    is_open: bool
    sprint_id: str | None


def from_row(row: sqlite3.Row) -> Milestone:
    return Milestone(
        project=row["project"],
        number=row["number"],
        title=row["title"],
        is_open=bool(row["is_open"]),
        sprint_id=row["sprint_id"],
    )


def of_sprint(conn: sqlite3.Connection, sprint_id: str) -> Milestone | None:
    row = conn.execute("SELECT * FROM github_milestones_here WHERE sprint_id = ?", (sprint_id,)).fetchone()
    return None if row is None else from_row(row)


def of_project(conn: sqlite3.Connection, project: str) -> tuple[Milestone, ...]:
    rows = conn.execute("SELECT * FROM github_milestones_here WHERE project = ? ORDER BY number", (project,))
    return tuple(from_row(row) for row in rows)


def note(tx: Transaction, project: str, number: int, *, title: str, is_open: bool) -> Milestone:
    """As GitHub says it is; the sprint that it is stays. Raises LostRace when the project is linked with
    nothing that has answered."""
    row = tx.conn.execute(
        "INSERT INTO github_milestones (project, repository_id, number, title, is_open)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (project, repository_id, number)"
        " DO UPDATE SET title = excluded.title, is_open = excluded.is_open RETURNING *",
        (project, _repository(tx.conn, project), number, to_text(title), int(is_open)),
    ).fetchone()
    return from_row(row)


def bind(tx: Transaction, project: str, number: int, sprint_id: str) -> bool:
    """It is that sprint from now on. False when it is one that has not ended, or the sprint another's."""
    if of_sprint(tx.conn, sprint_id) is not None:
        return False
    return (
        tx.conn.execute(
            "UPDATE github_milestones SET sprint_id = ?"
            " WHERE project = ? AND repository_id = ? AND number = ? AND (sprint_id IS NULL"
            " OR sprint_id IN (SELECT id FROM sprints WHERE ended_at IS NOT NULL))",
            (sprint_id, project, _repository(tx.conn, project), number),
        ).rowcount
        > 0
    )


def closed(tx: Transaction, project: str, number: int) -> None:
    """Its sprint is over, so it is no sprint any more: who opens it again means another one."""
    tx.conn.execute(
        "UPDATE github_milestones SET is_open = 0, sprint_id = NULL"
        " WHERE project = ? AND repository_id = ? AND number = ?",
        (project, _repository(tx.conn, project), number),
    )


def _repository(conn: sqlite3.Connection, project: str) -> int:
    row = conn.execute("SELECT repository_id FROM github_links WHERE project = ?", (project,)).fetchone()
    if row is None or row["repository_id"] is None:
        raise LostRace(f"{project} is linked with no repository that has answered.")
    return int(row["repository_id"])
