"""Who keeps the audit log: adds rows, each bound to the one before it, signs its end, and checks all of it.

What is recorded is part of the transaction that it tells of: `auditor.record(tx, AuditKind.SECRET_USED,
...)`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any

from core.agents.redaction import Redactor
from core.errors import Unavailable
from core.known_secrets import known_secrets
from core.security import audit
from core.security.audit import AuditKind, Mark, Problem, ProblemKind, Row, Verdict
from core.security.keys import Key, Purpose
from core.store.audit import checkpoints, entries, head, rows
from core.store.columns import to_text, to_time
from core.store.migrations import steps
from core.store.transaction import Transaction


class Auditor:
    """Writes and checks the log with the key. What looks like a secret is taken out of texts first."""

    def __init__(self, key: Key, *, redactor: Redactor | None = None) -> None:
        self.key_id = key.id
        self._key = key.derived(Purpose.AUDIT)
        self._own = redactor

    def record(
        self,
        tx: Transaction,
        kind: AuditKind,
        *,
        actor: str,
        project: str | None = None,
        subject: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> int:
        """Adds a row and returns its number. `data` is JSON without floats.

        Raises ValueError for other data, Unavailable when the log is signed with another key."""
        head = self._sound_head(tx)
        actor, subject, text = self._shown(actor, subject, data or {})
        seq = head.seq + 1
        values = (
            seq,
            tx.now_text,
            kind.value,
            actor,
            project,
            subject,
            text,
            head.hash,
        )
        fresh = audit.hash_of(*values)
        tx.conn.execute(
            "INSERT INTO audit_log (seq, at, kind, actor, project, subject, data, previous, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, fresh),
        )
        self._sign_head(tx.conn, seq, fresh)
        return seq

    def _shown(self, actor: str, subject: str, data: Mapping[str, Any]) -> tuple[str, str, str]:
        """What is written of them: nothing that looks like a secret, `data` as canonical JSON."""
        redact = self._own or known_secrets.redactor
        try:
            text = audit.canonical(data)
            # One search over all of it: nearly always there is nothing to take out.
            if not redact.may_hold("\n".join((actor, subject, text))):
                return to_text(actor), to_text(subject), text
        except UnicodeEncodeError:
            pass
        # Taken out first: an escape before a token would hide where it begins.
        text = audit.canonical(_clean(redact.value(data)))
        return to_text(redact.text(actor)), to_text(redact.text(subject)), text

    def prune(self, tx: Transaction, *, keep_days: int, actor: str) -> int:
        """Removes rows that are older, under a signed checkpoint, and returns how many; that is recorded,
        too.

        The newest row stays, whatever its age. Raises Unavailable when the log is not sound: what is removed
        can never be checked again, so it has to be right now."""
        limit = to_time(tx.now - timedelta(days=keep_days))
        # By number, not by time alone: a clock that was set back must not leave a hole.
        young = tx.conn.execute("SELECT min(seq) FROM audit_log WHERE at >= ?", (limit,)).fetchone()[0]
        bounds = tx.conn.execute("SELECT min(seq), max(seq) FROM audit_log").fetchone()
        if bounds[0] is None:
            return 0
        last = min(young if young is not None else bounds[1], bounds[1]) - 1
        if last < bounds[0]:
            return 0
        verdict = self.verify(tx.conn)
        if not verdict.sound:
            raise Unavailable(
                "The audit log is not pruned, since it is not sound.",
                why=verdict.problems[0].text,
                hint="Look at it with `orchard audit verify`, and keep a copy of the store.",
            )
        count = tx.conn.execute("SELECT count(*) FROM audit_log WHERE seq <= ?", (last,)).fetchone()[0]
        found = tx.conn.execute("SELECT hash FROM audit_log WHERE seq = ?", (last,)).fetchone()[0]
        before = tx.conn.execute("SELECT coalesce(max(pruned), 0) FROM audit_checkpoints").fetchone()[0]
        mark = Mark(
            seq=last,
            hash=found,
            key_id=self.key_id,
            mac=b"",
            at=tx.now_text,
            by=to_text(actor),
            pruned=before + count,
        )
        tx.conn.execute(
            "INSERT INTO audit_checkpoints (seq, hash, at, by, pruned, key_id, mac)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (mark.seq, mark.hash, mark.at, mark.by, mark.pruned, mark.key_id, audit.sign(self._key, mark)),
        )
        tx.conn.execute("DELETE FROM audit_log WHERE seq <= ?", (last,))
        self.record(
            tx, AuditKind.AUDIT_PRUNED, actor=actor, data={"rows": count, "up_to": last, "hash": found.hex()}
        )
        return int(count)

    def verify(self, conn: sqlite3.Connection, *, seen: Mark | None = None) -> Verdict:
        """Checks every row, the checkpoints, the head and the triggers, in the connection's snapshot; and
        that what was `seen` of it earlier, a head that was kept elsewhere, is still in it.

        Rows that another program cut out, changed or moved are found, also when it computed all hashes
        anew."""
        marks = checkpoints(conn)
        start = marks[-1] if marks else None
        first, last = conn.execute(
            "SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM audit_log"
        ).fetchone()
        count = conn.execute("SELECT count(*) FROM audit_log").fetchone()[0]
        found, problems = audit.told(chain(self._problems(conn, marks, start), self._replaced(conn, seen)))
        if any(problem.kind is ProblemKind.ALTERED for problem in problems):
            problems = _with_moved(conn, problems)
        notes: tuple[str, ...] = ()
        if start is not None:
            notes = (f"Rows up to {start.seq} were pruned by {start.by} at {start.at}.",)
        return Verdict(rows=count, first=first, last=last, found=found, problems=problems, notes=notes)

    def signed(self, mark: Mark) -> bool:
        """Whether this key signed it."""
        return mark.key_id == self.key_id and audit.signed_by(self._key, mark)

    def holds(self, conn: sqlite3.Connection, mark: Mark) -> bool:
        """Whether a head that was kept elsewhere is still in the log; also for one that says nothing."""
        return next(self._replaced(conn, mark), None) is None

    def _replaced(self, conn: sqlite3.Connection, seen: Mark | None) -> Iterator[Problem]:
        """A mark that is not of this key says nothing: anybody could have written it."""
        if seen is not None and self.signed(seen):
            yield from witnessed(conn, seen)

    def sign_anew(self, conn: sqlite3.Connection, old: Auditor, *, seen: Mark | None = None) -> None:
        """The head and the checkpoints are signed with this key from now on. Raises Unavailable when the log
        is not sound under the old one, or has lost what was `seen` of it: a new signature would hide that."""
        verdict = old.verify(conn, seen=seen)
        if not verdict.sound:
            raise Unavailable(
                "The key is not changed, since the audit log is not sound.",
                why=verdict.problems[0].text,
                hint="Look at it with `orchard audit verify`, and restore a backup: `orchard restore FILE`.",
            )
        for mark in checkpoints(conn):
            fresh = replace(mark, key_id=self.key_id, mac=b"")
            conn.execute(
                "UPDATE audit_checkpoints SET key_id = ?, mac = ? WHERE seq = ?",
                (self.key_id, audit.sign(self._key, fresh), mark.seq),
            )
        at = head(conn)
        if at.key_id:
            self._sign_head(conn, at.seq, at.hash)

    def _sound_head(self, tx: Transaction) -> Mark:
        found = head(tx.conn)
        if self.signed(found) or _unwritten(found):
            return found
        if found.key_id not in ("", self.key_id):
            raise Unavailable(
                "The audit log is signed with another key.",
                why=f"It was signed with key {found.key_id}; this one is {self.key_id}.",
                hint="Give Orchard the key that it had; `orchard key change` makes another the store's.",
            )
        # Signing what follows would make the forged head good, so the log says for ever that it was not.
        newest = tx.conn.execute("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
        end = (newest[0], newest[1]) if newest and newest[0] > found.seq else (found.seq, found.hash)
        self._sign_head(tx.conn, *end)
        self.record(
            tx, AuditKind.AUDIT_BROKEN, actor="orchard", data={"head": found.seq, "hash": found.hash.hex()}
        )
        return head(tx.conn)

    def _sign_head(self, conn: sqlite3.Connection, seq: int, row_hash: bytes) -> None:
        mac = audit.sign(self._key, Mark(seq=seq, hash=row_hash, key_id=self.key_id, mac=b""))
        conn.execute(
            "UPDATE audit_head SET seq = ?, hash = ?, key_id = ?, mac = ? WHERE id = 1",
            (seq, row_hash, self.key_id, mac),
        )

    def _problems(
        self, conn: sqlite3.Connection, marks: tuple[Mark, ...], start: Mark | None
    ) -> Iterator[Problem]:
        yield from _unguarded(conn)
        for mark in marks:
            if not self.signed(mark):
                text = f"The checkpoint at row {mark.seq} is not signed with key {self.key_id}."
                yield Problem(kind=ProblemKind.FORGED, seq=mark.seq, text=text)
        last_seq, last_hash = (0, audit.START) if start is None else (start.seq, start.hash)

        def passing() -> Iterator[Row]:
            nonlocal last_seq, last_hash
            for row in rows(conn):
                last_seq, last_hash = row.seq, row.hash
                yield row

        yield from audit.check_rows(passing(), start)
        try:
            at = head(conn)
        except Unavailable as error:
            yield Problem(kind=ProblemKind.FORGED, seq=0, text=error.message)
            return
        if not (self.signed(at) or _unwritten(at)):
            text = f"The log's head is not signed with key {self.key_id}."
            yield Problem(kind=ProblemKind.FORGED, seq=at.seq, text=text)
        yield from audit.check_end(last_seq, last_hash, at)


def _unwritten(found: Mark) -> bool:
    """The head of a log that has no rows yet."""
    return not found.key_id and found.seq == 0 and found.hash == audit.START


def witnessed(conn: sqlite3.Connection, mark: Mark) -> Iterator[Problem]:
    """Whether the log still holds what was seen of it: `mark` is a head that was kept outside of the store.

    So also a whole older file in the store's place is found, unless a row says that a backup was restored and
    gave those rows up."""
    found = conn.execute("SELECT hash FROM audit_log WHERE seq = ?", (mark.seq,)).fetchone()
    pruned = conn.execute("SELECT coalesce(max(seq), 0) FROM audit_checkpoints").fetchone()[0]
    if mark.seq <= pruned or (found is not None and found[0] == mark.hash):
        return
    for entry in entries(conn, kind=AuditKind.STORE_RESTORED, limit=-1):
        ended, lost = entry.data.get("ended_at"), entry.data.get("lost_up_to")
        if isinstance(ended, int) and isinstance(lost, int) and ended < mark.seq <= lost:
            return
    text = (
        f"Row {mark.seq} was seen before and is gone or another: an older store was put in place of this one."
    )
    yield Problem(kind=ProblemKind.REPLACED, seq=mark.seq, text=text)


def _clean(value: Any) -> Any:
    """Texts from outside as valid UTF-8."""
    if isinstance(value, str):
        return to_text(value)
    if isinstance(value, Mapping):
        return {_clean(key): _clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return value


def _unguarded(conn: sqlite3.Connection) -> Iterator[Problem]:
    found = dict(conn.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall())
    for step in steps():
        for statement in step.statements:
            head_of, _, _ = statement.partition(" BEFORE ")
            name = head_of.split()[-1]
            if "CREATE TRIGGER audit_" in head_of and _plain(found.get(name)) != _plain(statement):
                text = f"The trigger {name}, which keeps the log from being changed, is gone or another."
                yield Problem(kind=ProblemKind.UNGUARDED, seq=0, text=text)


def _plain(statement: str | None) -> str:
    """From its first word, in one layout: comments may stand before it."""
    if statement is None:
        return ""
    return " ".join(statement[statement.index("CREATE TRIGGER") :].rstrip("; \n").split())


def _with_moved(conn: sqlite3.Connection, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """An altered row that is whole, but of another place, is told as moved."""
    places = sorted({problem.seq for problem in problems if problem.kind is ProblemKind.ALTERED})
    written = {}
    for place in places:
        for row in rows(conn, after=place - 1, limit=1):
            if row.seq == place and (was := audit.moved_from(row, places)) is not None:
                written[place] = was
    told: dict[Problem, None] = {}  # without what is told twice
    for problem in problems:
        moved = problem.seq in written and problem.kind is ProblemKind.ALTERED
        told[_moved(problem.seq, written[problem.seq]) if moved else problem] = None
    return tuple(told)


def _moved(seq: int, was: int) -> Problem:
    return Problem(kind=ProblemKind.REORDERED, seq=seq, text=f"Row {seq} was written as row {was}.")
