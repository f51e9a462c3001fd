"""The audit log's chain: what a row's hash covers, what is signed, and what is wrong with rows. PURE.

A row's hash is SHA-256 over the hash of the row before it and its own fields, as canonical JSON (keys sorted,
no spaces, ASCII, whole numbers only: the part of RFC 8785 that such values need). The first row follows 32
zero bytes. Whoever can write to the file could compute all hashes anew, so the head and the checkpoints are
signed (HMAC-SHA-256) with a key that is not in the file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

START = bytes(32)  # what the first row follows
_ROW = b"orchard/audit/1\n"
_LARGEST = 2**53 - 1  # what every reader of JSON takes whole
_PROBLEMS_TOLD = 100
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


class AuditKind(StrEnum):
    ACCESS_DENIED = "access_denied"  # somebody was refused something of weight
    ACCESS_GRANTED = "access_granted"  # a level, global or in a project
    ACCESS_REVOKED = "access_revoked"
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_DISABLED = "user_disabled"
    IDENTITY_LINKED = "identity_linked"  # a chat account is a user from now on
    IDENTITY_UNLINKED = "identity_unlinked"
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    LOCKED_OUT = "locked_out"
    SESSION_REVOKED = "session_revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    TOKEN_CREATED = "token_created"  # noqa: S105 - a kind
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a kind
    APPROVAL_ASKED = "approval_asked"
    APPROVAL_ANSWERED = "approval_answered"
    ALERT_ANSWERED = "alert_answered"  # somebody acknowledged or silenced it, or ended its silence
    SECRET_SET = "secret_set"  # noqa: S105 - a kind
    SECRET_REMOVED = "secret_removed"  # noqa: S105 - a kind
    SECRET_USED = "secret_used"  # noqa: S105 - given to a process
    SECRET_REFUSED = "secret_refused"  # noqa: S105 - its row was moved, altered, or sealed with another key
    KEY_CHANGED = "key_changed"
    SETTINGS_CHANGED = "settings_changed"
    ISOLATION_CHANGED = "isolation_changed"
    ISOLATION_BREACH = "isolation_breach"  # something tried to get out of its sandbox
    EGRESS_DENIED = "egress_denied"
    OPERATOR_ACTED = "operator_acted"  # any other thing that only operators may do
    BACKUP_MADE = "backup_made"
    STORE_RESTORED = "store_restored"  # its data say which rows were given up
    AUDIT_PRUNED = "audit_pruned"
    AUDIT_EXPORTED = "audit_exported"
    AUDIT_BROKEN = "audit_broken"  # the head was not what Orchard had signed; the log goes on after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """As it is stored. `data` is canonical JSON of an object."""

    seq: int
    at: str
    kind: str
    actor: str
    project: str | None
    subject: str
    data: str
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in the log, signed: its head, or a checkpoint up to which rows were pruned."""

    seq: int
    hash: bytes
    key_id: str
    mac: bytes
    at: str = ""
    by: str = ""
    pruned: int = 0


