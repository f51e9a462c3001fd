"""Epics: wishes that a design agent turns into stories. Nothing else moves an epic's row."""

from __future__ import annotations

import difflib
import sqlite3
from datetime import datetime
from typing import Any

from core.domain.story import Epic, EpicState
from core.errors import LostRace, NotFound
from core.ids import epic_id
from core.store import projects
from core.store.columns import from_optional_time, from_time, to_text, to_time
from core.store.transaction import Transaction


def from_row(row: sqlite3.Row) -> Epic:
    return Epic(
        id=row["id"],
        project=row["project"],
        number=row["number"],
        text=row["text"],
        state=EpicState(row["state"]),
        asked_by=row["asked_by"],
        asked_at=from_time(row["asked_at"]),
        attempt=row["attempt"],
        generation=row["generation"],
        feedback=row["feedback"],
        session_id=row["session_id"],
        error=row["error"],
        wish=row["wish"],
        limits=row["limits"],
        not_before=from_optional_time(row["not_before"]),
    )


def add(
    tx: Transaction, project: str, text: str, asked_by: str, state: EpicState = EpicState.DESIGNING
) -> Epic:
    """Under the project's next epic number. The caller emits it."""
    name = projects.get(tx.conn, project).name
    number = tx.conn.execute(
        "UPDATE projects SET epics_numbered = epics_numbered + 1 WHERE name = ? RETURNING epics_numbered",
        (name,),
    ).fetchone()[0]
    row = tx.conn.execute(
        "INSERT INTO epics (id, project, number, text, state, asked_by, asked_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        (epic_id(name, number), name, number, to_text(text), state.value, asked_by, tx.now_text, tx.now_text),
    ).fetchone()
    return from_row(row)


def find(conn: sqlite3.Connection, id: str) -> Epic | None:  # noqa: A002
    """By id, in any case."""
    row = conn.execute("SELECT * FROM epics WHERE id = ?", (id.strip().lower(),)).fetchone()
    return None if row is None else from_row(row)


def get(conn: sqlite3.Connection, id: str) -> Epic:  # noqa: A002
    """As `find`, but raises NotFound, with near ids as its hint."""
    if (epic := find(conn, id)) is not None:
        return epic
    ids = [row["id"] for row in conn.execute("SELECT id FROM epics ORDER BY asked_at DESC LIMIT 2000")]
    near = difflib.get_close_matches(id.strip().lower(), ids)
    hint = f"Did you mean {' or '.join(near)}?" if near else "An epic's id looks like shop-e1."
    raise NotFound(f"There is no epic '{id}'.", hint=hint)


def of_project(conn: sqlite3.Connection, project: str) -> tuple[Epic, ...]:
    """Newest first."""
    rows = conn.execute("SELECT * FROM epics WHERE project = ? ORDER BY number DESC", (project,))
    return tuple(from_row(row) for row in rows)


def designing(conn: sqlite3.Connection, project: str | None = None) -> tuple[Epic, ...]:
    """By project, oldest first."""
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM epics WHERE state = 'designing'{where} ORDER BY project, number",  # noqa: S608
        parameters,
    )
    return tuple(from_row(row) for row in rows)


def is_designing(conn: sqlite3.Connection, id: str) -> bool:  # noqa: A002
    epic = find(conn, id)
    return epic is not None and epic.state is EpicState.DESIGNING


def begin(tx: Transaction, id: str) -> Epic:  # noqa: A002
    """The agent starts: the next generation. Raises LostRace when nothing is to be designed."""
    return _move(
        tx, id, "state = 'designing'", (), also="generation = generation + 1, ", error="", not_before=None
    )


def retry(tx: Transaction, epic: Epic, *, feedback: str, session_id: str | None) -> Epic:
    """Another attempt, with what to do better. Raises LostRace for an older generation."""
    return _of_generation(
        tx, epic, also="attempt = attempt + 1, ", feedback=feedback, session_id=session_id, limits=0
    )


def wait(tx: Transaction, epic: Epic, reason: str, *, until: datetime, session_id: str | None) -> Epic:
    """Its agent is at its usage limit: the same attempt again at `until`; `reason` is shown meanwhile.

    Raises LostRace for an older generation.
    """
    return _of_generation(
        tx,
        epic,
        also="limits = limits + 1, ",
        error=reason,
        not_before=to_time(until),
        session_id=session_id,
    )


def park(tx: Transaction, epic: Epic, *, session_id: str | None) -> Epic:
    """The same attempt goes on later, in its session. Raises LostRace for an older generation."""
    return _of_generation(tx, epic, session_id=session_id)


def release(tx: Transaction, project: str) -> None:
    """A person asked for a start: no epic of the project waits for its time to come."""
    tx.conn.execute(
        "UPDATE epics SET not_before = NULL WHERE project = ? AND state = 'designing'", (project,)
    )


def propose(tx: Transaction, epic: Epic, *, session_id: str | None) -> Epic:
    """Its stories stand. Raises LostRace for an older generation."""
    return _of_generation(
        tx,
        epic,
        state=EpicState.PROPOSED.value,
        feedback="",
        wish="",
        error="",
        limits=0,
        session_id=session_id,
    )


def fail(tx: Transaction, epic: Epic, error: str) -> Epic:
    """Raises LostRace for an older generation."""
    return _of_generation(tx, epic, state=EpicState.FAILED.value, error=error)


def revise(tx: Transaction, id: str, wish: str) -> Epic:  # noqa: A002
    """To be designed again, by what people say. Raises LostRace unless it is PROPOSED or FAILED."""
    return _move(
        tx,
        id,
        "state IN ('proposed', 'failed')",
        (),
        state=EpicState.DESIGNING.value,
        attempt=1,
        wish=wish,
        feedback="",
        error="",
        limits=0,
    )


def settle(tx: Transaction, id: str) -> Epic:  # noqa: A002
    """No proposal is left to decide on. Raises LostRace unless it is PROPOSED or FAILED."""
    return _move(tx, id, "state IN ('proposed', 'failed')", (), state=EpicState.SETTLED.value)


def _of_generation(tx: Transaction, epic: Epic, *, also: str = "", **changes: Any) -> Epic:
    guard = "state = 'designing' AND generation = ?"
    return _move(tx, epic.id, guard, (epic.generation,), also=also, **changes)


def _move(
    tx: Transaction,
    id: str,  # noqa: A002
    guard: str,
    guarding: tuple[Any, ...],
    *,
    also: str = "",
    **changes: Any,
) -> Epic:
    """The one guarded update. Column names come from this module, never from outside."""
    columns = "".join(f"{name} = ?, " for name in changes)
    values = [to_text(value) if isinstance(value, str) else value for value in changes.values()]
    row = tx.conn.execute(
        f"UPDATE epics SET {columns}{also}updated_at = ? WHERE id = ? AND {guard} RETURNING *",  # noqa: S608
        (*values, tx.now_text, id, *guarding),
    ).fetchone()
    if row is None:
        epic = get(tx.conn, id)
        raise LostRace(f"Epic {epic.id} moved on.", why=f"It is {epic.state}, generation {epic.generation}.")
    return from_row(row)
