"""Pull requests of stories: between the merge queue, which wants and lands them, and GitHub.

WANTED -> OPEN -> LANDABLE -> MERGED; a new candidate is WANTED again, CLOSED ends it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from core.domain.github import Check, CheckConclusion, ChecksState, Pull, PullState, ReviewState, checks_state
from core.errors import LostRace, NotFound
from core.store.columns import from_optional_time, from_time
from core.store.transaction import Transaction

AT_WORK = (PullState.WANTED, PullState.OPEN, PullState.LANDABLE)
# Of a pull request `p` that has a number: it is one of the repository that its project is linked with now.
_HERE = "p.repository_id = (SELECT repository_id FROM github_links WHERE project = p.project)"


def from_row(row: sqlite3.Row) -> Pull:
    checks = tuple(
        Check(
            name=each["name"],
            conclusion=CheckConclusion(each["conclusion"]),
            summary=each["summary"],
            url=each["url"],
        )
        for each in json.loads(row["checks"])
    )
    return Pull(
        story_id=row["story_id"],
        project=row["project"],
        branch=row["branch"],
        candidate=row["candidate"],
        tree=row["tree"],
        base=row["base"],
        head=row["head"],
        number=row["number"],
        url=row["url"],
        state=PullState(row["state"]),
        checks=checks,
        checks_state=checks_state(checks),
        review=ReviewState(row["review"]),
        approvals=row["approvals"],
        failures=row["failures"],
        merge_commit=row["merge_commit"],
        opened_at=from_optional_time(row["opened_at"]),
        pushed_at=from_optional_time(row["pushed_at"]),
        updated_at=from_time(row["updated_at"]),
        waits=row["waits"],
        repository_id=row["repository_id"],
    )


def find(conn: sqlite3.Connection, story_id: str) -> Pull | None:
    row = conn.execute("SELECT * FROM pulls WHERE story_id = ?", (story_id,)).fetchone()
    return None if row is None else from_row(row)


def get(conn: sqlite3.Connection, story_id: str) -> Pull:
    if (pull := find(conn, story_id)) is not None:
        return pull
    raise NotFound(f"{story_id} has no pull request.")


def of_number(conn: sqlite3.Connection, project: str, number: int) -> Pull | None:
    """The last one that had the number, in the repository that the project is linked with."""
    row = conn.execute(
        f"SELECT p.* FROM pulls p WHERE p.project = ? AND p.number = ? AND {_HERE}"  # noqa: S608
        " ORDER BY p.updated_at DESC",
        (project, number),
    ).fetchone()
    return None if row is None else from_row(row)


def at_work(conn: sqlite3.Connection, project: str | None = None) -> tuple[Pull, ...]:
    """Of one project or of all; oldest first."""
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM pulls WHERE state IN ('wanted', 'open', 'landable'){where}"  # noqa: S608
        " ORDER BY updated_at, story_id",
        parameters,
    )
    return tuple(from_row(row) for row in rows)


def want(
    tx: Transaction, story_id: str, *, project: str, branch: str, candidate: str, tree: str, base: str
) -> Pull:
    """This candidate is to be on the story's branch. Its number, address and failures are kept, those of one
    in another repository are not."""
    tx.conn.execute(
        "DELETE FROM pulls WHERE story_id = ? AND repository_id <>"
        " (SELECT repository_id FROM github_links WHERE project = ?)",
        (story_id, project),
    )
    tx.conn.execute(
        "INSERT INTO pulls"
        " (story_id, project, branch, candidate, tree, base, state, updated_at, repository_id)"
        " VALUES (?, ?, ?, ?, ?, ?, 'wanted', ?, (SELECT repository_id FROM github_links WHERE project = ?))"
        " ON CONFLICT (story_id) DO UPDATE SET candidate = excluded.candidate, tree = excluded.tree,"
        " base = excluded.base, state = 'wanted', checks = '[]', review = CASE WHEN review = 'approved'"
        " THEN 'approved' ELSE 'none' END, waits = '', updated_at = excluded.updated_at",
        (story_id, project, branch, candidate, tree, base, tx.now_text, project),
    )
    return get(tx.conn, story_id)


def pushed(tx: Transaction, story_id: str, head: str) -> Pull:
    """The branch holds this commit. Raises LostRace when another is wanted by now."""
    return _update(
        tx,
        story_id,
        "head = ?, pushed_at = ?",
        (head, tx.now_text),
        "state IN ('wanted', 'open', 'landable') AND candidate = ?",
        (head,),
    )


def opened(tx: Transaction, story_id: str, *, head: str, number: int, url: str) -> Pull:
    """It stands on GitHub with this head. Raises LostRace when another head is wanted by now."""
    return _update(
        tx,
        story_id,
        "state = 'open', number = ?, url = ?, waits = '', opened_at = coalesce(opened_at, ?), repository_id ="
        " (SELECT repository_id FROM github_links WHERE github_links.project = pulls.project)",
        (number, url, tx.now_text),
        "state IN ('wanted', 'open') AND candidate = ? AND head = ?",
        (head, head),
    )


def looked(
    tx: Transaction,
    story_id: str,
    *,
    head: str,
    checks: Sequence[Check],
    review: ReviewState,
    approvals: int,
    waits: str | None = None,
) -> Pull:
    """What GitHub says of this head. `waits`: for what, in a sentence; None: as it was. Raises LostRace when
    another is wanted by now."""
    text = json.dumps(
        [
            {
                "name": each.name,
                "conclusion": each.conclusion.value,
                "summary": each.summary,
                "url": each.url,
            }
            for each in checks
        ]
    )
    failures = "0" if checks_state(checks) is ChecksState.PASSED else "failures"
    return _update(
        tx,
        story_id,
        f"checks = ?, review = ?, approvals = ?, waits = coalesce(?, waits), failures = {failures}",
        (text, review.value, approvals, waits),
        "state IN ('open', 'landable') AND head = ?",
        (head,),
    )


def waits(tx: Transaction, story_id: str, sentence: str) -> bool:
    """For what, until it is looked at again. Whether that is new; False, too, for one that waits no more."""
    changed = tx.conn.execute(
        "UPDATE pulls SET waits = ? WHERE story_id = ? AND state IN ('wanted', 'open') AND waits <> ?",
        (sentence, story_id, sentence),
    )
    return changed.rowcount == 1


def landable(tx: Transaction, story_id: str, *, head: str) -> Pull:
    return _update(tx, story_id, "state = 'landable'", (), "state = 'open' AND head = ?", (head,))


def not_landable(tx: Transaction, story_id: str) -> Pull:
    """Something changed before it was landed."""
    return _update(tx, story_id, "state = 'open'", (), "state = 'landable'", ())


def failed(tx: Transaction, story_id: str, *, head: str) -> Pull:
    """Its checks failed, once more: its story goes back to its agent, so it is closed until there is a new
    candidate."""
    return _update(
        tx,
        story_id,
        "state = 'closed', failures = failures + 1",
        (),
        "state IN ('open', 'landable') AND head = ?",
        (head,),
    )


def count_anew(tx: Transaction, story_id: str) -> None:
    """People are asked by now: what fails after they helped is counted from the start."""
    tx.conn.execute("UPDATE pulls SET failures = 0 WHERE story_id = ?", (story_id,))


def left_over(conn: sqlite3.Connection, project: str) -> tuple[Pull, ...]:
    """Those whose story is over, as long as what Orchard pushed for it may still stand outside."""
    rows = conn.execute(
        "SELECT p.* FROM pulls p JOIN stories s ON s.id = p.story_id WHERE p.project = ?"  # noqa: S608
        f" AND p.state IN ('merged', 'closed') AND p.head <> '' AND p.number IS NOT NULL AND {_HERE}"
        " AND s.state IN ('done', 'skipped', 'aborted', 'removed') ORDER BY p.updated_at, p.story_id",
        (project,),
    )
    return tuple(from_row(row) for row in rows)


def set_aside(conn: sqlite3.Connection, project: str) -> tuple[Pull, ...]:
    """Those whose story stands still, or is at work again: it may be opened or merged outside all the same.
    Not of one that a person works on: they know."""
    rows = conn.execute(
        "SELECT p.* FROM pulls p JOIN cycles c ON c.story_id = p.story_id"  # noqa: S608
        " JOIN stories s ON s.id = p.story_id WHERE p.project = ? AND p.state IN ('merged', 'closed')"
        " AND p.state = 'closed' AND p.head <> ''"
        f" AND p.number IS NOT NULL AND {_HERE} AND s.state = 'active' AND c.hold <> 'taken'"
        " AND (c.state <> 'commit' OR c.blocked_reason <> '') ORDER BY p.updated_at, p.story_id",
        (project,),
    )
    return tuple(from_row(row) for row in rows)


def reopened(tx: Transaction, story_id: str, *, head: str) -> Pull:
    """A person opened it again outside."""
    return _update(tx, story_id, "state = 'open'", (), "state = 'closed' AND head = ?", (head,))


def cleared(tx: Transaction, story_id: str) -> None:
    """Nothing of it is left to be closed or deleted outside."""
    tx.conn.execute(
        "UPDATE pulls SET head = '' WHERE story_id = ? AND state IN ('merged', 'closed')", (story_id,)
    )


def merged(tx: Transaction, story_id: str, commit: str) -> Pull:
    return _update(
        tx, story_id, "state = 'merged', merge_commit = ?", (commit,), "state IN ('open', 'landable')", ()
    )


def stands_on(tx: Transaction, story_id: str, *, candidate: str, tree: str, base: str) -> Pull:
    """The merge queue has made it anew on the main branch as it is now, and is about to land it."""
    return _update(
        tx,
        story_id,
        "candidate = ?, tree = ?, base = ?, checks = '[]'",
        (candidate, tree, base),
        "state = 'landable'",
        (),
    )


def land(tx: Transaction, story_id: str, commit: str) -> None:
    """Its story is on the main branch, whatever its state was; a story without one has none."""
    tx.conn.execute(
        "UPDATE pulls SET state = 'merged', merge_commit = ?, updated_at = ? WHERE story_id = ?"
        " AND state <> 'merged'",
        (commit, tx.now_text, story_id),
    )


def close(tx: Transaction, story_id: str) -> None:
    """The story goes another way: nobody waits for it. The branch's own state outside is told apart."""
    tx.conn.execute(
        "UPDATE pulls SET state = 'closed', updated_at = ? WHERE story_id = ?"
        " AND state IN ('wanted', 'open', 'landable')",
        (tx.now_text, story_id),
    )


def _update(
    tx: Transaction,
    story_id: str,
    fields: str,
    values: tuple[object, ...],
    guard: str,
    guarded: tuple[object, ...],
) -> Pull:
    row = tx.conn.execute(
        f"UPDATE pulls SET {fields}, updated_at = ? WHERE story_id = ? AND {guard} RETURNING *",  # noqa: S608
        (*values, tx.now_text, story_id, *guarded),
    ).fetchone()
    if row is None:
        now = find(tx.conn, story_id)
        raise LostRace(
            f"The pull request of {story_id} is another by now.",
            why="There is none." if now is None else f"It is {now.state}, for {now.candidate[:12]}.",
        )
    return from_row(row)
