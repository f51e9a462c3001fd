"""Cycles: where each story stands. Nothing else moves a cycle's row.

Every change is guarded by the state that the caller believes in; the event that tells of it is the
caller's, emitted in the same transaction, since only the caller knows what it means.
"""

from __future__ import annotations

import sqlite3
from types import EllipsisType
from typing import Any, TypedDict, Unpack

from core.domain.lifecycles import CYCLE, CycleEvent, CycleState
from core.domain.machine import next_state
from core.domain.story import Cycle, Hold, Priority, Story
from core.errors import InvalidInput, LostRace, NotFound
from core.store import pulls
from core.store.columns import from_time, to_text
from core.store.transaction import Transaction

# What makes a cycle `c` of story `s` in project `p` runnable. Shared with `leases.claim`, so that a pause,
# an answer or a skip that came between the look and the claim is a lost race, never a phase too many.
RUNNABLE = """
    s.id = c.story_id AND s.state = 'active'
    AND p.name = c.project AND p.status = 'active' AND p.workflow = 'SPRINT_ACTIVE'
    AND c.state NOT IN ('done', 'aborted') AND c.blocked_reason = '' AND c.hold IN ('', 'step')
    AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.story_id = c.story_id AND l.released_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM approvals a
                    WHERE a.story_id = c.story_id AND a.kind = 'merge' AND a.state = 'pending')
    AND NOT EXISTS (SELECT 1 FROM story_needs n JOIN stories needed ON needed.id = n.needs_id
                    WHERE n.story_id = c.story_id AND needed.state <> 'done')
    AND (c.state <> 'commit' OR NOT EXISTS (SELECT 1 FROM pulls r WHERE r.story_id = c.story_id
                                            AND r.state IN ('wanted', 'open')))
"""


class Changes(TypedDict, total=False):
    """Columns that a move or a patch may set besides the state."""

    base_commit: str | None
    red_commit: str | None
    head_commit: str | None
    session_id: str | None
    spec: str
    feedback: str
    blocked_reason: str
    merge_commit: str | None
    hold: str
    held_by: str | None
    by_hand: bool
    conflicts: int
    rebase_onto: str | None
    parked: bool


_COLUMNS = frozenset(Changes.__annotations__)


def from_row(row: sqlite3.Row) -> Cycle:
    return Cycle(
        story_id=row["story_id"],
        project=row["project"],
        state=CycleState(row["state"]),
        attempt=row["attempt"],
        base_commit=row["base_commit"],
        red_commit=row["red_commit"],
        head_commit=row["head_commit"],
        session_id=row["session_id"],
        spec=row["spec"],
        feedback=row["feedback"],
        blocked_reason=row["blocked_reason"],
        merge_commit=row["merge_commit"],
        generation=row["generation"],
        started_at=from_time(row["started_at"]),
        updated_at=from_time(row["updated_at"]),
        hold=Hold(row["hold"]),
        held_by=row["held_by"],
        by_hand=bool(row["by_hand"]),
        conflicts=row["conflicts"],
        rebase_onto=row["rebase_onto"],
        parked=bool(row["parked"]),
    )


def begin(tx: Transaction, story: Story) -> Cycle:
    """In DESIGN, attempt 1, generation 0. The story's own state is the caller's.

    Raises LostRace when the story has a cycle, NotFound when there is no such story.
    """
    if get(tx.conn, story.id) is not None:
        raise LostRace(f"Story {story.id} has a cycle already.")
    try:
        row = tx.conn.execute(
            "INSERT INTO cycles (story_id, project, state, attempt, spec, feedback, blocked_reason,"
            " generation, started_at, updated_at) VALUES (?, ?, ?, 1, '', '', '', 0, ?, ?) RETURNING *",
            (story.id, story.project, CycleState.DESIGN.value, tx.now_text, tx.now_text),
        ).fetchone()
    except sqlite3.IntegrityError as error:
        raise NotFound(f"There is no story '{story.id}'.") from error
    return from_row(row)


def get(conn: sqlite3.Connection, story_id: str) -> Cycle | None:
    """None before the story's cycle began."""
    row = conn.execute("SELECT * FROM cycles WHERE story_id = ?", (story_id,)).fetchone()
    return None if row is None else from_row(row)


def of_project(conn: sqlite3.Connection, project: str | None = None) -> tuple[Cycle, ...]:
    """One project's cycles, or all, in the order in which they began."""
    where, parameters = ("", ()) if project is None else ("WHERE project = ?", (project,))
    rows = conn.execute(f"SELECT * FROM cycles {where} ORDER BY started_at, story_id", parameters)  # noqa: S608
    return tuple(from_row(row) for row in rows)


def runnable(conn: sqlite3.Connection, project: str | None = None) -> tuple[Cycle, ...]:
    """Cycles whose next phase may start now, most urgent first, then longest untouched.

    Not over, not blocked, not held, not leased, no merge approval pending, every story that it needs DONE;
    the story ACTIVE, its project ACTIVE and in SPRINT_ACTIVE.
    """
    own, parameters = ("", ()) if project is None else (" AND c.project = ?", (project,))
    rows = conn.execute(
        f"SELECT c.* FROM projects p, cycles c, stories s WHERE {RUNNABLE}{own}"  # noqa: S608 - fixed text
        " ORDER BY s.priority_rank, c.updated_at, s.place, s.number, c.story_id",
        parameters,
    )
    return tuple(from_row(row) for row in rows)


# How many begun stories are looked at beside those asked for: they are sorted by priority, which their index
# does not know.
_BEGUN_LOOKED_AT = 100


