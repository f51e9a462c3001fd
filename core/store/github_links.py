"""Which repository a project has on GitHub, how far it was read, and what its pages were called last."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from core.domain.github import Link, LinkState
from core.errors import InvalidInput, LostRace, NotFound
from core.store.columns import from_optional_time, from_time, to_text, to_time
from core.store.transaction import Transaction


def from_row(row: sqlite3.Row) -> Link:
    return Link(
        project=row["project"],
        repository=row["repository"],
        repository_id=row["repository_id"],
        default_branch=row["default_branch"],
        clone_url=row["clone_url"],
        html_url=row["html_url"],
        state=LinkState(row["state"]),
        trouble=row["trouble"],
        linked_by=row["linked_by"],
        linked_at=from_time(row["linked_at"]),
        synced_at=from_optional_time(row["synced_at"]),
        cursor=row["cursor"],
        comments_cursor=row["comments_cursor"],
        configured=bool(row["configured"]),
        named=row["named"],
    )


def find(conn: sqlite3.Connection, project: str) -> Link | None:
    row = conn.execute("SELECT * FROM github_links WHERE project = ?", (project,)).fetchone()
    return None if row is None else from_row(row)


def get(conn: sqlite3.Connection, project: str) -> Link:
    if (link := find(conn, project)) is not None:
        return link
    raise NotFound(
        f"{project} is linked with no repository on GitHub.",
        hint=f"Link it: /github link {project} OWNER/NAME.",
    )


def check(conn: sqlite3.Connection, link: Link) -> None:
    """What one repository was asked or answered is no matter of another's. Raises LostRace when the project
    was linked with another one since, NotFound when with none."""
    if get(conn, link.project).linked_at != link.linked_at:
        raise LostRace(f"{link.project} is linked with another repository by now.")


def every(conn: sqlite3.Connection) -> tuple[Link, ...]:
    return tuple(from_row(row) for row in conn.execute("SELECT * FROM github_links ORDER BY project"))


def of_repository(conn: sqlite3.Connection, repository_id: int, name: str = "") -> Link | None:
    """By GitHub's id, or by name for a link that GitHub has not answered for yet."""
    row = conn.execute(
        "SELECT * FROM github_links WHERE repository_id = ?"
        " OR (repository_id IS NULL AND repository = ? COLLATE NOCASE) ORDER BY repository_id IS NULL",
        (repository_id, name),
    ).fetchone()
    return None if row is None else from_row(row)


def is_named(link: Link, repository: str) -> bool:
    """By the name that it has now, or the one that it was linked by."""
    return repository.casefold() in (link.repository.casefold(), link.named.casefold())


def put(tx: Transaction, project: str, repository: str, *, by: str, configured: bool) -> Link:
    """Links the project, anew where it had another repository: what was read of that is forgotten.

    Raises InvalidInput when another project has the repository.
    """
    before = find(tx.conn, project)
    if before is not None and is_named(before, repository):
        tx.conn.execute(
            "UPDATE github_links SET configured = ?, named = ? WHERE project = ?",
            (int(configured), repository, project),
        )
        return get(tx.conn, project)
    other = tx.conn.execute(
        "SELECT project FROM github_links WHERE repository = ? COLLATE NOCASE AND project <> ?",
        (repository, project),
    ).fetchone()
    if other is not None:
        raise _taken(repository, other["project"])
    remove(tx, project)
    tx.conn.execute(
        "INSERT INTO github_links (project, repository, named, state, linked_by, linked_at, configured)"
        " VALUES (?, ?, ?, 'new', ?, ?, ?)",
        (project, repository, repository, by, tx.now_text, int(configured)),
    )
    return get(tx.conn, project)


def remove(tx: Transaction, project: str) -> bool:
    """Its stories keep their issues' addresses; nothing is synced any more."""
    return tx.conn.execute("DELETE FROM github_links WHERE project = ?", (project,)).rowcount > 0


def answered(
    tx: Transaction,
    project: str,
    *,
    repository: str,
    repository_id: int,
    default_branch: str,
    clone_url: str,
    html_url: str,
) -> Link:
    """GitHub said who it is; a renamed or transferred repository keeps its id. Raises InvalidInput when
    another project has it under its other name, or when the id is another repository's."""
    before = get(tx.conn, project)
    if before.repository_id not in (None, repository_id):
        raise InvalidInput(
            f"{repository} is another repository than the one that {project} was linked with.",
            why=f"GitHub's id of it is {repository_id}, not {before.repository_id}.",
            hint=f"Link it anew: /github link {project} {repository}.",
        )
    try:
        tx.conn.execute(
            "UPDATE github_links SET repository = ?, repository_id = ?, default_branch = ?, clone_url = ?,"
            " html_url = ?, state = 'linked', trouble = '' WHERE project = ?",
            (repository, repository_id, default_branch, clone_url, html_url, project),
        )
    except sqlite3.IntegrityError as error:
        other = of_repository(tx.conn, repository_id)
        raise _taken(repository, other.project if other is not None else "another project") from error
    return get(tx.conn, project)


def troubled(tx: Transaction, project: str, state: LinkState, trouble: str) -> bool:
    """Whether that is news."""
    return (
        tx.conn.execute(
            "UPDATE github_links SET state = ?, trouble = ?"
            " WHERE project = ? AND (state <> ? OR trouble <> ?)",
            (state.value, to_text(trouble), project, state.value, to_text(trouble)),
        ).rowcount
        > 0
    )


def read_up_to(
    tx: Transaction, project: str, *, cursor: str | None = None, comments_cursor: str | None = None
) -> None:
    """None: as it was."""
    tx.conn.execute(
        "UPDATE github_links SET cursor = coalesce(?, cursor), comments_cursor = coalesce(?, comments_cursor)"
        " WHERE project = ?",
        (cursor, comments_cursor, project),
    )


def synced(tx: Transaction, project: str, at: datetime) -> None:
    tx.conn.execute("UPDATE github_links SET synced_at = ? WHERE project = ?", (to_time(at), project))


def etags(conn: sqlite3.Connection, project: str) -> dict[str, str]:
    """By path with its query."""
    rows = conn.execute("SELECT path, etag FROM github_etags WHERE project = ?", (project,))
    return {row["path"]: row["etag"] for row in rows}


def keep_etag(tx: Transaction, project: str, path: str, etag: str) -> None:
    """Only in the transaction that takes in what was answered, or what is lost is never asked for again. "":
    the path is not asked for any more, as its cursor has moved on."""
    if etag:
        tx.conn.execute(
            "INSERT INTO github_etags (project, path, etag) VALUES (?, ?, ?)"
            " ON CONFLICT (project, path) DO UPDATE SET etag = excluded.etag",
            (project, path, etag),
        )
    else:
        tx.conn.execute("DELETE FROM github_etags WHERE project = ? AND path = ?", (project, path))


def _taken(repository: str, project: str) -> InvalidInput:
    return InvalidInput(
        f"{repository} is linked with {project} already.",
        why="A repository belongs to one project: two would both work on its issues.",
        hint=f"Unlink it there first: /github unlink {project}.",
    )
