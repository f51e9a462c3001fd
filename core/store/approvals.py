"""Approvals: durable questions to people, one pending a subject, answered once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from core.domain.access import AccessLevel
from core.domain.approval import Approval, ApprovalKind, ApprovalState, Asking, Circle, Unanswered, in_words
from core.domain.event import EventKind
from core.errors import InvalidInput, LostRace, NotAllowed, NotFound
from core.ids import new_id
from core.store.columns import (
    from_list,
    from_object,
    from_optional_time,
    from_time,
    to_list,
    to_object,
    to_text,
    to_time,
)
from core.store.transaction import Transaction


def from_row(row: sqlite3.Row) -> Approval:
    return Approval(
        id=row["id"],
        project=row["project"],
        story_id=row["story_id"],
        kind=ApprovalKind(row["kind"]),
        question=row["question"],
        detail=row["detail"],
        reasons=from_list(row["reasons"]),
        subject=row["subject"],
        state=ApprovalState(row["state"]),
        asked_at=from_time(row["asked_at"]),
        answered_at=from_optional_time(row["answered_at"]),
        answered_by=row["answered_by"],
        reason=row["reason"],
        circle=_circle(row["circle"]),
        due_at=from_optional_time(row["due_at"]),
        unanswered=Unanswered(row["unanswered"]),
        escalation=_circle(row["escalation"]),
        escalated_at=from_optional_time(row["escalated_at"]),
    )


def _circle(text: str) -> Circle:
    """A row of before circles were kept has an empty object: the default circle."""
    data = from_object(text)
    return Circle(
        level=AccessLevel[data.get("level", AccessLevel.CONTRIBUTOR.name)],
        roles=tuple(data.get("roles", ())),
        people=tuple(data.get("people", ())),
    )


def _from_circle(circle: Circle) -> str:
    return to_object({"level": circle.level.name, "roles": list(circle.roles), "people": list(circle.people)})


def ask(
    tx: Transaction,
    *,
    project: str,
    story_id: str,
    kind: ApprovalKind,
    subject: str,
    question: str,
    detail: str,
    reasons: Sequence[str],
    asking: Asking | None = None,
) -> Approval:
    """Asks, and emits APPROVAL_REQUESTED. The subject's pending approval, when there is one, is returned
    as it is: asking again after a crash asks nobody twice."""
    asking = asking or Asking()
    pending_row = tx.conn.execute(
        "SELECT * FROM approvals WHERE subject = ? AND state = 'pending'", (subject,)
    ).fetchone()
    if pending_row is not None:
        return from_row(pending_row)
    row = tx.conn.execute(
        "INSERT INTO approvals (id, project, story_id, kind, subject, question, detail, reasons, state,"
        " asked_at, circle, due_at, unanswered, escalation)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?) RETURNING *",
        (
            new_id("approval"),
            project,
            story_id,
            kind.value,
            subject,
            to_text(question),
            to_text(detail),
            to_list(reasons),
            tx.now_text,
            _from_circle(asking.circle),
            None if asking.within is None else to_time(tx.now + asking.within),
            asking.unanswered.value,
            _from_circle(asking.escalation),
        ),
    ).fetchone()
    approval = from_row(row)
    tx.emit(
        EventKind.APPROVAL_REQUESTED,
        project=project,
        story_id=story_id,
        data={
            "approval": approval.id,
            "kind": kind.value,
            "question": approval.question,
            "reasons": list(approval.reasons),
            "roles": list(approval.circle.roles),
            "people": list(approval.circle.people),
        },
    )
    return approval


def answer(
    tx: Transaction,
    id: str,  # noqa: A002
    *,
    state: ApprovalState,
    by: str,
    reason: str = "",
    level: AccessLevel | None = None,
) -> Approval:
    """Answers a pending approval, once, and emits APPROVAL_ANSWERED. `level`: what `by` was allowed by.

    Raises NotAllowed, naming who was first, when it is answered already; NotFound for no such approval.
    """
    if state is ApprovalState.PENDING:
        raise InvalidInput("An answer is approved, rejected or cancelled.")
    row = tx.conn.execute(
        "UPDATE approvals SET state = ?, answered_at = ?, answered_by = ?, reason = ?"
        " WHERE id = ? AND state = 'pending' RETURNING *",
        (state.value, tx.now_text, by, to_text(reason), id),
    ).fetchone()
    if row is None:
        raise too_late(get(tx.conn, id))
    approval = from_row(row)
    _tell(tx, approval, level)
    return approval


def too_late(answered: Approval) -> NotAllowed:
    return NotAllowed(
        f"This was already {answered.state} by {answered.answered_by}.",
        why=f"The question was: {answered.question}",
        hint="The first answer stands.",
    )


def refuse_attempt(
    tx: Transaction, approval: Approval, *, approve: bool, by: str, level: AccessLevel, why: str
) -> None:
    """Keeps in the history that somebody answered who may not."""
    tx.emit(
        EventKind.APPROVAL_REFUSED_ATTEMPT,
        project=approval.project,
        story_id=approval.story_id,
        actor=by,
        data={
            "approval": approval.id,
            "approve": approve,
            "by": by,
            "how": _how(by),
            "level": level.name.lower(),
            "why": why,
        },
    )


def overdue(conn: sqlite3.Connection, now: datetime) -> tuple[Approval, ...]:
    """Pending, their time over; the longest first."""
    rows = conn.execute(
        "SELECT * FROM approvals WHERE state = 'pending' AND due_at IS NOT NULL AND due_at <= ?"
        " ORDER BY due_at, id",
        (to_time(now),),
    )
    return tuple(from_row(row) for row in rows)


def remind(tx: Transaction, approval: Approval) -> Approval:
    """The question has no time any more and stays open; emits APPROVAL_OVERDUE. Raises LostRace when it was
    answered, or dealt with, meanwhile."""
    moved = _lapse(tx, approval, "due_at = NULL", ())
    _call(tx, EventKind.APPROVAL_OVERDUE, moved, moved.circles)
    return moved


def escalate(tx: Transaction, approval: Approval) -> Approval:
    """Asks the wider circle as well, with as much time again; emits APPROVAL_ESCALATED. Raises LostRace."""
    assert approval.within is not None  # it was due
    due_at = to_time(tx.now + approval.within)
    moved = _lapse(tx, approval, "escalated_at = ?, due_at = ?", (tx.now_text, due_at))
    _call(tx, EventKind.APPROVAL_ESCALATED, moved, (moved.escalation,))
    return moved


def shift_due(tx: Transaction, by: timedelta) -> None:
    """Moves every open deadline: the clock was set, and people keep the time that they had."""
    for approval in pending(tx.conn):
        if approval.due_at is not None:
            tx.conn.execute(
                "UPDATE approvals SET due_at = ? WHERE id = ? AND state = 'pending'",
                (to_time(approval.due_at + by), approval.id),
            )


def _lapse(tx: Transaction, approval: Approval, change: str, parameters: tuple[str, ...]) -> Approval:
    assert approval.due_at is not None
    row = tx.conn.execute(
        f"UPDATE approvals SET {change} WHERE id = ? AND state = 'pending' AND due_at = ? RETURNING *",  # noqa: S608
        (*parameters, approval.id, to_time(approval.due_at)),
    ).fetchone()
    if row is None:
        raise LostRace(f"{approval.id} was dealt with meanwhile.")
    return from_row(row)


def _call(tx: Transaction, kind: EventKind, approval: Approval, circles: Sequence[Circle]) -> None:
    tx.emit(
        kind,
        project=approval.project,
        story_id=approval.story_id,
        data={
            "approval": approval.id,
            "kind": approval.kind.value,
            "question": approval.question,
            "to": ", or ".join(map(in_words, circles)),
            "roles": [role for circle in circles for role in circle.roles],
            "people": [person for circle in circles for person in circle.people],
        },
    )


def cancel_of_story(
    tx: Transaction, story_id: str, kind: ApprovalKind | None = None, *, by: str = "orchard", reason: str = ""
) -> tuple[Approval, ...]:
    """Cancels what is pending, since the question went away; each is told as an answer."""
    where, parameters = ("", ()) if kind is None else (" AND kind = ?", (kind.value,))
    rows = tx.conn.execute(
        "UPDATE approvals SET state = 'cancelled', answered_at = ?, answered_by = ?, reason = ?"  # noqa: S608
        f" WHERE story_id = ? AND state = 'pending'{where} RETURNING *",
        (tx.now_text, by, to_text(reason), story_id, *parameters),
    ).fetchall()
    cancelled = tuple(from_row(row) for row in rows)
    for approval in cancelled:
        _tell(tx, approval)
    return cancelled


def find(conn: sqlite3.Connection, id: str) -> Approval | None:  # noqa: A002
    row = conn.execute("SELECT * FROM approvals WHERE id = ?", (id,)).fetchone()
    return None if row is None else from_row(row)


def get(conn: sqlite3.Connection, id: str) -> Approval:  # noqa: A002
    if (approval := find(conn, id)) is None:
        raise absent(id)
    return approval


def absent(id: str) -> NotFound:  # noqa: A002
    """Also of one that whoever asks may not know of."""
    return NotFound(f"There is no approval '{id[:80]}'.", hint="`orchard approve` lists what is pending.")


def pending(conn: sqlite3.Connection, project: str | None = None) -> tuple[Approval, ...]:
    """Oldest first."""
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM approvals WHERE state = 'pending'{where} ORDER BY asked_at, id",  # noqa: S608
        parameters,
    )
    return tuple(from_row(row) for row in rows)


def of_story(conn: sqlite3.Connection, story_id: str) -> tuple[Approval, ...]:
    """Oldest first, in every state."""
    rows = conn.execute("SELECT * FROM approvals WHERE story_id = ? ORDER BY asked_at, rowid", (story_id,))
    return tuple(from_row(row) for row in rows)


def _how(actor: str) -> str:
    """discord, cli, shell, orchard."""
    return actor.partition(":")[0]


def _tell(tx: Transaction, approval: Approval, level: AccessLevel | None = None) -> None:
    by = approval.answered_by or "orchard"
    tx.emit(
        EventKind.APPROVAL_ANSWERED,
        project=approval.project,
        story_id=approval.story_id,
        actor=by,
        data={
            "approval": approval.id,
            "kind": approval.kind.value,
            "state": approval.state.value,
            "by": by,
            "how": _how(by),
            "level": "" if level is None else level.name.lower(),
            "question": approval.question,
            "reason": approval.reason,
        },
    )
