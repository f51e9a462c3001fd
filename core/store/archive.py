"""What the store knows of one project, as a file: rows of every table that is the project's, in one snapshot.

A zip file with `manifest.json` and `tables/<table>.jsonl`, a row a line. Secrets, people's rights and
measurements are not in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.durable_file import draft_of, sync_folder
from core.errors import Unavailable
from core.store.columns import to_time

FORMAT = 1
MANIFEST = "manifest.json"

_BY_NAME = "name = ?1"
_BY_PROJECT = "project = ?1"
_BY_STORY = "story_id IN (SELECT id FROM stories WHERE project = ?1)"
# What is kept of each table, in the order in which it would be put back.
KEPT: Mapping[str, str] = {
    "projects": _BY_NAME,
    "sprints": _BY_PROJECT,
    "epics": _BY_PROJECT,
    "stories": _BY_PROJECT,
    "story_needs": _BY_STORY,
    "cycles": _BY_PROJECT,
    "touched_files": _BY_STORY,
    "gates": _BY_STORY,
    "approvals": _BY_PROJECT,
    "merge_batches": _BY_PROJECT,
    "merges": _BY_PROJECT,
    "usage_pauses": _BY_PROJECT,
    "model_calls": _BY_PROJECT,
    "agent_turns": _BY_PROJECT,
    "budget_raises": _BY_PROJECT,
    "session_turns": _BY_PROJECT,
    "session_forks": _BY_STORY,
    "session_links": _BY_STORY,
    "github_links": _BY_PROJECT,
    "github_issues": _BY_PROJECT,
    "github_milestones": _BY_PROJECT,
    "github_releases": _BY_PROJECT,
    "pulls": _BY_PROJECT,
    "alerts": _BY_PROJECT,
    "events": _BY_PROJECT,
}
# Tables that name a project or a story and are left out, each with its reason.
LEFT_OUT: Mapping[str, str] = {
    "leases": "of running work",
    "processes": "likewise",
    "resource_holds": "likewise",
    "scheduler_memory": "the scheduler's own",
    "load_samples": "measurements",
    "metric_series": "likewise",
    "budget_notices": "what was told, not what happened",
    "subscriptions": "people's own",
    "project_access": "people's rights",
    "secrets": "never leave the store",
    "audit_log": "has an export of its own",
    "github_etags": "a cache",
    "github_intents": "of running work",
    "github_comments": "what was told, not what happened",
    "github_deliveries": "likewise",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """`rows`: by table. `last_event`: the project's newest in it."""

    path: Path
    made_at: datetime
    rows: Mapping[str, int]
    last_event: int
    sha256: str  # of the file

    @property
    def total(self) -> int:
        return sum(self.rows.values())


def last_event(conn: sqlite3.Connection, project: str) -> int:
    return int(
        conn.execute("SELECT coalesce(max(seq), 0) FROM events WHERE project = ?", (project,)).fetchone()[0]
    )


def write_archive(
    conn: sqlite3.Connection,
    project: str,
    folder: Path,
    *,
    now: datetime,
    settings: Mapping[str, Any],
) -> Archive:
    """Within one read transaction. The file is whole, proven and durable, or not there.

    Raises Unavailable when it cannot be written, or does not hold what it should.
    """
    path = folder / f"{project}-{now:%Y%m%dT%H%M%S%fZ}.zip"
    draft = draft_of(path)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        seen = last_event(conn, project)
        with os.fdopen(
            os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b"
        ) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
                rows = {table: _table(made, conn, table, where, project) for table, where in KEPT.items()}
                manifest = {
                    "format": FORMAT,
                    "project": project,
                    "made_at": to_time(now),
                    "last_event": seen,
                    "rows": rows,
                    "settings": dict(settings),
                }
                made.writestr(MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
            _prove(file, rows)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        draft.replace(path)
        sync_folder(folder)
    except OSError as error:
        raise Unavailable(
            f"{project} cannot be archived.",
            why=f"{path} cannot be written: {error.strerror or error}.",
            hint="Nothing was changed. Make room for it, then try again.",
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return Archive(path=path, made_at=now, rows=rows, last_event=seen, sha256=digest)


def _table(made: zipfile.ZipFile, conn: sqlite3.Connection, table: str, where: str, project: str) -> int:
    count = 0
    with made.open(f"tables/{table}.jsonl", "w") as file:
        for row in _rows(conn, table, where, project):
            file.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
            count += 1
    return count


def _rows(conn: sqlite3.Connection, table: str, where: str, project: str) -> Iterator[dict[str, Any]]:
    cursor = conn.execute(f"SELECT * FROM {table} WHERE {where}", (project,))  # noqa: S608
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield {name: _plain(value) for name, value in zip(names, tuple(row), strict=True)}


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _prove(file: Any, rows: Mapping[str, int]) -> None:
    """Raises OSError unless it reads back as what was written."""
    try:
        with zipfile.ZipFile(file) as made:
            for table, count in rows.items():
                with made.open(f"tables/{table}.jsonl") as lines:
                    found = sum(1 for _ in lines)  # each part's checksum is compared at its end
                if found != count:
                    raise OSError(f"{table} has {found} rows of {count}")
            json.loads(made.read(MANIFEST))
    except (zipfile.BadZipFile, ValueError) as error:
        raise OSError(str(error)) from error
