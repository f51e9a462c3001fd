"""The audit log under any change by somebody who has the file and not the key."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bus import Bus
from core.clock import SystemClock
from core.security import audit as chain
from core.security.audit import AuditKind, Mark, ProblemKind
from core.security.keys import Key
from core.store import audit, migrations
from core.store.auditor import Auditor
from core.store.database import Store
from core.store.transaction import Transaction

KEY = Key(bytes(range(32)))
AUDITOR = Auditor(KEY)
AT = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = ("seq", "at", "kind", "actor", "project", "subject", "data", "previous", "hash")


@cache
def template(rows: int, pruned: bool) -> sqlite3.Connection:
    conn = memory()
    migrations.migrate(conn, Path("memory"))
    for number in range(rows):
        tx = Transaction(conn, AT + timedelta(days=number))
        AUDITOR.record(
            tx, AuditKind.SECRET_USED, actor="cli:änn", project="shop", data={"n": number, "t": "ü\n"}
        )
    if pruned:
        AUDITOR.prune(Transaction(conn, AT + timedelta(days=rows)), keep_days=3, actor="orchard")
    assert AUDITOR.verify(conn).sound
    return conn


def memory() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.row_factory = sqlite3.Row
    return conn


def filled(rows: int = 6, *, pruned: bool = False) -> sqlite3.Connection:
    conn = memory()
    template(rows, pruned).backup(conn)
    return conn


@pytest.fixture(autouse=True, scope="module")
def closed() -> Iterator[None]:
    yield
    for pruned in (False, True):
        template(6, pruned).close()
    template.cache_clear()


def tampered(conn: sqlite3.Connection, *statements: str, values: tuple[object, ...] = ()) -> None:
    """As somebody does it who knows the triggers and puts them back."""
    texts = [row["sql"] for row in conn.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")]
    conn.execute("PRAGMA ignore_check_constraints = ON")
    for text in texts:
        conn.execute(f"DROP TRIGGER {text.split()[2]}")
    for statement in statements:
        conn.execute(statement, values if "?" in statement else ())
    for text in texts:
        conn.execute(text)


def looked_at(conn: sqlite3.Connection) -> chain.Verdict:
    """All ways to read it: none of them fails over what it finds."""
    audit.entries(conn)
    for row in audit.rows(conn):
        chain.line_of(row)
    return AUDITOR.verify(conn, seen=Mark(seq=2, hash=bytes(32), key_id="x", mac=b""))


VALUES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["{}", "[]", "null", "{", '{"n":0}', "1e999", "[[", "2026-03-01", "store_restored", "audit_broken"]
    ),
)


@settings(max_examples=80, deadline=None)
@given(
    column=st.sampled_from(COLUMNS),
    row=st.integers(min_value=1, max_value=6),
    text=VALUES,
    number=st.integers(min_value=-3, max_value=2**62),
    raw=st.binary(max_size=40),
    pruned=st.booleans(),
)
def test_no_field_of_no_row_can_be_changed(
    column: str, row: int, text: str, number: int, raw: bytes, pruned: bool
) -> None:
    value: object = {"seq": number, "previous": raw, "hash": raw}.get(column, text)
    with closing(filled(pruned=pruned)) as conn:
        before = list(audit.rows(conn))
        try:
            tampered(conn, f"UPDATE audit_log SET {column} = ? WHERE seq = {row}", values=(value,))
        except sqlite3.IntegrityError:  # two rows of one number
            return
        assert looked_at(conn).sound is (list(audit.rows(conn)) == before)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM audit_log WHERE seq = 4",
        "DELETE FROM audit_checkpoints",
        "UPDATE audit_checkpoints SET pruned = 1",
        "UPDATE audit_checkpoints SET by = 'nobody'",
        "UPDATE audit_checkpoints SET at = '2020'",
        "UPDATE audit_checkpoints SET seq = 4",
        "UPDATE audit_checkpoints SET mac = x''",
        "UPDATE audit_checkpoints SET hash = zeroblob(32)",
        "INSERT INTO audit_checkpoints SELECT 5, l.hash, c.at, c.by, c.pruned, c.key_id, c.mac"
        " FROM audit_checkpoints c, audit_log l WHERE l.seq = 5",
        "INSERT INTO audit_checkpoints SELECT 5, l.hash, '', '', 0, h.key_id, h.mac"
        " FROM audit_head h, audit_log l WHERE l.seq = 5",
        "UPDATE audit_head SET mac = x''",
        "UPDATE audit_head SET key_id = ''",
        "UPDATE audit_head SET seq = 9",
        "UPDATE audit_head SET hash = zeroblob(32)",
        "UPDATE audit_head SET seq = 0, hash = zeroblob(32), key_id = '', mac = x''",
    ],
)
def test_checkpoints_and_the_head_cannot_be_changed_either(sql: str) -> None:
    with closing(filled(pruned=True)) as conn:
        tampered(conn, sql, "DELETE FROM audit_log WHERE seq <= (SELECT max(seq) FROM audit_checkpoints)")
        assert not looked_at(conn).sound
        try:  # nor does writing on hide it
            AUDITOR.record(Transaction(conn, AT), AuditKind.BACKUP_MADE, actor="x")
        except Exception as error:
            assert "audit" in str(error)  # noqa: PT017
        assert not looked_at(conn).sound


def test_a_log_that_was_begun_anew_is_known_by_what_was_seen_of_it() -> None:
    with closing(filled()) as conn:
        seen = audit.head(conn)
        tampered(
            conn,
            "DELETE FROM audit_log",
            "UPDATE audit_head SET seq = 0, hash = zeroblob(32), key_id = '', mac = x''",
        )
        for number in range(9):  # also when it has grown past that row again
            problems = AUDITOR.verify(conn, seen=seen).problems
            assert [problem.kind for problem in problems] == [ProblemKind.REPLACED]
            AUDITOR.record(Transaction(conn, AT), AuditKind.BACKUP_MADE, actor="x", data={"n": number})


def test_an_export_is_checked_without_the_store() -> None:
    with closing(filled()) as conn:
        lines = [chain.line_of(row) for row in audit.rows(conn)]
        rows = [chain.from_line(line) for line in lines]
        assert rows == list(audit.rows(conn))
    assert all(line.isascii() and "\n" not in line for line in lines)
    assert list(chain.check_rows(rows, None)) == []
    assert [one.kind for one in chain.check_rows(rows[:2] + rows[3:], None)] == [ProblemKind.MISSING]
    forged = chain.from_line(lines[2].replace("secret_used", "secret_set "))
    assert [one.kind for one in chain.check_rows([*rows[:2], forged, *rows[3:]], None)] == [
        ProblemKind.ALTERED
    ]


async def test_two_programs_write_one_chain(tmp_path: Path) -> None:
    path, clock = tmp_path / "orchard.db", SystemClock()
    async with (
        Store.open(path, clock=clock, bus=Bus()) as one,
        Store.open(path, clock=clock, bus=Bus()) as other,
    ):

        async def write(store: Store, name: str) -> None:
            for number in range(25):
                await store.write(
                    lambda tx, n=number: AUDITOR.record(tx, AuditKind.BACKUP_MADE, actor=name, data={"n": n})
                )

        async with asyncio.TaskGroup() as group:
            for store, name in ((one, "bot"), (other, "cli"), (one, "web")):
                group.create_task(write(store, name))
        verdict = await other.read(AUDITOR.verify)
        assert (verdict.sound, verdict.rows, verdict.last) == (True, 75, 75)
