"""Sprints that wait for their agent's usage limit: one row a project, gone when the sprint goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from core.domain.event import EventKind
from core.store.columns import from_optional_time, from_time, to_text, to_time
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePause:
    project: str
    agent: str
    reason: str  # what the provider said; untrusted
    since: datetime
    until: datetime | None  # when it is tried again, or when the provider said that it goes on; None: unknown
    resumes: bool  # by itself, at `until`
    tries: int  # the how manieth pause in a row, without a passed gate in between


def from_row(row: sqlite3.Row) -> UsagePause:
    return UsagePause(
        project=row["project"],
        agent=row["agent"],
        reason=row["reason"],
        since=from_time(row["since"]),
        until=from_optional_time(row["until"]),
        resumes=bool(row["resumes"]),
        tries=row["tries"],
    )


def begin(
    tx: Transaction,
    project: str,
    *,
    agent: str,
    reason: str,
    until: datetime | None,
    resumes: bool,
    tries: int,
) -> UsagePause:
    """In the place of one that was left behind. Workflow and event are the caller's."""
    row = tx.conn.execute(
        "INSERT OR REPLACE INTO usage_pauses (project, agent, reason, since, until, resumes, tries)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
        (
            project,
            agent,
            to_text(reason),
            tx.now_text,
            None if until is None else to_time(until),
            int(resumes),
            tries,
        ),
    ).fetchone()
    return from_row(row)


def prolong(tx: Transaction, project: str, until: datetime) -> None:
    """Nothing where there is no pause."""
    tx.conn.execute("UPDATE usage_pauses SET until = ? WHERE project = ?", (to_time(until), project))


def end(tx: Transaction, project: str, *, by: str) -> UsagePause | None:
    """Ends the pause and emits USAGE_RESET; None when there is none. The workflow is the caller's."""
    row = tx.conn.execute("DELETE FROM usage_pauses WHERE project = ? RETURNING *", (project,)).fetchone()
    if row is None:
        return None
    pause = from_row(row)
    tx.emit(EventKind.USAGE_RESET, project=project, actor=by, data={"agent": pause.agent, "by": by})
    return pause


def find(conn: sqlite3.Connection, project: str) -> UsagePause | None:
    row = conn.execute("SELECT * FROM usage_pauses WHERE project = ?", (project,)).fetchone()
    return None if row is None else from_row(row)


def due(conn: sqlite3.Connection, now: datetime) -> tuple[UsagePause, ...]:
    """Those that end by themselves, and whose time has come."""
    rows = conn.execute(
        "SELECT * FROM usage_pauses WHERE resumes = 1 AND until <= ? ORDER BY until, project", (to_time(now),)
    )
    return tuple(from_row(row) for row in rows)


def resumed_in_a_row(conn: sqlite3.Connection, project: str) -> int:
    """How often the project's sprint went on by itself since a gate passed or a person resumed it."""
    count: int = conn.execute(
        """
        SELECT count(*) FROM events WHERE project = :project AND kind = 'usage_reset' AND actor = 'orchard'
        AND seq > coalesce((SELECT max(seq) FROM events WHERE project = :project
                            AND (kind = 'gate_passed' OR (kind = 'usage_reset' AND actor <> 'orchard'))), 0)
        """,
        {"project": project},
    ).fetchone()[0]
    return count


# -- providers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A provider takes no more work until then, for all that depend on it."""

    provider: str
    kind: str  # of the refusal: quota, credit, auth
    reason: str  # its own words; untrusted
    since: datetime
    until: datetime
    tries: int  # the how manieth in a row


def hold(tx: Transaction, provider: str, *, kind: str, reason: str, until: datetime, tries: int) -> None:
    """In the place of an earlier one; of two that are in force the later end counts."""
    tx.conn.execute(
        "INSERT INTO provider_holds (provider, kind, reason, since, until, tries) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (provider) DO UPDATE SET kind = excluded.kind, reason = excluded.reason,"
        " since = iif(until > excluded.since, since, excluded.since),"
        " until = max(until, excluded.until), tries = excluded.tries",
        (to_text(provider), kind, to_text(reason), tx.now_text, to_time(until), tries),
    )


def lift(tx: Transaction, providers: Iterable[str]) -> None:
    """Nothing for those that are not held."""
    tx.conn.executemany("DELETE FROM provider_holds WHERE provider = ?", [(each,) for each in providers])


def holds(conn: sqlite3.Connection) -> tuple[Hold, ...]:
    """Those that are over stay for a while: how many there were in a row is known by them."""
    return tuple(
        Hold(
            provider=row["provider"],
            kind=row["kind"],
            reason=row["reason"],
            since=from_time(row["since"]),
            until=from_time(row["until"]),
            tries=row["tries"],
        )
        for row in conn.execute("SELECT * FROM provider_holds ORDER BY provider")
    )
