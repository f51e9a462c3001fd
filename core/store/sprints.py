"""Sprints: a chosen set of stories, one at a time a project."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from core.domain.event import EventKind
from core.domain.story import Sprint, Story, StoryState
from core.errors import InvalidInput, LostRace, NotFound
from core.ids import new_id
from core.store import projects
from core.store import stories as stories_table
from core.store.columns import from_optional_time, from_time, to_text, to_time
from core.store.transaction import Transaction


def from_row(row: sqlite3.Row) -> Sprint:
    return Sprint(
        id=row["id"],
        project=row["project"],
        number=row["number"],
        goal=row["goal"],
        planned_at=from_time(row["planned_at"]),
        started_at=from_optional_time(row["started_at"]),
        ended_at=from_optional_time(row["ended_at"]),
        retrospective=row["retrospective"],
        reviewed_by=row["reviewed_by"],
        reviewed_at=from_optional_time(row["reviewed_at"]),
    )


def plan(tx: Transaction, project: str, story_ids: Sequence[str], goal: str, actor: str) -> Sprint:
    """Makes the project's next sprint of stories that are in its backlog; they become PLANNED.

    Emits SPRINT_PLANNED. Raises InvalidInput for no stories, a foreign one or one named twice,
    LostRace for one that is not in the backlog and when a sprint has not ended yet.
    """
    name = projects.get(tx.conn, project).name
    if not story_ids:
        raise InvalidInput("A sprint needs at least one story.", hint="Add stories to the backlog first.")
    if len(set(story_ids)) < len(story_ids):
        raise InvalidInput("A story is named twice.", hint="Name each story once.")
    if (open_sprint := current(tx.conn, name)) is not None:
        raise LostRace(
            f"Project {name} has sprint {open_sprint.number} already.",
            hint="It must end before the next one.",
        )
    number = tx.conn.execute(
        "UPDATE projects SET sprints_numbered = sprints_numbered + 1"
        " WHERE name = ? RETURNING sprints_numbered",
        (name,),
    ).fetchone()[0]
    row = tx.conn.execute(
        "INSERT INTO sprints (id, project, number, goal, planned_at) VALUES (?, ?, ?, ?, ?) RETURNING *",
        (new_id("sprint"), name, number, to_text(goal), tx.now_text),
    ).fetchone()
    return _choose(tx, from_row(row), story_ids, actor)


def plan_again(tx: Transaction, sprint: Sprint, story_ids: Sequence[str], goal: str, actor: str) -> Sprint:
    """Another choice for a sprint that has not started; what was chosen before is in the backlog again.

    `goal` empty: the goal stays. Raises as `plan`, and LostRace when it has started.
    """
    if not story_ids:
        raise InvalidInput("A sprint needs at least one story.", hint="Name the stories that stay in it.")
    row = tx.conn.execute(
        "UPDATE sprints SET goal = coalesce(nullif(?, ''), goal)"
        " WHERE id = ? AND started_at IS NULL AND ended_at IS NULL RETURNING *",
        (to_text(goal), sprint.id),
    ).fetchone()
    if row is None:
        _lost(tx, sprint.id, "planned again")
    for story in stories(tx.conn, sprint.id):
        stories_table.move(tx, story.id, StoryState.PLANNED, StoryState.BACKLOG)
    return _choose(tx, from_row(row), story_ids, actor)


def _choose(tx: Transaction, sprint: Sprint, story_ids: Sequence[str], actor: str) -> Sprint:
    for story_id in story_ids:
        _take_in(tx, sprint, story_id)
    tx.emit(
        EventKind.SPRINT_PLANNED,
        project=sprint.project,
        actor=actor,
        data={
            "sprint": sprint.id,
            "number": sprint.number,
            "goal": sprint.goal,
            "stories": list(story_ids),
        },
    )
    return sprint


def join(tx: Transaction, sprint: Sprint, story_id: str) -> None:
    """A story of the backlog comes to a sprint that runs already, as PLANNED. Raises as `plan`."""
    _take_in(tx, sprint, story_id)


def _take_in(tx: Transaction, sprint: Sprint, story_id: str) -> None:
    story = stories_table.get(tx.conn, story_id)
    if story.project != sprint.project:
        raise InvalidInput(
            f"Story {story.id} belongs to project {story.project}, not {sprint.project}.",
            hint="A sprint holds one project's stories.",
        )
    stories_table.move(tx, story.id, StoryState.BACKLOG, StoryState.PLANNED)
    tx.conn.execute("UPDATE stories SET sprint_id = ? WHERE id = ?", (sprint.id, story.id))


def record(
    tx: Transaction,
    project: str,
    *,
    goal: str,
    started_at: datetime,
    ended_at: datetime,
    retrospective: str = "",
) -> Sprint:
    """A sprint that was over before Orchard knew of it, under the project's next number."""
    name = projects.get(tx.conn, project).name
    number = tx.conn.execute(
        "UPDATE projects SET sprints_numbered = sprints_numbered + 1"
        " WHERE name = ? RETURNING sprints_numbered",
        (name,),
    ).fetchone()[0]
    started, ended = to_time(started_at), to_time(ended_at)
    row = tx.conn.execute(
        "INSERT INTO sprints (id, project, number, goal, planned_at, started_at, ended_at, retrospective)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        (new_id("sprint"), name, number, to_text(goal), started, started, ended, to_text(retrospective)),
    ).fetchone()
    return from_row(row)


