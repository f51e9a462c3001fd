"""How every project stands now, as it is measured: one look, as dear as there is work, not history."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.store.columns import from_time, to_time

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStanding:
    """`queue_seconds`: of the story that waits the longest; None: none waits."""

    agents: int = 0
    cycles: int = 0
    waiting: int = 0
    queue_seconds: float | None = None
    blocked: int = 0
    open: int = 0  # stories in the cycle, blocked ones too
    questions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`projects`: of all that are not archived, by name."""

    projects: Mapping[str, ProjectStanding] = field(default_factory=dict)
    active: int = 0
    outbox_pending: int = 0
    outbox_dead: int = 0


# A story waits that could run: not blocked, held, asked about or at work, with all done that it needs; since
# its cycle last moved or its last phase ended.
_STORIES = """
    SELECT s.project,
        count(*) AS open,
        sum(c.blocked_reason <> '') AS blocked,
        sum(c.generation > 0 AND c.blocked_reason = '') AS begun,
        sum(w.waits) AS waiting,
        min(iif(w.waits, max(c.updated_at, coalesce(w.ended, '')), NULL)) AS since
    FROM stories s JOIN cycles c ON c.story_id = s.id JOIN projects p ON p.name = s.project
    JOIN (
        SELECT a.story_id AS story_id,
            a.blocked_reason = '' AND a.hold NOT IN ('stopped', 'taken')
            AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.story_id = a.story_id AND l.released_at IS NULL)
            AND NOT EXISTS (SELECT 1 FROM approvals q WHERE q.story_id = a.story_id AND q.state = 'pending')
            AND NOT EXISTS (SELECT 1 FROM story_needs n LEFT JOIN cycles d ON d.story_id = n.needs_id
                            WHERE n.story_id = a.story_id AND coalesce(d.state, '') <> 'done') AS waits,
            (SELECT max(l.released_at) FROM leases l WHERE l.story_id = a.story_id) AS ended
        FROM stories o JOIN cycles a ON a.story_id = o.id WHERE o.state = 'active'
    ) w ON w.story_id = s.id
    WHERE s.state = 'active' GROUP BY s.project
"""


def standing(conn: sqlite3.Connection, now: datetime) -> Standing:
    rows = conn.execute("SELECT name, status, workflow FROM projects WHERE status <> 'archived'").fetchall()
    agents = _by_project(
        conn, "SELECT project, count(*) FROM processes WHERE kind = 'agent' GROUP BY project"
    )
    asked = "SELECT project, count(*) FROM approvals WHERE state = 'pending' GROUP BY project"
    questions = _by_project(conn, asked)
    work = {row["project"]: row for row in conn.execute(_STORIES)}
    found: dict[str, ProjectStanding] = {}
    for name, status, workflow in rows:
        own = work.get(name)
        runs = status == "active" and workflow == "SPRINT_ACTIVE"
        found[name] = ProjectStanding(
            agents=agents.get(name, 0),
            cycles=own["begun"] if own else 0,
            waiting=own["waiting"] if own and runs else 0,
            queue_seconds=_seconds(own["since"], now) if own and runs and own["waiting"] else None,
            blocked=own["blocked"] if own else 0,
            open=own["open"] if own else 0,
            questions=questions.get(name, 0),
        )
    return Standing(
        projects=found,
        active=sum(status == "active" for _, status, _ in rows),
        outbox_pending=_one(conn, "SELECT count(*) FROM outbox WHERE state = 'pending'"),
        outbox_dead=_one(conn, "SELECT count(*) FROM outbox WHERE state = 'dead'"),
    )


def _seconds(since: str | None, now: datetime) -> float | None:
    """0 when the clock was put back."""
    return None if since is None else max(0.0, (now - from_time(since)).total_seconds())


def _by_project(conn: sqlite3.Connection, asked: str) -> dict[str, int]:
    return {row[0]: row[1] for row in conn.execute(asked)}


def _one(conn: sqlite3.Connection, asked: str) -> int:
    return int(conn.execute(asked).fetchone()[0])


class LedgerSums:
    """What each project's calls came to. The ledger only grows, so most of it is summed up once an hour only.
    For one reader at a time."""

    def __init__(self) -> None:
        self._until: datetime | None = None
        self._old: dict[str, tuple[int, int]] = {}

    def read(self, conn: sqlite3.Connection, now: datetime) -> dict[str, tuple[int, int]]:
        """Tokens and microdollars, by project; those without a call are left out."""
        if self._until is None or not _HOUR <= now - self._until <= 2 * _HOUR:
            self._until = now - _HOUR  # a call may be recorded some time after it was made
            self._old = self._sum(conn, "", to_time(self._until))
        found = dict(self._old)
        for project, (tokens, money) in self._sum(conn, to_time(self._until), None).items():
            before = found.get(project, (0, 0))
            found[project] = (before[0] + tokens, before[1] + money)
        return found

    @staticmethod
    def _sum(conn: sqlite3.Connection, since: str, until: str | None) -> dict[str, tuple[int, int]]:
        """By project, so that the index which holds it all is read alone."""
        asked = (
            "SELECT p.name, sum(m.tokens), sum(m.microdollars) FROM projects p"
            " CROSS JOIN model_calls m ON m.project = p.name"
            " WHERE m.at >= ? AND (? IS NULL OR m.at < ?) GROUP BY p.name"
        )
        return {name: (tokens, money) for name, tokens, money in conn.execute(asked, (since, until, until))}
