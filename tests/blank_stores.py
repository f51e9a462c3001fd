"""Stores that tests open anew begin as a copy of one that the schema's steps have made: to make them again,
for each of thousands of tests, takes six times as long as to open them. Tests of the steps really make them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing
from functools import cache, wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from core.store import migrations
from core.store.database import Store


@cache
def _blank() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "blank.db")
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            conn.execute("PRAGMA journal_mode = WAL")
            migrations.migrate(conn, path)
        return path.read_bytes()


def _begin(path: Path) -> None:
    """Whole or not at all: another process may be making the same one."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(_blank())
        os.link(fresh, path)
    finally:
        fresh.unlink()


@contextlib.contextmanager
def blank_stores() -> Iterator[None]:
    """Until it ends, in this process. What cannot be written is left to the store, which says why.
    `Store.open.__wrapped__` really makes one."""
    opened = Store.open

    @wraps(opened)
    def open_one(path: Path, *, cipher: Any = None, **options: Any) -> AbstractAsyncContextManager[Store]:
        if cipher is None and not path.exists():
            with contextlib.suppress(OSError):
                _begin(path)
        return opened(path, cipher=cipher, **options)

    with patch.object(Store, "open", open_one):
        yield
