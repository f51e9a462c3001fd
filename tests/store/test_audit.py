from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.security import audit as chain
from core.security.audit import AuditKind, ProblemKind
from core.security.keys import Key
from core.store import audit
from core.store.auditor import Auditor
from core.store.database import Store
from core.store.transaction import Transaction

KEY = Key(bytes(range(32)))
AUDITOR = Auditor(KEY)
NAMES = [
    "audit_log_added",
    "audit_log_kept",
    "audit_log_pruned",
    "audit_head_added",
    "audit_head_kept",
    "audit_head_moved",
    "audit_checkpoints_added",
    "audit_checkpoints_kept",
    "audit_checkpoints_stay",
]
CUT_HEAD = "UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit_log WHERE seq = 5)"
CHECKPOINT = (
    "INSERT INTO audit_checkpoints SELECT seq, hash, at, 'me', 2, 'k', x'' FROM audit_log WHERE seq = 2"
)


def fill(tx: Transaction, count: int = 6) -> None:
    for number in range(count):
        AUDITOR.record(tx, AuditKind.SECRET_USED, actor="cli:ann", project="shop", data={"n": number})


@contextmanager
def unguarded(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """As somebody with the file does it: without the triggers, which are put back."""
    texts = [
        row["sql"]
        for row in conn.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'audit%'")
    ]
    assert len(texts) == len(NAMES)
    for name in NAMES:
        conn.execute(f"DROP TRIGGER {name}")
    yield conn
    for text in texts:
        conn.execute(text)


def found(conn: sqlite3.Connection) -> set[tuple[ProblemKind, int]]:
    return {(problem.kind, problem.seq) for problem in AUDITOR.verify(conn).problems}


def test_a_log_that_nobody_touched_is_sound(tx: Transaction) -> None:
    assert AUDITOR.verify(tx.conn).sound
    fill(tx)
    verdict = AUDITOR.verify(tx.conn)
    assert (verdict.sound, verdict.rows, verdict.first, verdict.last) == (True, 6, 1, 6)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_log SET actor = 'nobody' WHERE seq = 3",
        "DELETE FROM audit_log WHERE seq = 3",
        "DELETE FROM audit_log",
        "INSERT OR REPLACE INTO audit_log SELECT seq, at, kind, 'x', project, subject, data, previous, hash"
        " FROM audit_log WHERE seq = 3",
        "INSERT INTO audit_log SELECT 9, at, kind, actor, project, subject, data, hash, hash FROM audit_log"
        " WHERE seq = 6",
        "DELETE FROM audit_head",
        "INSERT OR REPLACE INTO audit_head SELECT id, 2, hash, key_id, mac FROM audit_head",
        "UPDATE audit_head SET seq = 2",
        "INSERT INTO audit_checkpoints VALUES (9, zeroblob(32), 'now', 'me', 9, 'k', x'')",
    ],
)
def test_the_file_itself_refuses_changes(tx: Transaction, sql: str) -> None:
    fill(tx)
    with pytest.raises(sqlite3.IntegrityError, match=r"audit log|checkpoint"):
        tx.conn.execute(sql)
    assert AUDITOR.verify(tx.conn).sound


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE audit_log SET actor = 'x' WHERE seq = 3", {(ProblemKind.ALTERED, 3)}),
        ("UPDATE audit_log SET data = '{}' WHERE seq = 6", {(ProblemKind.ALTERED, 6)}),
        ("DELETE FROM audit_log WHERE seq IN (3, 4)", {(ProblemKind.MISSING, 3)}),
        ("DELETE FROM audit_log WHERE seq = 1", {(ProblemKind.MISSING, 1)}),
        ("DELETE FROM audit_log WHERE seq > 4", {(ProblemKind.TRUNCATED, 5)}),
        ("DELETE FROM audit_log", {(ProblemKind.TRUNCATED, 1)}),
        (CUT_HEAD, {(ProblemKind.FORGED, 5), (ProblemKind.FORGED, 6)}),
        ("DELETE FROM audit_head", {(ProblemKind.FORGED, 0)}),
        (CHECKPOINT, {(ProblemKind.FORGED, 2)}),
    ],
)
def test_what_is_done_to_the_file_is_found(
    tx: Transaction, sql: str, expected: set[tuple[ProblemKind, int]]
) -> None:
    fill(tx)
    with unguarded(tx.conn) as conn:
        conn.execute(sql)
        if "audit_checkpoints" in sql:
            conn.execute("DELETE FROM audit_log WHERE seq <= 2")
    assert found(tx.conn) == expected


def test_rows_that_changed_places_are_told_as_such(tx: Transaction) -> None:
    fill(tx)
    with unguarded(tx.conn) as conn:
        for old, new in ((3, 99), (4, 3), (99, 4)):
            conn.execute("UPDATE audit_log SET seq = ? WHERE seq = ?", (new, old))
    told = AUDITOR.verify(tx.conn).problems
    assert "Row 3 was written as row 4." in [problem.text for problem in told]
    assert {problem.seq for problem in told if problem.kind is ProblemKind.REORDERED} == {3, 4}


