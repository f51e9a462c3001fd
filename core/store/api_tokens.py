"""Tokens for programs: whose they are, what for, until when."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from core.errors import InvalidInput
from core.store.columns import from_list, from_optional_time, from_time, to_list, to_text, to_time
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    id: str
    user_id: str
    name: str
    scopes: tuple[str, ...]
    projects: tuple[str, ...]  # none: every one that its user sees
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None


def from_row(row: sqlite3.Row) -> ApiToken:
    return ApiToken(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        scopes=from_list(row["scopes"]),
        projects=from_list(row["projects"]),
        made_at=from_time(row["made_at"]),
        expires_at=from_time(row["expires_at"]),
        used_at=from_optional_time(row["used_at"]),
        revoked_at=from_optional_time(row["revoked_at"]),
    )


def add(tx: Transaction, token: ApiToken, token_hash: str) -> None:
    """Raises InvalidInput when the user has one of that name."""
    taken = tx.conn.execute(
        "SELECT 1 FROM api_tokens WHERE user_id = ? AND name = ? AND revoked_at IS NULL",
        (token.user_id, token.name),
    ).fetchone()
    if taken:
        raise InvalidInput(
            f"There is a token named '{token.name}' already.", hint="Revoke it, or take another name."
        )
    tx.conn.execute(
        "INSERT INTO api_tokens (id, user_id, name, token_hash, scopes, projects, made_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            token.id,
            token.user_id,
            token.name,
            token_hash,
            to_list(token.scopes),
            to_list(token.projects),
            to_time(token.made_at),
            to_time(token.expires_at),
        ),
    )


def find(conn: sqlite3.Connection, token_hash: str) -> ApiToken | None:
    """Also one that is revoked or over."""
    row = conn.execute("SELECT * FROM api_tokens WHERE token_hash = ?", (token_hash,)).fetchone()
    return None if row is None else from_row(row)


def by_id(conn: sqlite3.Connection, token_id: str) -> ApiToken | None:
    row = conn.execute("SELECT * FROM api_tokens WHERE id = ?", (to_text(token_id),)).fetchone()
    return None if row is None else from_row(row)


def of_user(conn: sqlite3.Connection, user_id: str) -> tuple[ApiToken, ...]:
    """Those that are not revoked, the oldest first."""
    rows = conn.execute(
        "SELECT * FROM api_tokens WHERE user_id = ? AND revoked_at IS NULL ORDER BY made_at, id", (user_id,)
    )
    return tuple(from_row(row) for row in rows)


def used(tx: Transaction, token_id: str) -> None:
    tx.conn.execute("UPDATE api_tokens SET used_at = ? WHERE id = ?", (tx.now_text, token_id))


def revoke(tx: Transaction, token_id: str) -> bool:
    """False: it was already."""
    cursor = tx.conn.execute(
        "UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (tx.now_text, token_id)
    )
    return cursor.rowcount == 1


def revoke_all(tx: Transaction, user_id: str) -> int:
    return tx.conn.execute(
        "UPDATE api_tokens SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL",
        (tx.now_text, user_id),
    ).rowcount
