"""Logins (sessions of people on the web), their second factors, and the tries that failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.security.rate_limit import Tries
from core.store.columns import from_optional_time, from_time, to_time
from core.store.transaction import Transaction


class Shown(StrEnum):
    """Which token of a login somebody has."""

    PRESENT = "present"
    PREVIOUS = "previous"  # the one that the present one replaced
    FORMER = "former"  # an older one


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    id: str
    user_id: str
    made_at: datetime
    seen_at: datetime
    rotated_at: datetime
    client: str
    proved_at: datetime | None = None  # when a second factor was shown
    ended_at: datetime | None = None
    ended_why: str = ""


def from_row(row: sqlite3.Row) -> Login:
    return Login(
        id=row["id"],
        user_id=row["user_id"],
        made_at=from_time(row["made_at"]),
        seen_at=from_time(row["seen_at"]),
        rotated_at=from_time(row["rotated_at"]),
        client=row["client"],
        proved_at=from_optional_time(row["proved_at"]),
        ended_at=from_optional_time(row["ended_at"]),
        ended_why=row["ended_why"] or "",
    )


def add(tx: Transaction, login: Login, token_hash: str) -> None:
    tx.conn.execute(
        "INSERT INTO logins (id, user_id, token_hash, rotated_at, made_at, seen_at, client)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            login.id,
            login.user_id,
            token_hash,
            to_time(login.rotated_at),
            to_time(login.made_at),
            to_time(login.seen_at),
            login.client,
        ),
    )


def find(conn: sqlite3.Connection, token_hash: str) -> tuple[Login, Shown] | None:
    """Which login it is of, ended or not, and which of its tokens it is."""
    row = conn.execute(
        "SELECT * FROM logins WHERE token_hash = ? OR previous_hash = ?", (token_hash, token_hash)
    ).fetchone()
    if row is not None:
        return from_row(row), Shown.PRESENT if row["token_hash"] == token_hash else Shown.PREVIOUS
    row = conn.execute(
        "SELECT * FROM logins WHERE id = (SELECT login_id FROM former_tokens WHERE token_hash = ?)",
        (token_hash,),
    ).fetchone()
    return None if row is None else (from_row(row), Shown.FORMER)


def by_id(conn: sqlite3.Connection, login_id: str) -> Login | None:
    row = conn.execute("SELECT * FROM logins WHERE id = ?", (login_id,)).fetchone()
    return None if row is None else from_row(row)


def clients_of(conn: sqlite3.Connection, user_id: str) -> tuple[str, ...]:
    """From where the user logged in, as far as that is kept."""
    rows = conn.execute("SELECT DISTINCT client FROM logins WHERE user_id = ?", (user_id,))
    return tuple(row["client"] for row in rows)


def open_of(conn: sqlite3.Connection, user_id: str) -> tuple[Login, ...]:
    """The latest seen first."""
    rows = conn.execute(
        "SELECT * FROM logins WHERE user_id = ? AND ended_at IS NULL ORDER BY seen_at DESC, id", (user_id,)
    )
    return tuple(from_row(row) for row in rows)


def seen(tx: Transaction, login_id: str) -> None:
    """It never goes back."""
    tx.conn.execute(
        "UPDATE logins SET seen_at = max(seen_at, ?) WHERE id = ? AND ended_at IS NULL",
        (tx.now_text, login_id),
    )


def rotate(tx: Transaction, old_hash: str, new_hash: str, *, proved: bool) -> bool:
    """False: it ended, or another was faster."""
    tx.conn.execute(
        "INSERT INTO former_tokens (token_hash, login_id) SELECT previous_hash, id FROM logins"
        " WHERE token_hash = ? AND ended_at IS NULL AND previous_hash IS NOT NULL",
        (old_hash,),
    )
    cursor = tx.conn.execute(
        "UPDATE logins SET token_hash = ?, previous_hash = token_hash, rotated_at = ?, seen_at = ?,"
        " proved_at = CASE WHEN ? THEN ? ELSE proved_at END WHERE token_hash = ? AND ended_at IS NULL",
        (new_hash, tx.now_text, tx.now_text, proved, tx.now_text, old_hash),
    )
    return cursor.rowcount == 1


def end(tx: Transaction, login_id: str, why: str) -> bool:
    """False: it had ended."""
    cursor = tx.conn.execute(
        "UPDATE logins SET ended_at = ?, ended_why = ? WHERE id = ? AND ended_at IS NULL",
        (tx.now_text, why, login_id),
    )
    return cursor.rowcount == 1


def end_all(tx: Transaction, user_id: str, why: str, *, but: str = "") -> int:
    """How many; `but` stays."""
    return tx.conn.execute(
        "UPDATE logins SET ended_at = ?, ended_why = ? WHERE user_id = ? AND id <> ? AND ended_at IS NULL",
        (tx.now_text, why, user_id, but),
    ).rowcount


def prune(tx: Transaction, before: datetime) -> int:
    """Logins that nobody used since, ended or not."""
    return tx.conn.execute("DELETE FROM logins WHERE seen_at < ?", (to_time(before),)).rowcount


# -- second factors --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    sealed: bytes
    confirmed_at: datetime | None
    last_step: int


def factor_of(conn: sqlite3.Connection, user_id: str) -> Factor | None:
    row = conn.execute("SELECT * FROM second_factors WHERE user_id = ?", (user_id,)).fetchone()
    if row is None:
        return None
    return Factor(
        sealed=row["secret"],
        confirmed_at=from_optional_time(row["confirmed_at"]),
        last_step=row["last_step"],
    )


def begin_factor(tx: Transaction, user_id: str, sealed: bytes) -> bool:
    """Takes the place of one that was not confirmed. False: there is one that was."""
    cursor = tx.conn.execute(
        "INSERT INTO second_factors (user_id, secret, begun_at) VALUES (?, ?, ?)"
        " ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, begun_at = excluded.begun_at"
        " WHERE confirmed_at IS NULL",
        (user_id, sealed, tx.now_text),
    )
    return cursor.rowcount == 1


def take_step(tx: Transaction, user_id: str, step: int) -> bool:
    """Its code is used up with all before it. False: it was already."""
    cursor = tx.conn.execute(
        "UPDATE second_factors SET last_step = ?, confirmed_at = coalesce(confirmed_at, ?)"
        " WHERE user_id = ? AND last_step < ?",
        (step, tx.now_text, user_id, step),
    )
    return cursor.rowcount == 1


def remove_factor(tx: Transaction, user_id: str) -> bool:
    """With its recovery codes."""
    tx.conn.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))
    return tx.conn.execute("DELETE FROM second_factors WHERE user_id = ?", (user_id,)).rowcount == 1


def sealed_factors(conn: sqlite3.Connection) -> dict[str, bytes]:
    """All sealed secrets, by user."""
    rows = conn.execute("SELECT user_id, secret FROM second_factors ORDER BY user_id")
    return {row["user_id"]: row["secret"] for row in rows}


def set_sealed(tx: Transaction, user_id: str, sealed: bytes) -> None:
    tx.conn.execute("UPDATE second_factors SET secret = ? WHERE user_id = ?", (sealed, user_id))


def set_recovery_codes(tx: Transaction, user_id: str, hashes: Collection[str]) -> None:
    """Those from before are void."""
    tx.conn.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))
    tx.conn.executemany(
        "INSERT INTO recovery_codes (user_id, code_hash) VALUES (?, ?)",
        [(user_id, one) for one in hashes],
    )


def use_recovery_code(tx: Transaction, user_id: str, code_hash: str) -> bool:
    """False: there is none such, or it was used."""
    cursor = tx.conn.execute(
        "UPDATE recovery_codes SET used_at = ? WHERE user_id = ? AND code_hash = ? AND used_at IS NULL",
        (tx.now_text, user_id, code_hash),
    )
    return cursor.rowcount == 1


def recovery_codes_left(conn: sqlite3.Connection, user_id: str) -> int:
    return int(
        conn.execute(
            "SELECT count(*) FROM recovery_codes WHERE user_id = ? AND used_at IS NULL", (user_id,)
        ).fetchone()[0]
    )


# -- tries that failed -----------------------------------------------------------------------


def tries_of(conn: sqlite3.Connection, subject: str) -> Tries:
    """None at all where nothing is kept."""
    row = conn.execute("SELECT * FROM failed_tries WHERE subject = ?", (subject,)).fetchone()
    if row is None:
        return Tries()
    return Tries(
        failures=row["failures"],
        last_at=from_time(row["last_at"]),
        closed_until=from_optional_time(row["closed_until"]),
    )


def set_tries(tx: Transaction, subject: str, tries: Tries) -> None:
    """At least one, with its time."""
    assert tries.last_at is not None
    closed = None if tries.closed_until is None else to_time(tries.closed_until)
    tx.conn.execute(
        "INSERT INTO failed_tries (subject, failures, last_at, closed_until) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at,"
        " closed_until = excluded.closed_until",
        (subject, tries.failures, to_time(tries.last_at), closed),
    )


def forget_tries(tx: Transaction, subject: str) -> None:
    tx.conn.execute("DELETE FROM failed_tries WHERE subject = ?", (subject,))


def prune_tries(tx: Transaction, before: datetime) -> int:
    """A few at a time: whoever tries many names must not make one transaction long."""
    return tx.conn.execute(
        "DELETE FROM failed_tries WHERE subject IN"
        " (SELECT subject FROM failed_tries WHERE last_at < ? ORDER BY last_at LIMIT 100)",
        (to_time(before),),
    ).rowcount
