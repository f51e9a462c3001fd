"""Stories: what the backlog and the sprints hold."""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, TypedDict, Unpack

from core.domain.event import EventKind
from core.domain.story import Priority, Story, StoryState
from core.errors import InvalidInput, LostRace, NotFound
from core.ids import story_id
from core.store import projects
from core.store.columns import from_list, from_time, to_list, to_text
from core.store.transaction import Transaction


def from_row(row: sqlite3.Row) -> Story:
    return Story(
        id=row["id"],
        project=row["project"],
        number=row["number"],
        title=row["title"],
        body=row["body"],
        acceptance_criteria=from_list(row["acceptance_criteria"]),
        priority=Priority(row["priority"]),
        state=StoryState(row["state"]),
        sprint_id=row["sprint_id"],
        added_by=row["added_by"],
        added_at=from_time(row["added_at"]),
        place=row["place"],
        estimate=row["estimate"],
        labels=from_list(row["labels"]),
        links=from_list(row["links"]),
        epic_id=row["epic_id"],
        origin=row["origin"],
    )


def add(
    tx: Transaction,
    project: str,
    *,
    title: str,
    body: str,
    acceptance_criteria: Sequence[str],
    priority: Priority,
    added_by: str,
    estimate: int | None = None,
    labels: Sequence[str] = (),
    links: Sequence[str] = (),
    epic_id: str | None = None,
    origin: str | None = None,
    state: StoryState = StoryState.BACKLOG,
    sprint_id: str | None = None,
) -> Story:
    """Puts a story into the backlog, or before it as PROPOSED, under the project's next number, behind the
    others of its priority. A number is never given twice."""
    title = to_text(title.strip())
    if not title:
        raise InvalidInput("A story needs a title.", hint="Say in one line what it is about.")
    name = projects.get(tx.conn, project).name
    number = tx.conn.execute(
        "UPDATE projects SET stories_numbered = stories_numbered + 1"
        " WHERE name = ? RETURNING stories_numbered",
        (name,),
    ).fetchone()[0]
    row = tx.conn.execute(
        "INSERT INTO stories (id, project, number, title, body, acceptance_criteria, priority, place,"
        " estimate, labels, links, epic_id, origin, state, sprint_id, added_by, added_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?,"
        " max(?, (SELECT coalesce(max(place), 0) + 1 FROM stories WHERE project = ?)),"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        (
            story_id(name, number),
            name,
            number,
            title,
            to_text(body),
            to_list(acceptance_criteria),
            priority.value,
            number,
            name,
            estimate,
            to_list(labels),
            to_list(links),
            epic_id,
            origin,
            state.value,
            sprint_id,
            added_by,
            tx.now_text,
        ),
    ).fetchone()
    story = from_row(row)
    tx.emit(
        EventKind.STORY_ADDED, project=name, story_id=story.id, actor=added_by, data={"title": story.title}
    )
    return story


def of_origins(conn: sqlite3.Connection, project: str) -> dict[str, str]:
    """Where stories came from, outside, to their ids here."""
    rows = conn.execute("SELECT origin, id FROM stories WHERE project = ? AND origin IS NOT NULL", (project,))
    return {row["origin"]: row["id"] for row in rows}


def find(conn: sqlite3.Connection, id: str) -> Story | None:  # noqa: A002
    """By id, in any case."""
    row = conn.execute("SELECT * FROM stories WHERE id = ?", (id.strip().lower(),)).fetchone()
    return None if row is None else from_row(row)


def get(conn: sqlite3.Connection, id: str) -> Story:  # noqa: A002
    """As `find`, but raises NotFound, with near ids as its hint."""
    if (story := find(conn, id)) is not None:
        return story
    ids = [row["id"] for row in conn.execute("SELECT id FROM stories ORDER BY added_at DESC LIMIT 2000")]
    near = difflib.get_close_matches(id.strip().lower(), ids)
    hint = f"Did you mean {' or '.join(near)}?" if near else "A story's id looks like shop-3."
    raise NotFound(f"There is no story '{id}'.", hint=hint)


