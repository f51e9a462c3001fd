"""The store's file replaced by another one, whole: for a change of the key, and to restore a backup.

The other file is made beside it and proven first; a rename puts it in place. Killed at any moment, the store
is the old file or the new one. Meanwhile other programs can read the old one but not write to it, and one
that waited for its turn gets an error from SQLite, which sees that the file was moved, so no write is lost in
it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.durable_file import sync_folder
from core.errors import Unavailable
from core.security.keys import Key
from core.store import faults, migrations
from core.store.auditor import Auditor
from core.store.cipher import Cipher, is_plain

_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a file was found to be: every page and row read, the audit log checked."""

    schema: int
    rows: Mapping[str, int]  # by table
    audit_rows: int
    encrypted: bool


def connected(path: Path, cipher: Cipher | None, *, busy_seconds: float = 5.0) -> sqlite3.Connection:
    """One connection beside the Store's. Close it."""
    if cipher is None:
        conn = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
        conn.row_factory = sqlite3.Row
    else:
        conn = cipher.connect(path, timeout=busy_seconds, isolation_level=None)
        conn.row_factory = cipher.row
    conn.execute("PRAGMA temp_store = MEMORY")
    return conn


def no_store(path: Path) -> Unavailable:
    return Unavailable(
        "There is no store yet.", why=f"{path} does not exist.", hint="Start Orchard once: `orchard run`."
    )


def cipher_of(path: Path, key: Key) -> Cipher | None:
    """How the file is to be opened: None for a plain one."""
    return None if is_plain(path) else Cipher(key)


@contextmanager
def explained(path: Path, cipher: Cipher | None) -> Iterator[None]:
    """SQLite's errors and the disk's in words."""
    try:
        yield
    except sqlite3.Error as error:
        explain = faults.explain if cipher is None else cipher.explain
        raise explain(error, path) from error
    except OSError as error:
        raise Unavailable(
            "A file beside the store cannot be written or read.",
            why=f"{error.filename or path}: {error.strerror or error}.",
            hint="Nothing was changed. See to the disk's room and the folder's rights, then try again.",
        ) from error


@contextmanager
def held(path: Path, cipher: Cipher | None) -> Iterator[sqlite3.Connection]:
    """Nobody else writes to the file, and all that was written is in it: there is no write-ahead log.

    Raises Unavailable while another program has it open."""
    with closing(connected(path, cipher)) as conn:
        try:
            migrations.check_owner(conn, path)
            conn.execute("PRAGMA journal_mode = DELETE")
            conn.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise Unavailable(
                    "The store is in use.",
                    why=f"Another program has {path} open.",
                    hint="Stop Orchard first, then try again.",
                ) from error
            raise
        yield conn


@contextmanager
def draft_beside(path: Path, ending: str) -> Iterator[Path]:
    """An empty file that only this user may read, in the same folder. What is left of it is removed."""
    draft = path.with_name(f"{path.name}.{ending}")
    clear(draft)  # of a run that was killed
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield draft
    finally:
        clear(draft)


def clear(path: Path) -> None:
    """Without the file and what SQLite keeps beside it."""
    for name in ("", *_BESIDE):
        with suppress(FileNotFoundError):
            path.with_name(path.name + name).unlink()


def put_in_place(draft: Path, path: Path) -> None:
    """The draft is the store from now on, also after a power cut. Hold the old one meanwhile."""
    if left := [name for name in _BESIDE if draft.with_name(draft.name + name).exists()]:
        raise Unavailable(
            "The new store is not whole.",
            why=f"{draft.name}{left[0]} is beside it.",
            hint="Nothing was changed. Try again.",
        )
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def counts(conn: sqlite3.Connection) -> dict[str, int]:
    """Rows by table."""
    names = [
        row[0]
        for row in conn.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^'"
        )
    ]
    return {
        name: conn.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - names of our schema
        for name in sorted(names)
    }


def prove(path: Path, key: Key) -> Proven:
    """Reads every page and row of the file. Raises Unavailable with what is wrong, SchemaTooNew."""
    cipher = cipher_of(path, key)
    with explained(path, cipher), closing(connected(path, cipher)) as conn:
        conn.execute("PRAGMA query_only = ON")
        migrations.check_owner(conn, path)
        if migrations.version(conn) == 0:
            raise _unsound(path, "It holds no store.")
        if cipher is not None and (wrong := conn.execute("PRAGMA cipher_integrity_check").fetchone()):
            raise _unsound(path, f"A page is not as it was written: {wrong[0]}.")
        if (found := conn.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise _unsound(path, f"SQLite finds: {found}.")
        if broken := conn.execute("PRAGMA foreign_key_check").fetchone():
            raise _unsound(path, f"A row of {broken[0]} refers to nothing.")
        schema = migrations.version(conn)
        rows = counts(conn)
        if "audit_log" in rows:  # an older schema has none
            verdict = Auditor(key).verify(conn)
            if not verdict.sound:
                raise _unsound(path, verdict.problems[0].text)
        return Proven(
            schema=schema, rows=rows, audit_rows=rows.get("audit_log", 0), encrypted=cipher is not None
        )


def _unsound(path: Path, why: str) -> Unavailable:
    return Unavailable(f"{path.name} is not sound.", why=why, hint="Nothing was changed. Use another backup.")
