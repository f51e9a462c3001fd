"""The audit log's head, kept outside the store: so also a log whose end was cut off, head and all, is found.

One small file in the state folder, mode 0600, replaced as a whole and durable at once. It holds no secret;
its signature tells who wrote it.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from core.durable_file import replace_whole
from core.errors import Unavailable
from core.security.audit import Mark
from core.store import audit
from core.store.auditor import Auditor


class HeadFile:
    """It may lag behind the log by what was recorded in the last moments, and never runs ahead of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Mark | None:
        """None where none was kept yet. Raises Unavailable for a file that holds none."""
        try:
            found = json.loads(self.path.read_bytes())
            return Mark(
                seq=int(found["seq"]),
                hash=bytes.fromhex(found["hash"]),
                key_id=str(found["key_id"]),
                mac=bytes.fromhex(found["mac"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise Unavailable(
                f"{self.path} holds no head of the audit log.",
                why=str(error)[:200],
                hint="Somebody changed it. Keep a copy of it and of the store; remove it to begin anew.",
            ) from error

    def keep(self, conn: sqlite3.Connection, auditor: Auditor) -> bool:
        """Writes the log's present head, and returns whether that was new.

        What was kept stays when the log no longer holds it: it is the evidence. Raises Unavailable.
        """
        now = audit.head(conn)
        if not auditor.signed(now):
            return False
        kept = self.read()
        if kept == now or (kept is not None and not auditor.holds(conn, kept)):
            return False
        self._write(now)
        return True

    def _write(self, mark: Mark) -> None:
        text = json.dumps(
            {"seq": mark.seq, "hash": mark.hash.hex(), "key_id": mark.key_id, "mac": mark.mac.hex()}
        )
        try:
            replace_whole(self.path, text + "\n")
        except OSError as error:
            raise Unavailable(
                f"The audit log's head cannot be kept in {self.path}.",
                why=error.strerror or str(error),
                hint="See the folder's rights and the disk's room.",
            ) from error