class ProblemKind(StrEnum):
    ALTERED = "altered"  # a row's fields do not give its hash
    MISSING = "missing"  # rows between others, or at the beginning
    REORDERED = "reordered"  # a whole row that stood elsewhere
    TRUNCATED = "truncated"  # rows at the end
    FORGED = "forged"  # a signature that is not of this key
    UNGUARDED = "unguarded"  # the file no longer refuses changes
    BROKEN = "broken"  # Orchard noted at that row that the head had been forged
    REPLACED = "replaced"  # another history than the one that was witnessed


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    kind: ProblemKind
    seq: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`problems` are the first hundred of `found`; `notes` are for people and no fault."""

    rows: int
    first: int  # seq; 0: there is none
    last: int
    found: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return self.found == 0


def canonical(value: Any) -> str:
    """One text a value. Raises ValueError for what has no exact form: floats, numbers beyond 2**53 - 1, other
    keys than strings, surrogates without their partner."""
    _check(value)
    return _encode(value)


def _check(value: Any) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        value.encode("utf-8")  # UnicodeEncodeError, a ValueError, for half a pair
    elif isinstance(value, int):
        if abs(value) > _LARGEST:
            raise ValueError(f"{value} is beyond 2**53 - 1")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r} is no string")
            key.encode("utf-8")
            _check(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check(each)
    else:
        raise ValueError(f"a {type(value).__name__} has no exact form in JSON")


def row_hash(row: Row) -> bytes:
    """What its `hash` has to be. Raises ValueError where a field has no exact form."""
    return hash_of(row.seq, row.at, row.kind, row.actor, row.project, row.subject, row.data, row.previous)


def hash_of(
    seq: int, at: str, kind: str, actor: str, project: str | None, subject: str, data: str, previous: bytes
) -> bytes:
    """`data` enters as its text, which is canonical already."""
    fields = _encode([seq, at, kind, actor, project, subject, data])
    return hashlib.sha256(b"".join((_ROW, previous, fields.encode("ascii")))).digest()


def sign(key: bytes, mark: Mark) -> bytes:
    """HMAC-SHA-256 over all of the mark but its signature."""
    fields = _encode([mark.seq, mark.hash.hex(), mark.key_id, mark.at, mark.by, mark.pruned])
    return hmac.digest(key, b"orchard/audit-mark/1\n" + fields.encode("ascii"), "sha256")


def signed_by(key: bytes, mark: Mark) -> bool:
    return hmac.compare_digest(sign(key, mark), mark.mac)


def check_rows(rows: Iterable[Row], start: Mark | None) -> Iterator[Problem]:
    """What is wrong with the rows, in the order of their numbers. `start` is the checkpoint that they follow.

    One altered row gives one problem, though the next no longer follows what it now says.
    """
    seq, previous = (0, START) if start is None else (start.seq, start.hash)
    for row in rows:
        if row.seq != seq + 1:
            yield Problem(
                kind=ProblemKind.MISSING, seq=seq + 1, text=f"{_rows(seq + 1, row.seq - 1)} not there."
            )
        elif row.previous != previous:
            text = f"Row {row.seq} does not follow the row before it."
            yield Problem(kind=ProblemKind.ALTERED, seq=row.seq, text=text)
        if row_hash(row) != row.hash:
            text = f"Row {row.seq} is not as it was written."
            yield Problem(kind=ProblemKind.ALTERED, seq=row.seq, text=text)
        elif row.kind == AuditKind.AUDIT_BROKEN:
            text = f"At row {row.seq} Orchard found that the log before it had been tampered with."
            yield Problem(kind=ProblemKind.BROKEN, seq=row.seq, text=text)
        seq, previous = row.seq, row.hash


def check_end(last_seq: int, last_hash: bytes, head: Mark) -> Iterator[Problem]:
    """Whether the rows end where the head says."""
    if head.seq > last_seq:
        text = f"{_rows(last_seq + 1, head.seq)} cut off at the end."
        yield Problem(kind=ProblemKind.TRUNCATED, seq=last_seq + 1, text=text)
    elif head.seq < last_seq or head.hash != last_hash:
        text = f"The log's end is row {last_seq}, and its head says {head.seq} or another hash."
        yield Problem(kind=ProblemKind.FORGED, seq=last_seq, text=text)


def moved_from(row: Row, places: Iterable[int]) -> int | None:
    """The number, of these, that the row had when it was written; None when its hash holds for none of
    them."""
    for was in places:
        if was != row.seq:
            fits = hash_of(was, row.at, row.kind, row.actor, row.project, row.subject, row.data, row.previous)
            if fits == row.hash:
                return was
    return None


def told(problems: Iterable[Problem]) -> tuple[int, tuple[Problem, ...]]:
    """How many there are, and the first hundred."""
    kept: list[Problem] = []
    found = 0
    for problem in problems:
        found += 1
        if len(kept) < _PROBLEMS_TOLD:
            kept.append(problem)
    return found, tuple(kept)


def line_of(row: Row) -> str:
    """One line of an export, without its end: the row as a JSON object, hashes in hexadecimal.

    Data that were altered to something else than canonical JSON are written as the text that they are: so the
    line does not give the row's hash either."""
    data = read_data(row.data)
    return _encode(
        {
            "seq": row.seq,
            "at": row.at,
            "kind": row.kind,
            "actor": row.actor,
            "project": row.project,
            "subject": row.subject,
            "data": row.data if data is None else data,
            "previous": row.previous.hex(),
            "hash": row.hash.hex(),
        }
    )


def read_data(text: str) -> Any | None:
    """None for what is not canonical JSON."""
    try:
        data = json.loads(text)
        return data if canonical(data) == text else None
    except (ValueError, RecursionError):
        return None


def from_line(line: str) -> Row:
    """A row out of an export. Raises ValueError for what is none."""
    try:
        found = json.loads(line)
        return Row(
            seq=int(found["seq"]),
            at=str(found["at"]),
            kind=str(found["kind"]),
            actor=str(found["actor"]),
            project=None if found["project"] is None else str(found["project"]),
            subject=str(found["subject"]),
            data=canonical(found["data"]),
            previous=bytes.fromhex(found["previous"]),
            hash=bytes.fromhex(found["hash"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no row of an audit log: {line[:80]!r}") from error


def _rows(first: int, last: int) -> str:
    return f"Row {first} is" if first == last else f"Rows {first} to {last} are"
