"""What SQLite reports about the machine rather than about us, in words that people can act on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from core.errors import OrchardError, Unavailable

_RESTORE = "Stop Orchard, keep a copy of the file for inspection and restore a backup."

# By primary result code: what happened, what to do.
_KNOWN: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        "The store is locked by another program.",
        "See which one holds it (`fuser {path}`); it should finish within seconds. Then try again.",
    ),
    sqlite3.SQLITE_FULL: (
        "The disk that holds the store is full.",
        "Free some space in {folder}; nothing that was confirmed is lost.",
    ),
    sqlite3.SQLITE_IOERR: (
        "Reading or writing the store failed.",
        "Check the disk that holds {folder} (`dmesg`, `df -h`).",
    ),
    sqlite3.SQLITE_READONLY: (
        "The store cannot be written.",
        "Give this user the right to write in {folder}.",
    ),
    sqlite3.SQLITE_PERM: ("The store cannot be opened.", "Give this user the right to write in {folder}."),
    sqlite3.SQLITE_CANTOPEN: (
        "The store cannot be opened.",
        "{path} must be a file, in a folder where this user may write.",
    ),
    sqlite3.SQLITE_CORRUPT: ("The store is damaged.", _RESTORE),
    sqlite3.SQLITE_NOTADB: (
        "The store's file is no database.",
        "Move {path} away or set another global_state_path; if it was a store, restore a backup, and if that"
        " was encrypted, switch security.encryption_at_rest on.",
    ),
    sqlite3.SQLITE_PROTOCOL: (
        "The store could not be locked.",
        "{folder} must be on a local file system, not on a network share.",
    ),
}


def is_fault(error: BaseException) -> bool:
    """Whether the error is the machine's: a lock, the disk, the file. Broken constraints and SQL are not."""
    if not isinstance(error, sqlite3.Error) or _primary(error) not in _KNOWN:
        return False
    # A cursor that a work left open is our own mistake, though SQLite calls it busy as well.
    return "statements in progress" not in str(error)


def explain(error: sqlite3.Error, path: Path) -> OrchardError:
    """An Unavailable for the user, with SQLite's words as the reason and the error as its cause."""
    message, hint = _KNOWN.get(_primary(error), ("The store failed.", "See the log for what it was doing."))
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
        message = "The store was put in another place, or another one in its place."
        hint = "Start this program again: it has the old file open, which is {path} no more."
    fault = Unavailable(message, why=f"{path}: {error}.", hint=hint.format(path=path, folder=path.parent))
    fault.__cause__ = error
    return fault


def _primary(error: sqlite3.Error) -> int:
    """The result code without its extension; 0 for errors that Python's module raised itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
