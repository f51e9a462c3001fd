"""The facts of the store that are measured: what happened since a cursor, with what stands beside it."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from core.domain.counting import AUDITED, COUNTED, PHASE_ENDS, About, Rise, audited, rises_of
from core.domain.event import Event, EventKind
from core.domain.lifecycles import Phase
from core.domain.metric import Count, Series
from core.store import events, load, metric_history
from core.store.columns import from_optional_time, from_time, to_time
from core.store.transaction import Transaction

log = logging.getLogger(__name__)

EVENTS, AUDIT = "events", "audit"  # readers of metric_cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """What happened and is not counted yet. `cursors`: of each reader that got on, from where to where.
    `more`: there is more than was asked for."""

    rises: tuple[Rise, ...] = ()
    cursors: Mapping[str, tuple[int, int]] | None = None
    more: bool = False


def uncounted(conn: sqlite3.Connection, *, limit: int) -> Uncounted:
    """The oldest, at most so many of each kind of source."""
    cursors: dict[str, tuple[int, int]] = {}
    rises: list[Rise] = []
    more = False
    at = metric_history.cursor(conn, EVENTS)
    head = conn.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
    if head > at:
        found = events.since(conn, at, kinds=COUNTED, limit=limit)
        more = len(found) == limit
        cursors[EVENTS] = (at, found[-1].seq if more else head)
        for event in found:
            rises += _rises(conn, event)
    at = metric_history.cursor(conn, AUDIT)
    head = conn.execute("SELECT coalesce(max(seq), 0) FROM audit_log").fetchone()[0]
    if head > at:
        marks = ", ".join("?" * len(AUDITED))
        rows = conn.execute(
            f"SELECT seq, at, kind, project FROM audit_log WHERE seq > ? AND kind IN ({marks})"  # noqa: S608
            " ORDER BY seq LIMIT ?",
            (at, *AUDITED, limit),
        ).fetchall()
        full = len(rows) == limit
        cursors[AUDIT] = (at, rows[-1]["seq"] if full else head)
        more = more or full
        for row in rows:
            rises += audited(row["kind"], row["project"], from_time(row["at"]))
    return Uncounted(rises=tuple(rises), cursors=cursors, more=more)


def _rises(conn: sqlite3.Connection, event: Event) -> tuple[Rise, ...]:
    """One that cannot be read must not keep those after it from being counted."""
    try:
        return rises_of(event, _about(conn, event))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        log.warning("event %d cannot be measured: %s", event.seq, error)
        return ()


def count(tx: Transaction, found: Uncounted, more: Iterable[Rise] = ()) -> dict[Series, Count]:
    """Counts it, with `more`, and says so: all or nothing. What the series come to. Raises LostRace when
    another program counted meanwhile."""
    for reader, (old, new) in (found.cursors or {}).items():
        metric_history.move_cursor(tx, reader, old, new)
    return metric_history.add(tx, (*found.rises, *more))


# -- beside an event -----------------------------------------------------------------------------------


def _about(conn: sqlite3.Connection, event: Event) -> About:
    match event.kind:
        case EventKind.PHASE_STARTED:
            return About(since=_ready_at(conn, event))
        case EventKind.STORY_MERGED:
            return About(
                since=_time(conn, "SELECT min(claimed_at) FROM leases WHERE story_id = ?", event.story_id)
            )
        case EventKind.APPROVAL_ANSWERED:
            if event.data.get("state") not in ("approved", "rejected"):
                return About()
            asked = "SELECT asked_at FROM approvals WHERE id = ?"
            return About(since=_time(conn, asked, str(event.data.get("approval"))))
        case kind if kind in PHASE_ENDS:
            return _about_end(conn, event)
        case _:
            return About()


def _about_end(conn: sqlite3.Connection, event: Event) -> About:
    """A phase's end is told in the transaction that gave its lease back, and kept its gate's verdict."""
    at = to_time(event.at)
    since = _time(
        conn, "SELECT claimed_at FROM leases WHERE story_id = ? AND released_at = ?", event.story_id, at
    )
    if (
        since is None and event.data.get("phase") == Phase.COMMIT
    ):  # a batch holds one lease for all its merges
        begun = "SELECT max(begun_at) FROM merges WHERE story_id = ? AND begun_at <= ?"
        since = _time(conn, begun, event.story_id, at)
    row = conn.execute(
        "SELECT verdict -> '$.evidence' AS evidence FROM gates WHERE story_id = ? AND phase = ? AND at = ?",
        (event.story_id, str(event.data.get("phase")), at),
    ).fetchone()
    evidence = (
        {} if row is None or event.kind is EventKind.AGENT_FAILED else json.loads(row["evidence"] or "{}")
    )
    ran = bool(evidence.get("seconds")) and not evidence.get("cached")
    return About(
        since=since,
        test_seconds=float(evidence["seconds"]) if ran else None,
        flaky=len(evidence.get("flaky", ())),
    )


_READY = """
    SELECT max(
        c.started_at,
        coalesce((SELECT max(b.released_at) FROM leases b
                  WHERE b.story_id = l.story_id AND b.generation < l.generation), ''),
        coalesce((SELECT max(d.updated_at) FROM story_needs n JOIN cycles d ON d.story_id = n.needs_id
                  WHERE n.story_id = l.story_id AND d.state = 'done' AND d.updated_at <= l.claimed_at), ''),
        coalesce((SELECT max(e.at) FROM events e WHERE e.story_id = l.story_id AND e.seq < :seq
                  AND e.kind IN (SELECT value FROM json_each(:kinds))), ''),
        coalesce((SELECT e.at FROM events e
                  WHERE e.project = c.project AND e.story_id IS NULL AND e.seq < :seq
                  AND e.kind IN (SELECT value FROM json_each(:kinds))
                  AND (e.kind <> 'workflow_changed' OR e.data ->> 'new' = 'SPRINT_ACTIVE')
                  ORDER BY e.seq DESC LIMIT 1), '')
    ) FROM leases l JOIN cycles c ON c.story_id = l.story_id
    WHERE l.story_id = :story AND l.claimed_at = :at
"""
_GOES_ON = json.dumps([kind.value for kind in load.GOES_ON])


def _ready_at(conn: sqlite3.Connection, event: Event) -> datetime | None:
    """As core.store.load.phase_runs has it."""
    asked = {"seq": event.seq, "kinds": _GOES_ON, "story": event.story_id, "at": to_time(event.at)}
    row = conn.execute(_READY, asked).fetchone()
    return None if row is None else from_optional_time(row[0])


def _time(conn: sqlite3.Connection, asked: str, *values: object) -> datetime | None:
    row = conn.execute(asked, values).fetchone()
    return None if row is None else from_optional_time(row[0])
