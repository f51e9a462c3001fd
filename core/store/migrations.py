"""Brings a file to the schema that this program knows: numbered steps, each one transaction."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from core.errors import SchemaTooNew, Unavailable

APPLICATION_ID = 0x4F524348  # "ORCH" in the file's header: `file state.db` and we can tell whose it is

_STEP = re.compile(r"(?P<number>\d{4})_\w+\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    number: int  # user_version after it
    name: str
    statements: tuple[str, ...]


@cache
def steps() -> tuple[Step, ...]:
    """The numbered files of `schema/`, in order, 1 and up without a gap."""
    found = []
    for file in files("core.store.schema").iterdir():
        if match := _STEP.fullmatch(file.name):
            text = file.read_text(encoding="utf-8")
            found.append(Step(number=int(match["number"]), name=file.name, statements=split(text)))
    found.sort(key=lambda step: step.number)
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise RuntimeError(f"schema steps are not numbered 1..n: {[step.name for step in found]}")
    return tuple(found)


def split(text: str) -> tuple[str, ...]:
    """The single statements of a script. sqlite3's executescript would commit before it begins."""
    statements, current = [], ""
    for line in text.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current.strip())
            current = ""
    if re.sub(r"--[^\n]*", "", current).strip():
        raise ValueError(f"the script ends inside a statement: {current.strip()[:80]}")
    return tuple(statements)


def version(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def check_owner(conn: sqlite3.Connection, path: Path) -> None:
    """Refuses another program's database and a newer Orchard's, before anything is written to it."""
    owner, found, empty = _header(conn)
    if owner != APPLICATION_ID and not (owner == 0 and found == 0 and empty):
        raise Unavailable(
            "The store's file belongs to another program.",
            why=f"{path} is a database with application id {owner:#x}.",
            hint="Move it away or set another global_state_path.",
        )
    newest = steps()[-1].number
    if found > newest:
        raise SchemaTooNew(
            "The store was written by a newer Orchard.",
            why=f"{path} has schema {found}; this program knows up to {newest}.",
            hint="Update Orchard, or restore a backup that was made before the update.",
        )


def _header(conn: sqlite3.Connection) -> tuple[int, int, bool]:
    """Application id, schema number, and whether there is no table: of one moment, since another
    program may be making the same store right now."""
    own = not conn.in_transaction
    if own:
        conn.execute("BEGIN")
    try:
        owner = conn.execute("PRAGMA application_id").fetchone()[0]
        empty = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
        return owner, version(conn), empty
    finally:
        if own:
            conn.execute("ROLLBACK")


def migrate(conn: sqlite3.Connection, path: Path) -> int:
    """Applies what is missing and returns the schema's number. Two programs may do it at once:
    each step looks again, inside its own BEGIN IMMEDIATE, whether it is still needed."""
    check_owner(conn, path)
    for step in steps():
        if version(conn) < step.number:
            with _rebuilding(conn):
                _apply(conn, path, step)
    return version(conn)


@contextmanager
def _rebuilding(conn: sqlite3.Connection) -> Iterator[None]:
    """A step may replace a table that others refer to: without this, SQLite would refuse to drop the old
    one, and renaming it would turn the others' references after it."""
    held = conn.execute("PRAGMA foreign_keys").fetchone()[0]
    conn.execute("PRAGMA foreign_keys = OFF")
    conn.execute("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        conn.execute("PRAGMA legacy_alter_table = OFF")
        conn.execute(f"PRAGMA foreign_keys = {held}")


def _apply(conn: sqlite3.Connection, path: Path, step: Step) -> None:
    conn.execute("BEGIN IMMEDIATE")
    try:
        check_owner(conn, path)
        if version(conn) < step.number:
            for statement in step.statements:
                conn.execute(statement)
            if broken := conn.execute("PRAGMA foreign_key_check").fetchall():
                raise RuntimeError(f"{step.name} leaves {len(broken)} rows that refer to nothing")
            conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            conn.execute(f"PRAGMA user_version = {step.number}")
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
