"""Which files each story at work has changed since its base: what the forecast of overlaps is made of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from core.domain.overlap import AtWork
from core.store.columns import to_text
from core.store.transaction import Transaction

# A story that generates more is compared by these: a forecast needs no more, and a row each would cost.
FILES_AT_MOST = 2000


def replace(tx: Transaction, story_id: str, files: Iterable[str]) -> None:
    """The files that the story's worktree changes now; of more than FILES_AT_MOST the first by name."""
    now = frozenset(sorted({to_text(path) for path in files if path})[:FILES_AT_MOST])
    before = of_story(tx.conn, story_id)
    tx.conn.executemany(
        "DELETE FROM touched_files WHERE story_id = ? AND path = ?",
        [(story_id, path) for path in before - now],
    )
    tx.conn.executemany(
        "INSERT INTO touched_files (story_id, path) VALUES (?, ?)",
        [(story_id, path) for path in sorted(now - before)],
    )


def of_story(conn: sqlite3.Connection, story_id: str) -> frozenset[str]:
    rows = conn.execute("SELECT path FROM touched_files WHERE story_id = ?", (story_id,))
    return frozenset(row["path"] for row in rows)


def of_project(conn: sqlite3.Connection, project: str) -> tuple[AtWork, ...]:
    """The project's stories that are not over and have changed something, in the order of their begin."""
    rows = conn.execute(
        "SELECT c.story_id, t.path FROM cycles c"
        " JOIN stories s ON s.id = c.story_id AND s.state = 'active'"
        " JOIN touched_files t ON t.story_id = c.story_id"
        " WHERE c.project = ? AND c.state NOT IN ('done', 'aborted')"
        " ORDER BY c.started_at, s.number",
        (project,),
    )
    files: dict[str, set[str]] = {}
    for row in rows:
        files.setdefault(row["story_id"], set()).add(row["path"])
    return tuple(AtWork(story_id=story, files=frozenset(paths)) for story, paths in files.items())
