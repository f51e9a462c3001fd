"""Agents' turns and the sessions that they make up; forks of sessions, and links between them.

A session is what one agent did for one story under one name of its own: it is read off its turns' rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.domain.lifecycles import Phase
from core.domain.session import How, TurnOutcome
from core.errors import NotFound
from core.store.columns import from_optional_time, from_time, to_text, to_time
from core.store.transaction import Transaction


class Kept(StrEnum):
    """A transcript."""

    KEPT = "kept"
    PRUNED = "pruned"  # it was older than they are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTurn:
    """One turn of an agent. `turn_id` is `<story or epic>.<generation>`."""

    turn_id: str
    project: str
    subject: str  # a story's id, or an epic's
    phase: Phase
    attempt: int
    generation: int
    run_id: str  # of its calls to models; "" where no gateway saw them
    agent: str
    session_id: str | None
    how: How
    why: str  # why it was not taken up as it was; a sentence or ""
    template: str
    template_version: int
    template_source: str  # the file; "": the one that came with Orchard
    prompt_sha256: str  # of the prompt as it was sent
    outcome: TurnOutcome
    error: str
    tools: int
    started_at: datetime
    ended_at: datetime
    transcript: str  # relative to the folder of transcripts
    transcript_state: Kept = Kept.KEPT
    pruned_at: datetime | None = None
    seq: int = 0  # rises with each row; 0 before it is written


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSession:
    """Turns of one agent for one story that share its name for the session."""

    project: str
    subject: str
    agent: str
    session_id: str | None  # None: a turn that came to no session
    turns: tuple[SessionTurn, ...]  # oldest first, one at least

    @property
    def last(self) -> SessionTurn:
        return self.turns[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFork:
    story_id: str
    turn_id: str  # the turn that it goes on from
    at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLink:
    story_id: str  # whose agents are told
    linked_id: str  # of this one
    at: datetime
    by: str


def turn_id_of(subject: str, generation: int) -> str:
    return f"{subject}.{generation}"


def from_row(row: sqlite3.Row) -> SessionTurn:
    return SessionTurn(
        turn_id=row["turn_id"],
        project=row["project"],
        subject=row["subject"],
        phase=Phase(row["phase"]),
        attempt=row["attempt"],
        generation=row["generation"],
        run_id=row["run_id"],
        agent=row["agent"],
        session_id=row["session_id"],
        how=How(row["how"]),
        why=row["why"],
        template=row["template"],
        template_version=row["template_version"],
        template_source=row["template_source"],
        prompt_sha256=row["prompt_sha256"],
        outcome=TurnOutcome(row["kind"]),
        error=row["error"],
        tools=row["tools"],
        started_at=from_time(row["started_at"]),
        ended_at=from_time(row["ended_at"]),
        transcript=row["transcript"],
        transcript_state=Kept(row["transcript_state"]),
        pruned_at=from_optional_time(row["pruned_at"]),
        seq=row["seq"],
    )


def record(tx: Transaction, turn: SessionTurn) -> bool:
    """Whether it is new: a turn that is recorded already stays as it is."""
    cursor = tx.conn.execute(
        "INSERT INTO session_turns (turn_id, project, subject, phase, attempt, generation, run_id, agent,"
        " session_id, how, why, template, template_version, template_source, prompt_sha256, kind, error,"
        " tools, started_at, ended_at, transcript, transcript_state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'kept')"
        " ON CONFLICT DO NOTHING",
        (
            turn.turn_id,
            turn.project,
            turn.subject,
            turn.phase.value,
            turn.attempt,
            turn.generation,
            turn.run_id,
            to_text(turn.agent),
            None if turn.session_id is None else to_text(turn.session_id),
            turn.how.value,
            to_text(turn.why),
            to_text(turn.template),
            turn.template_version,
            to_text(turn.template_source),
            turn.prompt_sha256,
            turn.outcome.value,
            to_text(turn.error),
            turn.tools,
            to_time(turn.started_at),
            to_time(turn.ended_at),
            to_text(turn.transcript),
        ),
    )
    return cursor.rowcount == 1


def find_turn(conn: sqlite3.Connection, turn_id: str) -> SessionTurn | None:
    row = conn.execute("SELECT * FROM session_turns WHERE turn_id = ?", (turn_id,)).fetchone()
    return None if row is None else from_row(row)


def turns_of(conn: sqlite3.Connection, subject: str) -> tuple[SessionTurn, ...]:
    """A story's or an epic's, oldest first."""
    rows = conn.execute("SELECT * FROM session_turns WHERE subject = ? ORDER BY generation", (subject,))
    return tuple(from_row(row) for row in rows)


def last_turns(conn: sqlite3.Connection, subject: str, limit: int) -> tuple[SessionTurn, ...]:
    """The last so many of a story's or an epic's, oldest first."""
    rows = conn.execute(
        "SELECT * FROM session_turns WHERE subject = ? ORDER BY generation DESC LIMIT ?", (subject, limit)
    )
    return tuple(from_row(row) for row in rows)[::-1]


def turns(
    conn: sqlite3.Connection, *, project: str | None = None, after: int = 0, limit: int
) -> tuple[SessionTurn, ...]:
    """One project's or all, in the order in which they were recorded, of `seq` above `after`."""
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM session_turns WHERE seq > ?{where} ORDER BY seq LIMIT ?",  # noqa: S608 - fixed texts
        (after, *parameters, limit),
    )
    return tuple(from_row(row) for row in rows)