def of_project(
    conn: sqlite3.Connection, project: str | None = None, *, states: Collection[StoryState] | None = None
) -> tuple[Story, ...]:
    """One project's stories, or everybody's by project, most urgent first, then by number."""
    where, parameters = "TRUE", []
    if project is not None:
        where += " AND project = ?"
        parameters.append(project)
    if states is not None:
        where += f" AND state IN ({', '.join('?' * len(states))})"
        parameters += [state.value for state in states]
    rows = conn.execute(
        f"SELECT * FROM stories WHERE {where} ORDER BY project, priority_rank, place, number",  # noqa: S608
        parameters,
    )
    return tuple(from_row(row) for row in rows)


def of_epic(conn: sqlite3.Connection, epic_id: str) -> tuple[Story, ...]:
    """What came of it, in every state, by number."""
    rows = conn.execute("SELECT * FROM stories WHERE epic_id = ? ORDER BY number", (epic_id,))
    return tuple(from_row(row) for row in rows)


class Changes(TypedDict, total=False):
    """What an edit may set."""

    title: str
    body: str
    acceptance_criteria: Sequence[str]
    estimate: int | None
    labels: Sequence[str]
    links: Sequence[str]


_LISTS = frozenset({"acceptance_criteria", "labels", "links"})
_COLUMNS = frozenset(Changes.__annotations__)


def edit(tx: Transaction, id: str, *, states: Collection[StoryState], **changes: Unpack[Changes]) -> Story:  # noqa: A002
    """Sets columns of a story that is in one of these states, else LostRace. The caller emits it."""
    if unknown := changes.keys() - _COLUMNS:
        raise TypeError(f"a story has no {', '.join(sorted(unknown))} to edit")
    columns = ", ".join(f"{name} = ?" for name in changes)
    values = [_column(name, value) for name, value in changes.items()]
    row = tx.conn.execute(
        f"UPDATE stories SET {columns} WHERE id = ?"  # noqa: S608 - names of this module
        f" AND state IN ({', '.join('?' * len(states))}) RETURNING *",
        (*values, id, *(state.value for state in states)),
    ).fetchone()
    if row is None:
        raise LostRace(f"Story {id} is {get(tx.conn, id).state}.", why="It changed meanwhile.")
    return from_row(row)


def _column(name: str, value: Any) -> Any:
    if name in _LISTS:
        return to_list(value)
    return to_text(value) if isinstance(value, str) else value


def rank(tx: Transaction, id: str, priority: Priority) -> Story:  # noqa: A002
    """Another priority, behind the others of it."""
    story = get(tx.conn, id)
    if story.priority is priority:
        return story
    row = tx.conn.execute(
        "UPDATE stories SET priority = ?, place ="
        " (SELECT coalesce(max(place), 0) + 1 FROM stories WHERE project = ?) WHERE id = ? RETURNING *",
        (priority.value, story.project, story.id),
    ).fetchone()
    return from_row(row)


def arrange(tx: Transaction, ids: Sequence[str]) -> None:
    """Puts stories of one project and priority into this order."""
    tx.conn.executemany(
        "UPDATE stories SET place = ? WHERE id = ? AND place <> ?",
        [(place, story, place) for place, story in enumerate(ids, 1)],
    )


def move(tx: Transaction, id: str, old: StoryState, new: StoryState) -> Story:  # noqa: A002
    """Moves it from `old`; back to the backlog also takes it out of its sprint.

    Raises LostRace when it is not in `old`. The caller emits what it means.
    """
    row = tx.conn.execute(
        "UPDATE stories SET state = ?, sprint_id = iif(? = 'backlog', NULL, sprint_id)"
        " WHERE id = ? AND state = ? RETURNING *",
        (new.value, new.value, id, old.value),
    ).fetchone()
    if row is None:
        now = get(tx.conn, id).state
        raise LostRace(f"Story {id} is {now}, not {old}.", why="It changed meanwhile.", hint="Look again.")
    return from_row(row)
