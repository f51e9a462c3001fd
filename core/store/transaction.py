"""Works and the group that shares one commit. Runs on the writer's thread; knows no event loop."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.clock import Clock
from core.domain.event import POSTED, Event, EventKind
from core.known_secrets import known_secrets
from core.store.columns import to_object, to_time

OUTBOX_TARGET = "discord"


class Transaction:
    """What a work gets: the connection, one reading of the clock, and `emit`.

    A work only reads and writes rows. It never waits, never commits, and leaves no cursor open.
    """

    __slots__ = ("_now_text", "conn", "events", "now")

    def __init__(self, conn: sqlite3.Connection, now: datetime) -> None:
        self.conn = conn
        self.now = now
        self.events: list[Event] = []
        self._now_text = to_time(now)

    @property
    def now_text(self) -> str:
        """`now` as it stands in columns."""
        return self._now_text

    def emit(
        self,
        kind: EventKind,
        *,
        project: str | None = None,
        story_id: str | None = None,
        actor: str = "orchard",
        data: Mapping[str, Any] | None = None,
    ) -> Event:
        """Writes the event's row and, for what people are told, its outbox row. `data` is JSON; secrets that
        this process knows are taken out of it."""
        data = dict(data or {})
        text = to_object(data)
        if known_secrets.redactor.may_hold(text):  # one search over all of it: nearly always there is none
            data = known_secrets.value(data)
            text = to_object(data)
        cursor = self.conn.execute(
            "INSERT INTO events (kind, at, project, story_id, actor, data) VALUES (?, ?, ?, ?, ?, ?)",
            (kind.value, self._now_text, project, story_id, actor, text),
        )
        seq = cursor.lastrowid
        assert seq is not None
        if kind in POSTED:
            self.conn.execute(
                "INSERT INTO outbox (dedup_key, target, lane, event_seq, due_at) VALUES (?, ?, ?, ?, ?)",
                (f"{OUTBOX_TARGET}:{seq}", OUTBOX_TARGET, project or "", seq, self._now_text),
            )
        event = Event(
            kind=kind, at=self.now, project=project, story_id=story_id, actor=actor, data=data, seq=seq
        )
        self.events.append(event)
        return event


Work = Callable[[Transaction], Any]
EventWitness = Callable[[Transaction, Event], None]
"""Hears of each event of a work, in its transaction: what it raises undoes the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one work in a group that was committed: its value, or its own exception."""

    value: Any = None
    error: BaseException | None = None


def run_group(
    conn: sqlite3.Connection, clock: Clock, works: Sequence[Work], witness: EventWitness | None = None
) -> tuple[list[Outcome], list[Event]]:
    """Runs the works in order in one BEGIN IMMEDIATE ... COMMIT and returns after it is durable.

    A work that raises is undone alone. When this function raises, nothing of any work is kept:
    then also a work's own exception is void, for it may have seen rows that never came to be.
    """
    conn.execute("BEGIN IMMEDIATE")
    try:
        events: list[Event] = []
        outcomes = [_run_one(conn, clock, work, events, witness) for work in works]
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    return outcomes, events


def _run_one(
    conn: sqlite3.Connection, clock: Clock, work: Work, events: list[Event], witness: EventWitness | None
) -> Outcome:
    tx = Transaction(conn, clock.now())
    conn.execute("SAVEPOINT work")
    try:
        value = work(tx)
        if witness is not None:
            for event in tx.events:
                witness(tx, event)
    except BaseException as raised:
        error: BaseException = raised
        if isinstance(raised, StopIteration):  # a future cannot carry one
            error = RuntimeError("StopIteration came out of a transaction")
            error.__cause__ = raised
        # A full disk or an I/O error can make SQLite roll back everything; then the group is lost.
        if not conn.in_transaction:
            raise
        # The traceback keeps the work's cursors alive; one that is not exhausted would bar the COMMIT.
        traceback.clear_frames(raised.__traceback__)
        conn.execute("ROLLBACK TO work")
        conn.execute("RELEASE work")
        return Outcome(error=error)
    conn.execute("RELEASE work")
    events.extend(tx.events)
    return Outcome(value=value)
