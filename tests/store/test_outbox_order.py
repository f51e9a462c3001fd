"""Whatever senders do and whenever they crash: per project in order, each row settled once."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.domain.event import EventKind
from core.errors import LostRace
from core.store import migrations, outbox
from core.store.transaction import Transaction

PROJECTS = ("shop", "post", None)


@cache
def migrated() -> bytes:
    """A file that all steps were applied to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            migrations.migrate(conn, path)
        return path.read_bytes()


class Outbox(RuleBasedStateMachine):
    """The model: one list of waiting rows a project; what is due may only be a list's first."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox.db"
        self.path.write_bytes(migrated())
        self.conn = self.opened()
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.waiting: dict[str | None, list[int]] = defaultdict(list)
        self.not_before: dict[int, datetime] = {}
        self.settled: list[int] = []

    def opened(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self.path, isolation_level=None)
        conn.row_factory = sqlite3.Row
        conn.execute("PRAGMA journal_mode = WAL")
        return conn

    @property
    def tx(self) -> Transaction:
        return Transaction(self.conn, self.now)

    def due(self) -> list[outbox.OutboxRow]:
        return list(outbox.due(self.conn, self.now, 100))

    @rule(project=st.sampled_from(PROJECTS))
    def something_happens(self, project: str | None) -> None:
        self.waiting[project].append(self.tx.emit(EventKind.GATE_PASSED, project=project).seq)

    @rule(seconds=st.integers(1, 30))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(choice=st.randoms(use_true_random=False), wait=st.integers(1, 60))
    def a_row_fails(self, choice: object, wait: int) -> None:
        if rows := self.due():
            row = choice.choice(rows)  # type: ignore[attr-defined]
            retry_at = self.now + timedelta(seconds=wait)
            outbox.failed(self.tx, row.id, "429", retry_at)
            self.not_before[row.event.seq] = retry_at

    @rule(choice=st.randoms(use_true_random=False), gone=st.booleans())
    def a_row_is_settled(self, choice: object, gone: bool) -> None:
        if rows := self.due():
            row = choice.choice(rows)  # type: ignore[attr-defined]
            if gone:
                outbox.dead(self.tx, row.id, "404")
            else:
                outbox.sent(self.tx, row.id)
            self.settled.append(row.event.seq)
            self.waiting[row.event.project].remove(row.event.seq)
            with pytest.raises(LostRace):
                outbox.sent(self.tx, row.id)

    @rule()
    def the_program_restarts(self) -> None:
        self.conn.close()
        self.conn = self.opened()

    @invariant()
    def only_the_oldest_of_each_project_is_due(self) -> None:
        heads = [queue[0] for queue in self.waiting.values() if queue]
        expected = sorted(seq for seq in heads if self.not_before.get(seq, self.now) <= self.now)
        assert [row.event.seq for row in self.due()] == expected

    @invariant()
    def nothing_is_lost_or_settled_twice(self) -> None:
        counts = outbox.counts(self.conn)
        assert counts["pending"] == sum(map(len, self.waiting.values()))
        assert counts["sent"] + counts["dead"] == len(self.settled) == len(set(self.settled))

    def teardown(self) -> None:
        self.conn.close()
        self.folder.cleanup()


TestOutbox = Outbox.TestCase
TestOutbox.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
