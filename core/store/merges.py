"""Merges: one open batch at a time a project, so that its candidates stand on the main branch that they were
tested on, each on top of the one before. A batch is over with its last merge."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.errors import InvalidInput, LostRace, NotAllowed, NotFound
from core.ids import new_id
from core.store.columns import from_optional_time, from_time
from core.store.transaction import Transaction


class MergeState(StrEnum):
    OPEN = "open"
    MERGED = "merged"
    REFUSED = "refused"  # the gate said no on the rebased tree
    CONFLICT = "conflict"
    ABANDONED = "abandoned"  # its worker was lost, a person ended the story, or it became a pull request


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """`candidate` is known before the main branch moves: after a crash it tells whether it did."""

    id: str
    story_id: str
    project: str
    generation: int
    state: MergeState
    candidate: str | None
    main_commit: str | None  # what the candidate stands on: the main branch, or the candidate before it
    begun_at: datetime
    finished_at: datetime | None
    batch_id: str | None = None  # None for those of before there were batches
    position: int = 0  # in the batch, from 0


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
        batch_id=row["batch_id"],
        position=row["position"],
    )


def begin(tx: Transaction, project: str, stories: Sequence[tuple[str, int]]) -> tuple[Merge, ...]:
    """A batch of these (story, generation), in this order.

    Raises LostRace when the project has an open batch, or when one of the stories is in another.
    """
    if not stories:
        raise InvalidInput("A batch needs a story.")
    if other := open_of(tx.conn, project):
        raise LostRace(f"Project {project} is merging {other[0].story_id}.", hint="One batch at a time.")
    batch = new_id("batch")
    try:
        tx.conn.execute(
            "INSERT INTO merge_batches (id, project, begun_at) VALUES (?, ?, ?)",
            (batch, project, tx.now_text),
        )
        rows = [
            tx.conn.execute(
                "INSERT INTO merges (id, story_id, project, generation, state, begun_at, batch_id, position)"
                " VALUES (?, ?, ?, ?, 'open', ?, ?, ?) RETURNING *",
                (new_id("merge"), story_id, project, generation, tx.now_text, batch, position),
            ).fetchone()
            for position, (story_id, generation) in enumerate(stories)
        ]
    except sqlite3.IntegrityError as error:
        raise LostRace(f"Project {project} is merging already.", why=str(error)) from error
    return tuple(from_row(row) for row in rows)


def set_candidate(tx: Transaction, merge_id: str, candidate: str, main_commit: str) -> Merge:
    """Before the fast-forward is asked for; again when the main branch had moved. Raises LostRace."""
    row = tx.conn.execute(
        "UPDATE merges SET candidate = ?, main_commit = ? WHERE id = ? AND state = 'open' RETURNING *",
        (candidate, main_commit, merge_id),
    ).fetchone()
    return from_row(row) if row is not None else _lost(tx, merge_id)


def finish(tx: Transaction, merge_id: str, state: str) -> Merge:
    """Closes an open merge as a MergeState, and with the last one its batch.

    Raises LostRace when it is closed, InvalidInput for MERGED without a candidate.
    """
    state = MergeState(state)
    merge = get(tx.conn, merge_id)
    if state is MergeState.OPEN or (state is MergeState.MERGED and merge.candidate is None):
        raise InvalidInput(f"Merge {merge_id} cannot finish as {state}.", why="It needs a candidate first.")
    row = tx.conn.execute(
        "UPDATE merges SET state = ?, finished_at = ? WHERE id = ? AND state = 'open' RETURNING *",
        (state.value, tx.now_text, merge_id),
    ).fetchone()
    if row is None:
        return _lost(tx, merge_id)
    tx.conn.execute(
        "UPDATE merge_batches SET finished_at = ? WHERE id = ? AND finished_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM merges WHERE batch_id = merge_batches.id AND state = 'open')",
        (tx.now_text, row["batch_id"]),
    )
    return from_row(row)


def drop(tx: Transaction, story_id: str) -> None:
    """A person takes a story out of the batch that it may be in.

    Raises NotAllowed once its candidate is stored: the main branch may hold it already.
    """
    row = tx.conn.execute(
        "SELECT * FROM merges WHERE story_id = ? AND state = 'open'", (story_id,)
    ).fetchone()
    if row is None:
        return
    merge = from_row(row)
    if merge.candidate is not None:
        raise NotAllowed(f"{story_id} is being merged this moment.", hint="Look again in a few seconds.")
    finish(tx, merge.id, MergeState.ABANDONED)


def get(conn: sqlite3.Connection, merge_id: str) -> Merge:
    row = conn.execute("SELECT * FROM merges WHERE id = ?", (merge_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no merge '{merge_id}'.")
    return from_row(row)


def open_of(conn: sqlite3.Connection, project: str | None = None) -> tuple[Merge, ...]:
    """Open merges, one project's or all, oldest batch first, each in its order."""
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM merges WHERE state = 'open'{where} ORDER BY begun_at, batch_id, position, id",  # noqa: S608
        parameters,
    )
    return tuple(from_row(row) for row in rows)


def of_candidate(conn: sqlite3.Connection, commit: str) -> Merge | None:
    """The merge that brought this commit to the main branch; None when none of ours did."""
    row = conn.execute("SELECT * FROM merges WHERE candidate = ? AND state = 'merged'", (commit,)).fetchone()
    return None if row is None else from_row(row)


def _lost(tx: Transaction, merge_id: str) -> Merge:
    merge = get(tx.conn, merge_id)
    raise LostRace(f"The merge of {merge.story_id} is over.", why=f"It is {merge.state}.")