def latest(conn: sqlite3.Connection, *, project: str | None = None, limit: int) -> tuple[SessionTurn, ...]:
    """The last so many that were recorded, of one project or all, oldest first."""
    where, parameters = ("", ()) if project is None else (" WHERE project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM session_turns{where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - fixed texts
        (*parameters, limit),
    )
    return tuple(from_row(row) for row in rows)[::-1]


def count_after(conn: sqlite3.Connection, seq: int) -> int:
    """How many turns were recorded since."""
    return int(conn.execute("SELECT count(*) FROM session_turns WHERE seq > ?", (seq,)).fetchone()[0])


def sessions_in(turns: Sequence[SessionTurn]) -> tuple[AgentSession, ...]:
    """The sessions that these turns make up, in the order of their last turns. A turn that came to no session
    stands for itself."""
    found: dict[tuple[str, str, str], list[SessionTurn]] = {}
    for turn in turns:
        key = (turn.subject, turn.agent, turn.session_id or f"\0{turn.turn_id}")
        found.setdefault(key, []).append(turn)
    made = [
        AgentSession(
            project=group[0].project,
            subject=subject,
            agent=agent,
            session_id=group[0].session_id,
            turns=tuple(group),
        )
        for (subject, agent, _), group in found.items()
    ]
    return tuple(sorted(made, key=lambda one: (one.last.ended_at, one.last.turn_id)))


def get_turn(conn: sqlite3.Connection, turn_id: str) -> SessionTurn:
    """Raises NotFound."""
    if (turn := find_turn(conn, turn_id)) is None:
        raise NotFound(f"There is no turn '{turn_id}'.", hint="See what there is: orchard sessions list.")
    return turn


def of_session(conn: sqlite3.Connection, session_id: str) -> tuple[SessionTurn, ...]:
    """By an agent's own name for it, oldest first."""
    rows = conn.execute("SELECT * FROM session_turns WHERE session_id = ? ORDER BY seq", (session_id,))
    return tuple(from_row(row) for row in rows)


def tokens_of(conn: sqlite3.Connection, subject: str) -> dict[str, tuple[int, int]]:
    """Tokens and microdollars of a story's calls, by the run that they belong to; by the ledger."""
    rows = conn.execute(
        "SELECT run_id, sum(tokens) AS tokens, sum(microdollars) AS microdollars FROM model_calls"
        " WHERE story_id = ? GROUP BY run_id",
        (subject,),
    )
    return {row["run_id"]: (row["tokens"], row["microdollars"]) for row in rows}


