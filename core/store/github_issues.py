"""Which issue on GitHub a story is, and what was taken in and said of it last.

A number is one repository's, an id all of GitHub's. What is asked for by number, or for a project, is of the
repository that the project is linked with now.
"""

from __future__ import annotations

import sqlite3

from core.domain.github import IssueLink
from core.errors import LostRace
from core.store.transaction import Transaction


def from_row(row: sqlite3.Row) -> IssueLink:
    return IssueLink(
        story_id=row["story_id"],
        project=row["project"],
        number=row["number"],
        issue_id=row["issue_id"],
        url=row["url"],
        updated_at=row["updated_at"],
        seen=row["seen"],
        comment_id=row["comment_id"],
        told=row["told"],
        is_open=bool(row["is_open"]),
        repository_id=row["repository_id"],
    )


def of_story(conn: sqlite3.Connection, story_id: str) -> IssueLink | None:
    row = conn.execute("SELECT * FROM github_issues WHERE story_id = ?", (story_id,)).fetchone()
    return None if row is None else from_row(row)


def here(conn: sqlite3.Connection, story_id: str) -> IssueLink | None:
    """The issue that nothing but the story is now, in the repository that its project is linked with."""
    row = conn.execute("SELECT * FROM github_issues_here WHERE story_id = ?", (story_id,)).fetchone()
    return None if row is None else from_row(row)


def of_issue(conn: sqlite3.Connection, project: str, issue_id: int) -> IssueLink | None:
    """The story that the issue is now."""
    row = conn.execute(
        "SELECT * FROM github_issues WHERE project = ? AND issue_id = ? AND is_current = 1",
        (project, issue_id),
    ).fetchone()
    return None if row is None else from_row(row)


def of_number(conn: sqlite3.Connection, project: str, number: int) -> IssueLink | None:
    """The story that the issue is now, by the number that people say."""
    row = conn.execute(
        "SELECT * FROM github_issues_here WHERE project = ? AND number = ?", (project, number)
    ).fetchone()
    return None if row is None else from_row(row)


def of_project(conn: sqlite3.Connection, project: str) -> tuple[IssueLink, ...]:
    rows = conn.execute("SELECT * FROM github_issues_here WHERE project = ? ORDER BY number", (project,))
    return tuple(from_row(row) for row in rows)


def link(
    tx: Transaction,
    story_id: str,
    *,
    project: str,
    number: int,
    issue_id: int,
    url: str,
    updated_at: str = "",
    seen: str = "",
) -> IssueLink:
    """The story is this issue, of the repository that the project is linked with, from now on; what it was
    before, when that is over, is no more. Raises LostRace when the story is another issue already."""
    tx.conn.execute(
        "UPDATE github_issues SET is_current = 0 WHERE project = ? AND issue_id = ? AND story_id <> ?",
        (project, issue_id, story_id),
    )
    try:
        tx.conn.execute(
            "INSERT INTO github_issues"
            " (story_id, project, number, issue_id, url, updated_at, seen, repository_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT repository_id FROM github_links WHERE project = ?))",
            (story_id, project, number, issue_id, url, updated_at, seen, project),
        )
    except sqlite3.IntegrityError as error:
        raise LostRace(f"{story_id} is an issue already.", why=str(error)) from error
    found = of_story(tx.conn, story_id)
    assert found is not None
    return found


def stands_here(tx: Transaction, story_id: str) -> None:
    """It came from the repository that the project is linked with, which was not written down before."""
    tx.conn.execute(
        "UPDATE github_issues SET repository_id = (SELECT l.repository_id FROM github_links l"
        " WHERE l.project = github_issues.project) WHERE story_id = ?",
        (story_id,),
    )


def took_in(tx: Transaction, story_id: str, *, updated_at: str, seen: str, is_open: bool) -> None:
    tx.conn.execute(
        "UPDATE github_issues SET updated_at = ?, seen = ?, is_open = ? WHERE story_id = ?",
        (updated_at, seen, int(is_open), story_id),
    )


def commented(tx: Transaction, story_id: str, comment_id: int | None) -> None:
    """None: it is gone there."""
    tx.conn.execute("UPDATE github_issues SET comment_id = ? WHERE story_id = ?", (comment_id, story_id))


def told(tx: Transaction, story_id: str, digest: str, *, is_open: bool | None = None) -> None:
    tx.conn.execute(
        "UPDATE github_issues SET told = ?, is_open = coalesce(?, is_open) WHERE story_id = ?",
        (digest, None if is_open is None else int(is_open), story_id),
    )
