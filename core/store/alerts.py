"""Alerts: one open one a rule and project, moved by `core.domain.alert.ALERT` alone.

A change that somebody may hear of is one transaction: the row, one ALERT_CHANGED event with the whole
alert, and its places in `alert_tellings`, which are behind until it was told there. What is only pending
makes neither: nobody was told of it, and when it clears it is as if it had never been.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from core.domain.alert import ALERT, Alert, AlertFact, AlertState, Route, Severity
from core.domain.event import EventKind
from core.domain.machine import next_state
from core.errors import LostRace, NotFound
from core.ids import new_id
from core.store import alert_tellings
from core.store.alert_tellings import Telling
from core.store.columns import from_list, from_optional_time, from_time, to_list, to_text, to_time
from core.store.transaction import Transaction

ORCHARD = "orchard"  # who does what nobody did
_LOUD = (AlertState.FIRING, AlertState.ACKNOWLEDGED)


def from_row(row: sqlite3.Row) -> Alert:
    return Alert(
        id=row["id"],
        rule=row["rule"],
        project=row["project"],
        state=AlertState(row["state"]),
        severity=Severity(row["severity"]),
        summary=row["summary"],
        hint=row["hint"],
        value=row["value"],
        since=from_time(row["since"]),
        changed_at=from_time(row["changed_at"]),
        seq=row["seq"],
        count=row["count"],
        worst=row["worst"],
        by=row["by"],
        until=from_optional_time(row["until"]),
        routes=tuple(Route(route) for route in from_list(row["routes"])),
    )


def as_data(alert: Alert) -> dict[str, Any]:
    """As JSON: the data of ALERT_CHANGED, and what feeds and webhooks say. Times as in columns."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "project": alert.project,
        "state": alert.state.value,
        "severity": alert.severity.value,
        "summary": alert.summary,
        "hint": alert.hint,
        "value": alert.value,
        "count": alert.count,
        "worst": alert.worst,
        "since": to_time(alert.since),
        "changed_at": to_time(alert.changed_at),
        "seq": alert.seq,
        "by": alert.by,
        "until": None if alert.until is None else to_time(alert.until),
        "routes": [route.value for route in alert.routes],
    }


def from_data(data: dict[str, Any]) -> Alert:
    """The alert of an event's data."""
    until = data["until"]
    return Alert(
        **{key: data[key] for key in ("id", "rule", "project", "summary", "hint", "value", "count", "worst")},
        **{key: data[key] for key in ("seq", "by")},
        state=AlertState(data["state"]),
        severity=Severity(data["severity"]),
        since=from_time(data["since"]),
        changed_at=from_time(data["changed_at"]),
        until=None if until is None else from_time(until),
        routes=tuple(Route(route) for route in data["routes"]),
    )


def begin(
    tx: Transaction,
    *,
    rule: str,
    project: str | None,
    severity: Severity,
    summary: str,
    hint: str,
    value: float,
    count: int,
    worst: str,
    routes: Iterable[Route],
) -> Alert | None:
    """A breach has begun: PENDING, and nobody hears of it. None where the project is not there any more.
    Raises LostRace when the rule's alert of this project is open already."""
    if project is not None:
        known = tx.conn.execute("SELECT 1 FROM projects WHERE name = ?", (project,)).fetchone()
        if known is None:
            return None
    row = tx.conn.execute(
        "INSERT INTO alerts (id, rule, project, state, severity, summary, hint, value, count, worst, routes,"
        " since, changed_at, seq) VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
        " ON CONFLICT DO NOTHING RETURNING *",
        (
            new_id("alert"),
            rule,
            project,
            severity.value,
            to_text(summary),
            to_text(hint),
            value,
            count,
            to_text(worst),
            to_list(route.value for route in routes),
            tx.now_text,
            tx.now_text,
        ),
    ).fetchone()
    if row is None:
        raise LostRace(f"The alert of {rule} is open already.")
    return from_row(row)