def unreported(conn: sqlite3.Connection) -> tuple[tuple[str, str, int], ...]:
    """Project, story or epic, generation: of what was begun last, runs no more, is not over, has no row."""
    rows = conn.execute(
        "SELECT project, subject, generation FROM ("
        " SELECT project, story_id AS subject, generation FROM cycles"
        " WHERE generation > 0 AND state NOT IN ('done', 'aborted')"
        " UNION ALL SELECT project, id, generation FROM epics WHERE generation > 0 AND state = 'designing')"
        " AS begun WHERE NOT EXISTS (SELECT 1 FROM session_turns t"
        " WHERE t.subject = begun.subject AND t.generation = begun.generation)"
        " AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.story_id = begun.subject AND l.released_at IS NULL)"
    )
    return tuple((row["project"], row["subject"], row["generation"]) for row in rows)


# Keeping and pruning

# Stories at work, and those that a person may let go on: their transcripts are what a session is seeded from.
_RUNNING = """
    SELECT c.story_id FROM cycles c JOIN stories s ON s.id = c.story_id
    WHERE s.state NOT IN ('done', 'skipped', 'aborted', 'removed')
    UNION ALL SELECT id FROM epics WHERE state = 'designing'
"""


def running(conn: sqlite3.Connection) -> frozenset[str]:
    """Stories and epics that are not over: nothing of them is pruned."""
    return frozenset(row[0] for row in conn.execute(_RUNNING))


def prunable(conn: sqlite3.Connection, before: datetime, *, limit: int) -> tuple[SessionTurn, ...]:
    """Kept transcripts of turns that ended before, of stories that are over; the oldest first."""
    rows = conn.execute(
        "SELECT * FROM session_turns WHERE transcript_state = 'kept' AND ended_at < ?"  # noqa: S608
        f" AND subject NOT IN ({_RUNNING}) ORDER BY ended_at LIMIT ?",
        (to_time(before), limit),
    )
    return tuple(from_row(row) for row in rows)


def mark_pruned(tx: Transaction, turn_ids: Sequence[str]) -> int:
    """How many are new to it."""
    return sum(
        tx.conn.execute(
            "UPDATE session_turns SET transcript_state = 'pruned', pruned_at = ?"
            " WHERE turn_id = ? AND transcript_state = 'kept'",
            (tx.now_text, turn_id),
        ).rowcount
        for turn_id in turn_ids
    )


# Forks and links


def fork(tx: Transaction, *, story_id: str, turn_id: str, by: str) -> SessionFork:
    """In the place of one that was there."""
    tx.conn.execute(
        "INSERT INTO session_forks (story_id, turn_id, at, by) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (story_id) DO UPDATE"
        " SET turn_id = excluded.turn_id, at = excluded.at, by = excluded.by",
        (story_id, turn_id, tx.now_text, to_text(by)),
    )
    return SessionFork(story_id=story_id, turn_id=turn_id, at=tx.now, by=by)


def fork_of(conn: sqlite3.Connection, story_id: str) -> SessionFork | None:
    row = conn.execute("SELECT * FROM session_forks WHERE story_id = ?", (story_id,)).fetchone()
    if row is None:
        return None
    return SessionFork(
        story_id=row["story_id"], turn_id=row["turn_id"], at=from_time(row["at"]), by=row["by"]
    )


def link(tx: Transaction, *, story_id: str, linked_id: str, by: str) -> bool:
    """Whether it is new."""
    cursor = tx.conn.execute(
        "INSERT INTO session_links (story_id, linked_id, at, by) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (story_id, linked_id, tx.now_text, to_text(by)),
    )
    return cursor.rowcount == 1


def unlink(tx: Transaction, *, story_id: str, linked_id: str) -> bool:
    """Whether there was one."""
    cursor = tx.conn.execute(
        "DELETE FROM session_links WHERE story_id = ? AND linked_id = ?", (story_id, linked_id)
    )
    return cursor.rowcount == 1


def links_of(conn: sqlite3.Connection, story_id: str) -> tuple[SessionLink, ...]:
    """Oldest first."""
    rows = conn.execute("SELECT * FROM session_links WHERE story_id = ? ORDER BY at, linked_id", (story_id,))
    return tuple(
        SessionLink(
            story_id=row["story_id"], linked_id=row["linked_id"], at=from_time(row["at"]), by=row["by"]
        )
        for row in rows
    )
