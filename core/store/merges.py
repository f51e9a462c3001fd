"""Merges: one open at a time a project, so that each candidate stands on the main branch it was tested on."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.errors import InvalidInput, LostRace, NotFound
from core.ids import new_id
from core.store.columns import from_optional_time, from_time
from core.store.transaction import Transaction


class MergeState(StrEnum):
    OPEN = "open"
    MERGED = "merged"
    REFUSED = "refused"  # the gate said no on the rebased tree
    CONFLICT = "conflict"
    ABANDONED = "abandoned"  # its worker was lost, or a person ended the story


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """`candidate` is known before the main branch moves: after a crash it tells whether it did."""

    id: str
    story_id: str
    project: str
    generation: int
    state: MergeState
    candidate: str | None
    main_commit: str | None  # what the candidate stands on
    begun_at: datetime
    finished_at: datetime | None


def from_row(row: sqlite3.Row) -> Merge:
    return Merge(
        id=row["id"],
        story_id=row["story_id"],
        project=row["project"],
        generation=row["generation"],
        state=MergeState(row["state"]),
        candidate=row["candidate"],
        main_commit=row["main_commit"],
        begun_at=from_time(row["begun_at"]),
        finished_at=from_optional_time(row["finished_at"]),
    )


def begin(tx: Transaction, story_id: str, project: str, generation: int) -> Merge:
    """Raises LostRace when the project has an open merge."""
    if other := open_of(tx.conn, project):
        raise LostRace(f"Project {project} is merging {other[0].story_id}.", hint="One merge at a time.")
    row = tx.conn.execute(
        "INSERT INTO merges (id, story_id, project, generation, state, begun_at)"
        " VALUES (?, ?, ?, ?, 'open', ?) RETURNING *",
        (new_id("merge"), story_id, project, generation, tx.now_text),
    ).fetchone()
    return from_row(row)


def set_candidate(tx: Transaction, merge_id: str, candidate: str, main_commit: str) -> Merge:
    """Before the fast-forward is asked for; again when the main branch had moved. Raises LostRace."""
    row = tx.conn.execute(
        "UPDATE merges SET candidate = ?, main_commit = ? WHERE id = ? AND state = 'open' RETURNING *",
        (candidate, main_commit, merge_id),
    ).fetchone()
    return from_row(row) if row is not None else _lost(tx, merge_id)


def finish(tx: Transaction, merge_id: str, state: str) -> Merge:
    """Closes an open merge as a MergeState. Raises LostRace when it is closed, InvalidInput for MERGED
    without a candidate."""
    state = MergeState(state)
    merge = get(tx.conn, merge_id)
    if state is MergeState.OPEN or (state is MergeState.MERGED and merge.candidate is None):
        raise InvalidInput(f"Merge {merge_id} cannot finish as {state}.", why="It needs a candidate first.")
    row = tx.conn.execute(
        "UPDATE merges SET state = ?, finished_at = ? WHERE id = ? AND state = 'open' RETURNING *",
        (state.value, tx.now_text, merge_id),
    ).fetchone()
    return from_row(row) if row is not None else _lost(tx, merge_id)


def get(conn: sqlite3.Connection, merge_id: str) -> Merge:
    row = conn.execute("SELECT * FROM merges WHERE id = ?", (merge_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no merge '{merge_id}'.")
    return from_row(row)


def open_of(conn: sqlite3.Connection, project: str | None = None) -> tuple[Merge, ...]:
    """Open merges, one project's or all, oldest first."""
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM merges WHERE state = 'open'{where} ORDER BY begun_at, id",  # noqa: S608
        parameters,
    )
    return tuple(from_row(row) for row in rows)


def _lost(tx: Transaction, merge_id: str) -> Merge:
    merge = get(tx.conn, merge_id)
    raise LostRace(f"The merge of {merge.story_id} is over.", why=f"It is {merge.state}.")
