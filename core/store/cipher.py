"""Encryption at rest: connections that go through SQLCipher, which encrypts and authenticates every page.

The store's key is derived from Orchard's (core.security.keys) and given as it is, without a passphrase's slow
derivation, so opening costs no more than a plain file's. The extra `sqlcipher` brings the library; without it
an encrypted store is refused, never opened plain.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from core.errors import OrchardError, Unavailable
from core.security.keys import Key, Purpose
from core.store import faults

_PLAIN = b"SQLite format 3\0"
# One of sqlcipher3's errors is also sqlite3's of that name: each `except` in the store holds for both.
_ERRORS = (
    "InterfaceError",
    "DatabaseError",
    "DataError",
    "OperationalError",
    "IntegrityError",
    "InternalError",
    "ProgrammingError",
    "NotSupportedError",
)


class Cipher:
    """How to open an encrypted store. Raises Unavailable when the extra is not installed."""

    __slots__ = ("_driver", "_key", "key_id")

    def __init__(self, key: Key) -> None:
        self._driver = _load()
        self._key = key.derived(Purpose.STORE)
        self.key_id = key.id

    @property
    def row(self) -> Any:
        """The row type of its connections, in place of sqlite3.Row."""
        return self._driver.Row

    @property
    def phrase(self) -> str:
        """The key as `PRAGMA key` and `ATTACH ... KEY` take it."""
        return f"x'{self._key.hex()}'"

    def connect(self, path: Path, **options: Any) -> sqlite3.Connection:
        """As sqlite3.connect. The key is looked at with the first statement that reads the file."""
        connection = connect_plain(path, **options)
        # The first statement of a connection; it takes no parameters.
        connection.execute(f'PRAGMA key = "{self.phrase}"')
        return connection

    def explain(self, error: sqlite3.Error, path: Path) -> OrchardError:
        """For people, as faults.explain: a plain file and another key look the same to SQLCipher."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_NOTADB:
            return faults.explain(error, path)
        if is_plain(path):
            fault = Unavailable(
                "The store is not encrypted.",
                why=f"security.encryption_at_rest is on, and {path} is a plain database.",
                hint="Encrypt it with `orchard key change`, or switch encryption_at_rest off.",
            )
        else:
            fault = Unavailable(
                "The store does not open with this key.",
                why=f"{path} has another key than {self.key_id}, or its first page is damaged.",
                hint="Give Orchard the key that it had; if it had this one: `orchard restore FILE`.",
            )
        fault.__cause__ = error
        return fault

    def __repr__(self) -> str:
        return f"Cipher({self.key_id})"


def is_plain(path: Path) -> bool:
    """Whether the file is a database that anybody could read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_PLAIN)) == _PLAIN
    except FileNotFoundError:
        return False


def connect_plain(path: Path, **options: Any) -> sqlite3.Connection:
    """A connection of SQLCipher's library without a key: it can attach encrypted files."""
    driver = _load()
    connection = driver.connect(path, **options)
    # It writes to stderr what we tell people ourselves; the level is the process's.
    connection.execute("PRAGMA cipher_log_level = NONE")
    return cast("sqlite3.Connection", connection)


@cache
def _load() -> Any:
    try:
        driver = import_module("sqlcipher3.dbapi2")
    except ImportError as error:
        raise Unavailable(
            "An encrypted store needs SQLCipher, which is not installed.",
            why=f"security.encryption_at_rest is on, and sqlcipher3 cannot be imported: {error}.",
            hint="Install Orchard with its extra: `pip install 'orchard[sqlcipher]'`.",
        ) from error
    for name in _ERRORS:
        theirs, ours = getattr(driver, name), getattr(sqlite3, name)
        if not issubclass(theirs, ours):
            theirs.__bases__ = (*theirs.__bases__, ours)
    return driver