def test_hashes_that_were_computed_anew_lack_the_signature(tx: Transaction) -> None:
    fill(tx)
    with unguarded(tx.conn) as conn:
        conn.execute("UPDATE audit_log SET actor = 'x' WHERE seq = 6")
        (row,) = audit.rows(conn, after=5)
        fresh = chain.row_hash(row)
        conn.execute("UPDATE audit_log SET hash = ? WHERE seq = 6", (fresh,))
        conn.execute("UPDATE audit_head SET hash = ?", (fresh,))
    assert found(tx.conn) == {(ProblemKind.FORGED, 6)}
    # What is recorded next does not make it good.
    fill(tx, 1)
    assert found(tx.conn) == {(ProblemKind.BROKEN, 7)}


def test_a_trigger_that_is_gone_is_found(tx: Transaction) -> None:
    tx.conn.execute("DROP TRIGGER audit_log_kept")
    (problem,) = AUDITOR.verify(tx.conn).problems
    assert problem.kind is ProblemKind.UNGUARDED
    assert "audit_log_kept" in problem.text


def test_an_older_log_with_its_own_head_is_known_by_what_was_seen_of_the_newer(
    tx: Transaction, tmp_path: Path
) -> None:
    fill(tx)
    with sqlite3.connect(tmp_path / "old.db", isolation_level=None) as old:
        tx.conn.backup(old)
    fill(tx)
    seen = audit.head(tx.conn)
    old.row_factory = sqlite3.Row
    assert AUDITOR.verify(old).sound
    (problem,) = AUDITOR.verify(old, seen=seen).problems
    assert (problem.kind, problem.seq) == (ProblemKind.REPLACED, 12)
    assert AUDITOR.verify(tx.conn, seen=seen).sound
    old.close()


def test_another_key_neither_writes_nor_finds_it_sound(tx: Transaction) -> None:
    fill(tx)
    other = Auditor(Key.new())
    with pytest.raises(Unavailable, match="another key"):
        other.record(tx, AuditKind.KEY_CHANGED, actor="x")
    assert [problem.kind for problem in other.verify(tx.conn).problems] == [ProblemKind.FORGED]


def test_old_rows_are_pruned_under_a_signed_checkpoint(later) -> None:  # type: ignore[no-untyped-def]
    fill(later(0))
    tx = later(86400 * 91)
    fill(tx, 2)
    assert AUDITOR.prune(tx, keep_days=90, actor="orchard") == 6
    verdict = AUDITOR.verify(tx.conn)
    assert (verdict.sound, verdict.first, verdict.last) == (True, 7, 9)
    assert "up to 6" in verdict.notes[0]
    (told,) = audit.entries(tx.conn, kind=AuditKind.AUDIT_PRUNED)
    assert (told.data["rows"], told.data["up_to"]) == (6, 6)
    assert AUDITOR.prune(tx, keep_days=90, actor="orchard") == 0
    tx = later(86400 * 91)
    fill(tx, 1)
    assert AUDITOR.prune(tx, keep_days=90, actor="orchard") == 3
    assert AUDITOR.verify(tx.conn).sound
    assert [mark.pruned for mark in audit.checkpoints(tx.conn)] == [6, 9]


def test_a_log_that_is_not_sound_is_not_pruned(later) -> None:  # type: ignore[no-untyped-def]
    fill(later(0))
    tx = later(86400 * 91)
    fill(tx, 1)
    with unguarded(tx.conn) as conn:
        conn.execute("UPDATE audit_log SET actor = 'x' WHERE seq = 3")
    with pytest.raises(Unavailable, match="not sound"):
        AUDITOR.prune(tx, keep_days=90, actor="orchard")
    assert AUDITOR.verify(tx.conn).rows == 7


def test_tokens_and_broken_text_are_taken_out(tx: Transaction) -> None:
    token = "ghp_" + "a1" * 20
    AUDITOR.record(
        tx, AuditKind.OPERATOR_ACTED, actor=f"x\ud800{token}", subject=token, data={token: [token, "\ud800"]}
    )
    (line,) = map(chain.line_of, audit.rows(tx.conn))
    assert token not in line
    assert [chain.from_line(line)] == list(audit.rows(tx.conn))
    assert AUDITOR.verify(tx.conn).sound


async def test_a_work_that_fails_records_nothing_and_the_others_stay_chained(store: Store) -> None:
    def work(number: int):  # type: ignore[no-untyped-def]
        def run(tx: Transaction) -> int:
            seq = AUDITOR.record(tx, AuditKind.APPROVAL_ANSWERED, actor="a", data={"n": number})
            if number % 3 == 0:
                raise ValueError(number)
            return seq

        return run

    outcomes = await asyncio.gather(*(store.write(work(n)) for n in range(60)), return_exceptions=True)
    seqs = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert sorted(seqs) == list(range(1, 41))
    assert (await store.read(AUDITOR.verify)).sound
