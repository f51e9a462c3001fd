"""Sealed secrets in rows. Nothing here opens one: see core.security.secrets."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime

from core.store.columns import from_time, to_text
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """`sealed` is None of a removed one, of which only the version is kept."""

    project: str
    name: str
    version: int
    key_id: str
    nonce: bytes | None = field(repr=False)
    sealed: bytes | None = field(repr=False)
    set_at: datetime
    set_by: str


def get(conn: sqlite3.Connection, project: str, name: str) -> SealedSecret | None:
    """Also a removed one."""
    row = conn.execute("SELECT * FROM secrets WHERE project = ? AND name = ?", (project, name)).fetchone()
    return None if row is None else _from_row(row)


def of_project(conn: sqlite3.Connection, project: str) -> tuple[SealedSecret, ...]:
    """Those that are there, by name."""
    found = conn.execute(
        "SELECT * FROM secrets WHERE project = ? AND sealed IS NOT NULL ORDER BY name", (project,)
    )
    return tuple(_from_row(row) for row in found)


def every(conn: sqlite3.Connection) -> tuple[SealedSecret, ...]:
    """Those that are there, of all projects."""
    found = conn.execute("SELECT * FROM secrets WHERE sealed IS NOT NULL ORDER BY project, name")
    return tuple(_from_row(row) for row in found)


def put(
    tx: Transaction,
    project: str,
    name: str,
    version: int,
    *,
    key_id: str,
    nonce: bytes,
    sealed: bytes,
    by: str,
) -> None:
    """In place of the version before."""
    tx.conn.execute(
        "INSERT INTO secrets (project, name, version, key_id, nonce, sealed, set_at, set_by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, name) DO UPDATE"
        " SET version = excluded.version, key_id = excluded.key_id, nonce = excluded.nonce,"
        " sealed = excluded.sealed, set_at = excluded.set_at, set_by = excluded.set_by",
        (project, name, version, key_id, nonce, sealed, tx.now_text, to_text(by)),
    )


def seal_anew(
    conn: sqlite3.Connection, project: str, name: str, *, key_id: str, nonce: bytes, sealed: bytes
) -> None:
    """The same value of the same version, sealed with another key."""
    conn.execute(
        "UPDATE secrets SET key_id = ?, nonce = ?, sealed = ? WHERE project = ? AND name = ?",
        (key_id, nonce, sealed, project, name),
    )


def remove(tx: Transaction, project: str, name: str, *, by: str) -> bool:
    """Whether it was there."""
    cursor = tx.conn.execute(
        "UPDATE secrets SET key_id = '', nonce = NULL, sealed = NULL, set_at = ?, set_by = ?"
        " WHERE project = ? AND name = ? AND sealed IS NOT NULL",
        (tx.now_text, to_text(by), project, name),
    )
    return cursor.rowcount == 1


def _from_row(row: sqlite3.Row) -> SealedSecret:
    return SealedSecret(
        project=row["project"],
        name=row["name"],
        version=row["version"],
        key_id=row["key_id"],
        nonce=row["nonce"],
        sealed=row["sealed"],
        set_at=from_time(row["set_at"]),
        set_by=row["set_by"],
    )
