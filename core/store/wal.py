"""Making a database file one with a write-ahead log, whoever else is making it at the same moment."""

from __future__ import annotations

import sqlite3
import time


def switch_to_wal(conn: sqlite3.Connection, busy_seconds: float) -> str:
    """The mode that it came to. Two programs that make the same file can hold each other up here, and
    SQLite then gives up at once instead of waiting, as it would be a deadlock."""
    give_up_at = time.monotonic() + busy_seconds
    while True:
        try:
            return str(conn.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
