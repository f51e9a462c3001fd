"""What the gates saw: every verdict with its evidence, passed or refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.domain.evidence import Verdict
from core.domain.lifecycles import Phase
from core.store.columns import from_time, from_verdict, to_verdict
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    phase: Phase
    attempt: int
    at: datetime
    verdict: Verdict
    commit: str | None  # what the gate's pass was recorded as


def from_row(row: sqlite3.Row) -> GateRow:
    return GateRow(
        phase=Phase(row["phase"]),
        attempt=row["attempt"],
        at=from_time(row["at"]),
        verdict=from_verdict(row["verdict"]),
        commit=row["commit_hash"],
    )


def add(
    tx: Transaction, story_id: str, *, phase: Phase, attempt: int, verdict: Verdict, commit: str | None = None
) -> GateRow:
    tx.conn.execute(
        "INSERT INTO gates (story_id, phase, attempt, at, passed, verdict, commit_hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (story_id, phase.value, attempt, tx.now_text, int(verdict.passed), to_verdict(verdict), commit),
    )
    return GateRow(phase=phase, attempt=attempt, at=tx.now, verdict=verdict, commit=commit)


def of_story(conn: sqlite3.Connection, story_id: str) -> tuple[GateRow, ...]:
    """Oldest first."""
    rows = conn.execute("SELECT * FROM gates WHERE story_id = ? ORDER BY id", (story_id,))
    return tuple(from_row(row) for row in rows)


def of_sprint(conn: sqlite3.Connection, sprint_id: str) -> Mapping[str, tuple[GateRow, ...]]:
    """By story, oldest first; stories without any are left out."""
    found: dict[str, tuple[GateRow, ...]] = {}
    for row in conn.execute(
        "SELECT g.* FROM stories s JOIN gates g ON g.story_id = s.id WHERE s.sprint_id = ? ORDER BY g.id",
        (sprint_id,),
    ):
        found[row["story_id"]] = (*found.get(row["story_id"], ()), from_row(row))
    return found


def count_refused(conn: sqlite3.Connection, sprint_id: str) -> int:
    """How often a gate said no to the sprint's stories."""
    count: int = conn.execute(
        "SELECT count(*) FROM stories s JOIN gates g ON g.story_id = s.id"
        " WHERE s.sprint_id = ? AND NOT g.passed",
        (sprint_id,),
    ).fetchone()[0]
    return count


def last_passed(conn: sqlite3.Connection, story_id: str, phase: Phase) -> GateRow | None:
    row = conn.execute(
        "SELECT * FROM gates WHERE story_id = ? AND phase = ? AND passed = 1 ORDER BY id DESC LIMIT 1",
        (story_id, phase.value),
    ).fetchone()
    return None if row is None else from_row(row)
