"""Users, their levels, the accounts of Discord that they are, and the codes that link these."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotFound
from core.store.columns import from_optional_time, from_time, to_text, to_time
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: str
    username: str
    email: str
    password_hash: str = field(repr=False)
    level: AccessLevel | None  # in every project; None: only where it was granted
    made_at: datetime
    made_by: str
    disabled_at: datetime | None = None
    projects: Mapping[str, AccessLevel] = field(default_factory=dict)

    @property
    def highest(self) -> AccessLevel | None:
        """Of all that they have anywhere."""
        return max((*self.projects.values(), *([self.level] if self.level else [])), default=None)


def from_row(conn: sqlite3.Connection, row: sqlite3.Row) -> User:
    granted = conn.execute(
        "SELECT project, level FROM project_access WHERE user_id = ? ORDER BY project", (row["id"],)
    )
    return User(
        id=row["id"],
        username=row["username"],
        email=row["email"],
        password_hash=row["password_hash"],
        level=None if row["level"] is None else AccessLevel(row["level"]),
        made_at=from_time(row["made_at"]),
        made_by=row["made_by"],
        disabled_at=from_optional_time(row["disabled_at"]),
        projects={one["project"]: AccessLevel(one["level"]) for one in granted},
    )


def add(tx: Transaction, user: User) -> User:
    """Raises InvalidInput when the name or the address is taken."""
    for column, value, word in (("username", user.username, "name"), ("email", user.email, "address")):
        taken = tx.conn.execute(f"SELECT 1 FROM users WHERE {column} = ?", (value,)).fetchone()  # noqa: S608
        if taken:
            raise InvalidInput(f"There is a user with the {word} '{value}' already.", hint="Take another.")
    tx.conn.execute(
        "INSERT INTO users (id, username, email, password_hash, password_at, level, made_at, made_by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            user.id,
            user.username,
            user.email,
            user.password_hash,
            tx.now_text,
            user.level,
            to_time(user.made_at),
            user.made_by,
        ),
    )
    return user


def find(conn: sqlite3.Connection, name: str) -> User | None:
    """By name or address, in any case."""
    folded = to_text(name.strip().lower())
    return _one(conn, "username = ? OR email = ?", folded, folded)


def get(conn: sqlite3.Connection, name: str) -> User:
    """As `find`, but raises NotFound."""
    if (user := find(conn, name)) is None:
        raise NotFound(
            f"There is no user named '{name[:80]}'.", hint="`orchard users list` shows all of them."
        )
    return user


def by_id(conn: sqlite3.Connection, user_id: str) -> User | None:
    return _one(conn, "id = ?", user_id)


def every(conn: sqlite3.Connection) -> tuple[User, ...]:
    return tuple(from_row(conn, row) for row in conn.execute("SELECT * FROM users ORDER BY username"))


def owners(conn: sqlite3.Connection) -> int:
    """Those who can act."""
    return int(
        conn.execute(
            "SELECT count(*) FROM users WHERE level = ? AND disabled_at IS NULL", (AccessLevel.OWNER,)
        ).fetchone()[0]
    )


def set_level(tx: Transaction, user_id: str, level: AccessLevel | None) -> None:
    _update(tx, user_id, level=level)


def set_disabled(tx: Transaction, user_id: str, disabled: bool) -> None:
    _update(tx, user_id, disabled_at=tx.now_text if disabled else None)


def set_password(tx: Transaction, user_id: str, password_hash: str) -> None:
    _update(tx, user_id, password_hash=password_hash, password_at=tx.now_text)


def rehash(tx: Transaction, user_id: str, old: str, new: str) -> bool:
    """The same password at another cost. False: it was changed meanwhile, and stays as it is."""
    cursor = tx.conn.execute(
        "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", (new, user_id, old)
    )
    return cursor.rowcount == 1


def set_project_level(
    tx: Transaction, user_id: str, project: str, level: AccessLevel | None, by: str
) -> None:
    """None takes it away."""
    if level is None:
        tx.conn.execute("DELETE FROM project_access WHERE user_id = ? AND project = ?", (user_id, project))
        return
    tx.conn.execute(
        "INSERT INTO project_access (user_id, project, level, at, by) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (user_id, project) DO UPDATE"
        " SET level = excluded.level, at = excluded.at, by = excluded.by",
        (user_id, project, level, tx.now_text, by),
    )


# -- accounts of Discord ---------------------------------------------------------------------


def by_person(conn: sqlite3.Connection, person: str) -> User | None:
    return _one(conn, "id = (SELECT user_id FROM discord_links WHERE person = ?)", person)


def people_of(conn: sqlite3.Connection, user_id: str) -> tuple[str, ...]:
    rows = conn.execute("SELECT person FROM discord_links WHERE user_id = ? ORDER BY person", (user_id,))
    return tuple(row["person"] for row in rows)


def link(tx: Transaction, person: str, user_id: str) -> None:
    """They are that user from now on, whoever they were before."""
    tx.conn.execute(
        "INSERT INTO discord_links (person, user_id, at) VALUES (?, ?, ?)"
        " ON CONFLICT (person) DO UPDATE SET user_id = excluded.user_id, at = excluded.at",
        (person, user_id, tx.now_text),
    )


def unlink(tx: Transaction, person: str) -> bool:
    return tx.conn.execute("DELETE FROM discord_links WHERE person = ?", (person,)).rowcount == 1


def set_code(tx: Transaction, user_id: str, code_hash: str, expires_at: datetime) -> None:
    tx.conn.execute(
        "INSERT INTO link_codes (user_id, code_hash, expires_at) VALUES (?, ?, ?)"
        " ON CONFLICT (user_id) DO UPDATE"
        " SET code_hash = excluded.code_hash, expires_at = excluded.expires_at",
        (user_id, code_hash, to_time(expires_at)),
    )


def use_code(tx: Transaction, code_hash: str) -> User | None:
    """Whose it is; it is gone then. None: there is none, or its time is over."""
    row = tx.conn.execute(
        "DELETE FROM link_codes WHERE code_hash = ? RETURNING user_id, expires_at", (code_hash,)
    ).fetchone()
    if row is None or from_time(row["expires_at"]) <= tx.now:
        return None
    return by_id(tx.conn, row["user_id"])


def drop_code(tx: Transaction, user_id: str) -> None:
    tx.conn.execute("DELETE FROM link_codes WHERE user_id = ?", (user_id,))


def _one(conn: sqlite3.Connection, where: str, *parameters: str) -> User | None:
    row = conn.execute(f"SELECT * FROM users WHERE {where}", parameters).fetchone()  # noqa: S608
    return None if row is None else from_row(conn, row)


def _update(tx: Transaction, user_id: str, **values: Any) -> None:
    columns = ", ".join(f"{column} = ?" for column in values)
    tx.conn.execute(f"UPDATE users SET {columns} WHERE id = ?", (*values.values(), user_id))  # noqa: S608