def move(
    tx: Transaction,
    alert: Alert,
    fact: AlertFact,
    *,
    by: str = "",
    until: datetime | None = None,
    severity: Severity | None = None,
    routes: Iterable[Route] = (),
    actor: str | None = None,
) -> Alert:
    """The alert as it is after the fact, told to whoever listens. `alert`: as it was last seen. `severity`:
    it is another by now, and is told by `routes`, too. `actor`: where it was not `by` who did it just now.

    What was pending and clears is gone from the store, and returned as resolved. Raises InvalidTransition
    where the table has no such arrow, LostRace when the row had moved on.
    """
    state = next_state(ALERT, alert.state, fact, entity=f"The alert {alert.id}")
    if (alert.state, state) == (AlertState.PENDING, AlertState.RESOLVED):
        return _drop(tx, alert)
    person = by if fact in (AlertFact.ACKNOWLEDGED, AlertFact.SILENCED) else alert.by
    # A silence outlasts the alert: what comes again meanwhile is silent, too.
    silent = until if fact is AlertFact.SILENCED else None if state is AlertState.FIRING else alert.until
    row = tx.conn.execute(
        "UPDATE alerts SET state = ?, severity = ?, routes = ?, by = ?, until = ?, changed_at = ?,"
        " seq = seq + 1 WHERE id = ? AND state = ? AND seq = ? RETURNING *",
        (
            state.value,
            (severity or alert.severity).value,
            _routes(alert, routes),
            to_text("" if state is AlertState.FIRING else person),
            None if silent is None else to_time(silent),
            tx.now_text,
            alert.id,
            alert.state.value,
            alert.seq,
        ),
    ).fetchone()
    return _told(tx, alert, row, actor or by or ORCHARD)


def prolong(tx: Transaction, alert: Alert, until: datetime, *, by: str) -> Alert:
    """Another end of a silence, later or earlier. Raises LostRace."""
    row = tx.conn.execute(
        "UPDATE alerts SET until = ?, by = ?, changed_at = ?, seq = seq + 1"
        " WHERE id = ? AND state = 'silenced' AND seq = ? RETURNING *",
        (to_time(until), to_text(by), tx.now_text, alert.id, alert.seq),
    ).fetchone()
    return _told(tx, alert, row, by)


def aggravate(tx: Transaction, alert: Alert, severity: Severity, routes: Iterable[Route]) -> Alert:
    """It became graver: told again, even where somebody had acknowledged it, by `routes` too. Raises
    LostRace."""
    row = tx.conn.execute(
        "UPDATE alerts SET severity = ?, routes = ?, changed_at = ?, seq = seq + 1"
        " WHERE id = ? AND state = ? AND seq = ? RETURNING *",
        (
            severity.value,
            _routes(alert, routes),
            tx.now_text,
            alert.id,
            alert.state.value,
            alert.seq,
        ),
    ).fetchone()
    return _told(tx, alert, row, ORCHARD)


def refresh(tx: Transaction, alert: Alert, *, value: float, count: int, worst: str, summary: str) -> None:
    """How it stands now, for whoever looks: it is no change, and nobody is told. Nothing when it is over."""
    tx.conn.execute(
        "UPDATE alerts SET value = ?, count = ?, worst = ?, summary = ? WHERE id = ? AND state <> 'resolved'",
        (value, count, to_text(worst), to_text(summary), alert.id),
    )


def forget_silence(tx: Transaction, alert: Alert, *, by: str) -> Alert:
    """Of one that is over, whose silence would hold for the next. Raises LostRace."""
    row = tx.conn.execute(
        "UPDATE alerts SET until = NULL, seq = seq + 1 WHERE id = ? AND state = 'resolved' AND seq = ?"
        " RETURNING *",
        (alert.id, alert.seq),
    ).fetchone()
    return _told(tx, alert, row, by)


def _routes(alert: Alert, more: Iterable[Route]) -> str:
    return to_list(route.value for route in dict.fromkeys((*alert.routes, *more)))


def _drop(tx: Transaction, alert: Alert) -> Alert:
    row = tx.conn.execute(
        "DELETE FROM alerts WHERE id = ? AND state = 'pending' AND seq = ? RETURNING *", (alert.id, alert.seq)
    ).fetchone()
    if row is None:
        raise LostRace(f"{alert.id} has moved on.")
    return from_row({**dict(row), "state": AlertState.RESOLVED.value, "seq": alert.seq + 1})  # type: ignore[arg-type]