def get(conn: sqlite3.Connection, sprint_id: str) -> Sprint:
    row = conn.execute("SELECT * FROM sprints WHERE id = ?", (sprint_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no sprint '{sprint_id}'.")
    return from_row(row)


def of_number(conn: sqlite3.Connection, project: str, number: int | None = None) -> Sprint:
    """The project's sprint of this number; None: the last one. Raises NotFound, saying which there are."""
    if number is None:
        sprint = latest(conn, project)
    else:
        row = conn.execute(
            "SELECT * FROM sprints WHERE project = ? AND number = ?", (project, number)
        ).fetchone()
        sprint = None if row is None else from_row(row)
    if sprint is not None:
        return sprint
    if (last := latest(conn, project)) is None:
        raise NotFound(f"{project} has no sprint yet.", hint="Plan one: /sprint plan.")
    raise NotFound(f"{project} has no sprint {number}.", hint=f"The last one is sprint {last.number}.")


def review(tx: Transaction, sprint_id: str, text: str, by: str) -> Sprint:
    """Keeps what people said of a sprint that has ended, once. Raises LostRace."""
    row = tx.conn.execute(
        "UPDATE sprints SET retrospective = ?, reviewed_by = ?, reviewed_at = ?"
        " WHERE id = ? AND ended_at IS NOT NULL AND reviewed_at IS NULL RETURNING *",
        (to_text(text), by, tx.now_text, sprint_id),
    ).fetchone()
    return from_row(row) if row is not None else _lost(tx, sprint_id, "reviewed")


def retrospectives(
    conn: sqlite3.Connection, words: Sequence[str] = (), project: str | None = None
) -> tuple[Sprint, ...]:
    """Sprints of which people said something, newest first: all in which every word occurs, in any case."""
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM sprints WHERE retrospective <> ''{where} ORDER BY reviewed_at DESC, number DESC",  # noqa: S608
        parameters,
    )
    # Not SQL's LIKE: that folds the case of ASCII letters only.
    wanted = [word.casefold() for word in words]
    said = (from_row(row) for row in rows)
    return tuple(
        sprint
        for sprint in said
        if all(word in f"{sprint.retrospective}\n{sprint.goal}".casefold() for word in wanted)
    )


def of_project(conn: sqlite3.Connection, project: str) -> tuple[Sprint, ...]:
    """Oldest first."""
    rows = conn.execute("SELECT * FROM sprints WHERE project = ? ORDER BY number", (project,))
    return tuple(from_row(row) for row in rows)


def current(conn: sqlite3.Connection, project: str) -> Sprint | None:
    """The project's sprint that has not ended: planned, running or paused."""
    row = conn.execute("SELECT * FROM sprints WHERE project = ? AND ended_at IS NULL", (project,)).fetchone()
    return None if row is None else from_row(row)


def latest(conn: sqlite3.Connection, project: str) -> Sprint | None:
    """The project's last sprint, also when it has ended."""
    row = conn.execute(
        "SELECT * FROM sprints WHERE project = ? ORDER BY number DESC LIMIT 1", (project,)
    ).fetchone()
    return None if row is None else from_row(row)


def start(tx: Transaction, sprint_id: str) -> Sprint:
    """Stamps the start. Its stories, its workflow and the event are the caller's. Raises LostRace."""
    row = tx.conn.execute(
        "UPDATE sprints SET started_at = ?"
        " WHERE id = ? AND started_at IS NULL AND ended_at IS NULL RETURNING *",
        (tx.now_text, sprint_id),
    ).fetchone()
    return from_row(row) if row is not None else _lost(tx, sprint_id, "started")


def end(tx: Transaction, sprint_id: str) -> Sprint:
    """Stamps the end; a sprint that never started may end too. Raises LostRace when it has ended."""
    row = tx.conn.execute(
        "UPDATE sprints SET ended_at = ? WHERE id = ? AND ended_at IS NULL RETURNING *",
        (tx.now_text, sprint_id),
    ).fetchone()
    return from_row(row) if row is not None else _lost(tx, sprint_id, "ended")


def stories(conn: sqlite3.Connection, sprint_id: str) -> tuple[Story, ...]:
    """Most urgent first, then by number."""
    rows = conn.execute(
        "SELECT * FROM stories WHERE sprint_id = ? ORDER BY priority_rank, place, number", (sprint_id,)
    )
    return tuple(stories_table.from_row(row) for row in rows)


def _lost(tx: Transaction, sprint_id: str, verb: str) -> Sprint:
    sprint = get(tx.conn, sprint_id)
    if sprint.reviewed_at is not None:
        state = "was reviewed already"
    elif sprint.ended_at is not None:
        state = "has ended already"
    else:
        state = "is running" if sprint.started_at else "is only planned"
        state += " already" if sprint.started_at and verb == "started" else ""
    raise LostRace(f"Sprint {sprint.number} of {sprint.project} cannot be {verb}: it {state}.")
