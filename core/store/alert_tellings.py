"""Where alerts are told, and up to which of their changes.

One row a place: what is behind (`owed`) is told once, as the alert is by then, however often it changed
meanwhile. Whoever tells it sends the newest state, remembers what was posted and marks the row with the
change that it told; a crash between the two sends again, which the message's own mark or the delivery's id
tells.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.alert import Route
from core.store.columns import from_time, to_text, to_time
from core.store.transaction import Transaction

_LONGEST_PAUSE = timedelta(hours=2)
_LONGEST_QUIET = timedelta(hours=26)  # somebody's quiet hours, of whom somebody put the clock back


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """`place`: a person for Route.DIRECT; "" for the one place that a route has, and for what stands for all
    people of Route.DIRECT. `message`: what was posted there, in the words of whoever posts. `told_as`: what
    was told last, likewise. `attempts`: that failed since something was told."""

    alert: str
    route: Route
    place: str
    message: str
    told_seq: int
    told_as: str
    attempts: int
    due_at: datetime
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What a route has not told, and why."""

    route: Route
    waiting: int
    error: str


def from_row(row: sqlite3.Row) -> Telling:
    return Telling(
        alert=row["alert"],
        route=Route(row["route"]),
        place=row["place"],
        message=row["message"],
        told_seq=row["told_seq"],
        told_as=row["told_as"],
        attempts=row["attempts"],
        due_at=from_time(row["due_at"]),
        last_error=row["last_error"],
    )


def owe(tx: Transaction, alert: str, routes: Iterable[Route]) -> None:
    """In the transaction that changed the alert: each place that knows of it, and each of these routes, is
    behind now. What waits after a failure goes on waiting: an alert that changes does not mend its way."""
    tx.conn.executemany(
        "INSERT INTO alert_tellings (alert, route, due_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(alert, route.value, tx.now_text) for route in routes],
    )
    tx.conn.execute(
        "UPDATE alert_tellings SET due_at = CASE WHEN owed AND attempts > 0 THEN due_at ELSE ? END, owed = 1"
        " WHERE alert = ?",
        (tx.now_text, alert),
    )


def due(conn: sqlite3.Connection, now: datetime, route: Route, limit: int) -> tuple[Telling, ...]:
    """What is behind by this route and whose time has come, the longest waiting first. Nothing waits as long
    as it says on a clock that was far ahead when it began: that is due, too."""
    far = now + (_LONGEST_QUIET if route is Route.DIRECT else _LONGEST_PAUSE)
    found: list[Telling] = []
    for bound, at in (("<=", now), (">", far)):
        rows = conn.execute(
            f"SELECT * FROM alert_tellings WHERE owed AND due_at {bound} ? AND route = ?"  # noqa: S608 - ours
            " ORDER BY due_at, alert, place LIMIT ?",
            (to_time(at), route.value, limit - len(found)),
        )
        found += map(from_row, rows)
    return tuple(found)


def next_due(conn: sqlite3.Connection, routes: Collection[Route]) -> datetime | None:
    """When the next of these is to be looked at; None: nothing is behind."""
    row = conn.execute(
        f"SELECT min(due_at) FROM alert_tellings WHERE owed AND route IN ({_marks(routes)})",  # noqa: S608
        tuple(route.value for route in routes),
    ).fetchone()
    return None if row[0] is None else from_time(row[0])


def find(conn: sqlite3.Connection, alert: str, route: Route, place: str = "") -> Telling | None:
    row = conn.execute(
        "SELECT * FROM alert_tellings WHERE alert = ? AND route = ? AND place = ?",
        (alert, route.value, place),
    ).fetchone()
    return None if row is None else from_row(row)


def of_alert(conn: sqlite3.Connection, alert: str) -> tuple[Telling, ...]:
    rows = conn.execute("SELECT * FROM alert_tellings WHERE alert = ? ORDER BY route, place", (alert,))
    return tuple(from_row(row) for row in rows)


def add_places(tx: Transaction, alert: str, route: Route, places: Iterable[str]) -> None:
    """More places of a route, to be told now; those that are there stay as they are."""
    tx.conn.executemany(
        "INSERT INTO alert_tellings (alert, route, place, due_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(alert, route.value, place, tx.now_text) for place in places],
    )


def told(tx: Transaction, telling: Telling, seq: int, *, message: str = "", told_as: str = "") -> None:
    """It was told as of that change. A change that came meanwhile is still owed."""
    _settle(tx, telling, seq, message=message, told_as=told_as, error="")


def give_up(tx: Transaction, telling: Telling, seq: int, error: str) -> None:
    """That change, and all before it, are told there no more; the next one is."""
    _settle(tx, telling, seq, message=telling.message, told_as=telling.told_as, error=error)


def failed(tx: Transaction, telling: Telling, error: str, retry_at: datetime) -> None:
    """Not now."""
    tx.conn.execute(
        "UPDATE alert_tellings SET attempts = attempts + 1, last_error = ?, due_at = ?"
        " WHERE alert = ? AND route = ? AND place = ?",
        (to_text(error), to_time(retry_at), *_key(telling)),
    )


def postpone(tx: Transaction, tellings: Iterable[Telling], until: datetime) -> None:
    """Not now, and nobody's fault."""
    tx.conn.executemany(
        "UPDATE alert_tellings SET due_at = ? WHERE alert = ? AND route = ? AND place = ?",
        [(to_time(until), *_key(telling)) for telling in tellings],
    )


def hasten(tx: Transaction, routes: Collection[Route]) -> None:
    """All that is behind by these routes is due now: what was in the way may have been mended."""
    tx.conn.execute(
        f"UPDATE alert_tellings SET due_at = ? WHERE owed AND due_at > ? AND route IN ({_marks(routes)})",  # noqa: S608
        (tx.now_text, tx.now_text, *(route.value for route in routes)),
    )


def remember(tx: Transaction, telling: Telling, *, message: str, told_as: str) -> None:
    """What was posted there, before it is known whether more is to be told."""
    tx.conn.execute(
        "UPDATE alert_tellings SET message = ?, told_as = ? WHERE alert = ? AND route = ? AND place = ?",
        (to_text(message), to_text(told_as), *_key(telling)),
    )


def troubles(conn: sqlite3.Connection) -> tuple[Trouble, ...]:
    """By route: how much waits after a failure, and the last one's reason."""
    rows = conn.execute(
        "SELECT route, count(*) AS waiting, last_error, max(due_at) FROM alert_tellings"
        " WHERE owed AND attempts > 0 GROUP BY route ORDER BY route"
    )
    return tuple(
        Trouble(route=Route(row["route"]), waiting=row["waiting"], error=row["last_error"]) for row in rows
    )


def _settle(tx: Transaction, telling: Telling, seq: int, *, message: str, told_as: str, error: str) -> None:
    tx.conn.execute(
        "UPDATE alert_tellings SET told_seq = max(told_seq, ?), message = ?, told_as = ?, attempts = 0,"
        " last_error = ?, due_at = ?,"
        " owed = EXISTS (SELECT 1 FROM alerts WHERE id = alert_tellings.alert AND seq > ?)"
        " WHERE alert = ? AND route = ? AND place = ?",
        (
            seq,
            to_text(message),
            to_text(told_as),
            to_text(error),
            tx.now_text,
            seq,
            *_key(telling),
        ),
    )


def _key(telling: Telling) -> tuple[str, str, str]:
    return telling.alert, telling.route.value, telling.place


def _marks(routes: Collection[Route]) -> str:
    return ", ".join("?" * len(routes))