def ready(
    conn: sqlite3.Connection, project: str, *, most: int, merges: int = 8
) -> tuple[tuple[Cycle, Priority], ...]:
    """The first of a project's runnable cycles: up to `merges` that wait to be merged and up to `most` other
    begun ones, by priority, then longest untouched; and up to `most` that never ran, by priority, then by
    their place in the backlog.

    However many there are, few rows are read (indexes cycles_begun and stories_active). Of very many begun
    ones those untouched longest are looked at.
    """

    def begun(guard: str, most: int) -> list[sqlite3.Row]:
        rows = conn.execute(
            "SELECT c.*, s.priority AS story_priority, s.priority_rank FROM projects p CROSS JOIN cycles c"  # noqa: S608
            " CROSS JOIN stories s WHERE p.name = ? AND c.project = p.name AND c.generation > 0"
            f" AND {guard} AND {RUNNABLE} ORDER BY c.updated_at LIMIT ?",
            (project, most + _BEGUN_LOOKED_AT),
        ).fetchall()
        return sorted(rows, key=lambda row: row["priority_rank"])[:most]

    fresh = conn.execute(
        "SELECT c.*, s.priority AS story_priority FROM projects p CROSS JOIN stories s"  # noqa: S608
        f" CROSS JOIN cycles c WHERE p.name = ? AND s.project = p.name AND c.generation = 0 AND {RUNNABLE}"
        " ORDER BY s.priority_rank, s.place, s.number LIMIT ?",
        (project, most),
    )
    rows = (*begun("c.state = 'commit'", merges), *begun("c.state <> 'commit'", most), *fresh)
    return tuple((from_row(row), Priority(row["story_priority"])) for row in rows)


def move(
    tx: Transaction, story_id: str, event: CycleEvent, *, state: CycleState, **changes: Unpack[Changes]
) -> Cycle:
    """Follows the arrow from `state`: attempt 1 of the new state, no longer blocked, nothing parked. Whoever
    leaves COMMIT for elsewhere than DONE waits for no pull request any more.

    Raises InvalidTransition when there is no such arrow, LostRace when the cycle is not in `state`.
    """
    new = next_state(CYCLE, state, event, entity=f"The cycle of {story_id}")
    reset = {"blocked_reason": "", "parked": False}
    if state is CycleState.COMMIT and event is not CycleEvent.PASSED:
        pulls.close(tx, story_id)
    return _update(tx, story_id, state, {**reset, **changes, "state": new.value, "attempt": 1})


def retry(
    tx: Transaction,
    story_id: str,
    *,
    state: CycleState,
    feedback: str,
    session_id: str | EllipsisType | None = ...,
) -> Cycle:
    """The same phase again, attempt + 1, with what to do better. The session is kept unless given."""
    changes: dict[str, Any] = {"feedback": feedback}
    if session_id is not ...:
        changes["session_id"] = session_id
    return _update(tx, story_id, state, changes, also="attempt = attempt + 1, ")


def block(tx: Transaction, story_id: str, *, state: CycleState, reason: str) -> Cycle:
    """Out of retries: people are asked. Raises LostRace when it is blocked already."""
    if not reason.strip():
        raise InvalidInput("A blocked story needs a reason.")
    return _update(tx, story_id, state, {"blocked_reason": reason}, guard=" AND blocked_reason = ''")


def unblock(tx: Transaction, story_id: str, feedback: str) -> Cycle:
    """A person helped: the same phase from attempt 1. Raises LostRace when it is not blocked."""
    changes = {"blocked_reason": "", "feedback": feedback, "attempt": 1}
    guard = " AND blocked_reason <> '' AND state NOT IN ('done', 'aborted')"
    return _update(tx, story_id, None, changes, guard=guard)


def patch(tx: Transaction, story_id: str, *, state: CycleState, **changes: Unpack[Changes]) -> Cycle:
    """Sets columns without moving."""
    return _update(tx, story_id, state, {**changes})


def _update(
    tx: Transaction,
    story_id: str,
    state: CycleState | None,
    changes: dict[str, Any],
    *,
    also: str = "",
    guard: str = "",
) -> Cycle:
    """The one guarded update. Column names come from this module and `Changes`, never from outside."""
    if unknown := changes.keys() - _COLUMNS - {"state", "attempt"}:
        raise TypeError(f"a cycle has no {', '.join(sorted(unknown))} to change")
    columns = "".join(f"{name} = ?, " for name in changes)
    values = [to_text(value) if isinstance(value, str) else value for value in changes.values()]
    parameters = [*values, tx.now_text, story_id]
    if state is not None:
        guard += " AND state = ?"
        parameters.append(state.value)
    row = tx.conn.execute(
        f"UPDATE cycles SET {columns}{also}updated_at = ? WHERE story_id = ?{guard} RETURNING *",  # noqa: S608
        parameters,
    ).fetchone()
    if row is None:
        raise _lost(tx, story_id, state)
    return from_row(row)


def _lost(tx: Transaction, story_id: str, state: CycleState | None) -> LostRace | NotFound:
    cycle = get(tx.conn, story_id)
    if cycle is None:
        return NotFound(f"Story {story_id} has no cycle.", hint="It begins when its sprint starts.")
    blocked = f", blocked ({cycle.blocked_reason})" if cycle.blocked_reason else ""
    expected = f"it was expected in {state}" if state is not None else "it was expected to be blocked"
    return LostRace(f"The cycle of {story_id} moved on.", why=f"It is in {cycle.state}{blocked}; {expected}.")
