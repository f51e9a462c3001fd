"""What a restored backup must not bring back: what was withdrawn from people since it was made.

Levels, passwords and second factors come back as the backup has them: that is what restoring is for, and the
store that is replaced may be the work of an intruder. So only what narrows is taken over from it: a user who
was disabled, a token that was revoked, a code that was used. And everybody logs in anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from core.store.transaction import Transaction

# What is read of the store that is replaced, and what is done with each row in the one that takes its place.
_NARROWING: Mapping[str, str] = {
    "SELECT disabled_at, id FROM users WHERE disabled_at IS NOT NULL": (
        "UPDATE users SET disabled_at = coalesce(disabled_at, ?) WHERE id = ?"
    ),
    "SELECT revoked_at, id FROM api_tokens WHERE revoked_at IS NOT NULL": (
        "UPDATE api_tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?"
    ),
    "SELECT used_at, user_id, code_hash FROM recovery_codes WHERE used_at IS NOT NULL": (
        "UPDATE recovery_codes SET used_at = coalesce(used_at, ?) WHERE user_id = ? AND code_hash = ?"
    ),
    "SELECT last_step, user_id FROM second_factors": (
        "UPDATE second_factors SET last_step = max(last_step, ?) WHERE user_id = ?"
    ),
}
Withdrawn = Mapping[str, tuple[tuple[Any, ...], ...]]  # rows, by the statement that takes each over


def withdrawn_of(conn: sqlite3.Connection) -> Withdrawn:
    """Nothing for a store of before there were users."""
    try:
        return {do: tuple(tuple(row) for row in conn.execute(look)) for look, do in _NARROWING.items()}
    except sqlite3.OperationalError:
        return {}


def withdraw_again(tx: Transaction, withdrawn: Withdrawn) -> None:
    """In the store that was a backup."""
    tx.conn.execute(
        "UPDATE logins SET ended_at = ?, ended_why = 'a backup was restored' WHERE ended_at IS NULL",
        (tx.now_text,),
    )
    tx.conn.execute("DELETE FROM link_codes")
    for statement, rows in withdrawn.items():
        tx.conn.executemany(statement, rows)