def _told(tx: Transaction, before: Alert, row: sqlite3.Row | None, actor: str) -> Alert:
    if row is None:
        raise LostRace(f"{before.id} has moved on.")
    alert = from_row(row)
    # What is over, or silent, begins nowhere: it is told where it was told before.
    alert_tellings.owe(tx, alert.id, alert.routes if alert.state in _LOUD else ())
    tx.emit(EventKind.ALERT_CHANGED, project=alert.project, actor=actor, data=as_data(alert))
    return alert


# -- reading -------------------------------------------------------------------------------------------


def find(conn: sqlite3.Connection, id: str) -> Alert | None:  # noqa: A002
    row = conn.execute("SELECT * FROM alerts WHERE id = ?", (id,)).fetchone()
    return None if row is None else from_row(row)


def get(conn: sqlite3.Connection, id: str) -> Alert:  # noqa: A002
    if (alert := find(conn, id)) is None:
        raise absent(id)
    return alert


def absent(id: str) -> NotFound:  # noqa: A002
    """Also of one that whoever asks may not know of."""
    return NotFound(f"There is no alert '{id[:80]}'.", hint="`orchard alerts` lists what is open.")


def behind(conn: sqlite3.Connection, telling: Telling) -> tuple[Telling, Alert] | None:
    """Both as they are by now; None: it was told meanwhile, or is gone."""
    now = alert_tellings.find(conn, telling.alert, telling.route, telling.place)
    alert = find(conn, telling.alert)
    if now is None or alert is None or now.told_seq >= alert.seq:
        return None
    return now, alert


def unresolved(conn: sqlite3.Connection) -> tuple[Alert, ...]:
    """Every open one, pending ones too; oldest first."""
    rows = conn.execute("SELECT * FROM alerts WHERE state <> 'resolved' ORDER BY rowid")
    return tuple(from_row(row) for row in rows)


def listed(
    conn: sqlite3.Connection,
    *,
    project: str | None = None,
    open_only: bool = True,
    pending: bool = False,
    limit: int = 50,
    before: str | None = None,
) -> tuple[Alert, ...]:
    """The newest first, by when they began; `before`: an alert's id, the last of the page that was seen.
    Raises NotFound for no such alert."""
    where, values = "", []
    if project is not None:
        where += " AND project = ?"
        values.append(project)
    if open_only:
        where += " AND state <> 'resolved'"
    if not pending:
        where += " AND state <> 'pending'"
    if before is not None:
        get(conn, before)
        where += " AND rowid < (SELECT rowid FROM alerts WHERE id = ?)"
        values.append(before)
    rows = conn.execute(
        f"SELECT * FROM alerts WHERE 1{where} ORDER BY rowid DESC LIMIT ?",  # noqa: S608 - fixed texts
        (*values, limit),
    )
    return tuple(from_row(row) for row in rows)


def silence_of(conn: sqlite3.Connection, rule: str, project: str | None, now: datetime) -> Alert | None:
    """The last alert of this rule and project, where it is over and its silence is not."""
    row = conn.execute(
        "SELECT * FROM alerts WHERE rule = ? AND coalesce(project, '') = ? AND state = 'resolved'"
        " AND until > ? ORDER BY rowid DESC LIMIT 1",
        (rule, project or "", to_time(now)),
    ).fetchone()
    return None if row is None else from_row(row)


def lately(conn: sqlite3.Connection, since: datetime) -> dict[tuple[str, str | None], int]:
    """By rule and project how many were over since then; those without any are left out."""
    rows = conn.execute(
        "SELECT rule, project, count(*) AS number FROM alerts WHERE changed_at > ? AND state = 'resolved'"
        " GROUP BY rule, project",
        (to_time(since),),
    )
    return {(row["rule"], row["project"]): row["number"] for row in rows}


def prune(tx: Transaction, until: datetime) -> int:
    """Removes what was over before `until`, with its tellings. Returns how many."""
    return tx.conn.execute(
        "DELETE FROM alerts WHERE state = 'resolved' AND changed_at < ?", (to_time(until),)
    ).rowcount
