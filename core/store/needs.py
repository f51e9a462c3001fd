"""Which stories wait for which. A row is kept when both are done: it tells why they came in this order."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from core.domain.needs import find_cycle, why_not_needed
from core.domain.story import Story
from core.domain.wording import NEEDS
from core.errors import InvalidInput
from core.store import stories
from core.store.transaction import Transaction


def of_story(conn: sqlite3.Connection, story_id: str) -> tuple[str, ...]:
    """Ids of what it needs, by project and number."""
    return of_stories(conn, [story_id]).get(story_id, ())


def of_stories(conn: sqlite3.Connection, story_ids: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """As `of_story` for many; those that need nothing are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for row in conn.execute(
        "SELECT n.story_id, n.needs_id FROM story_needs n JOIN stories s ON s.id = n.needs_id"
        " WHERE n.story_id IN (SELECT value FROM json_each(?)) ORDER BY s.project, s.number",
        (json.dumps(list(story_ids)),),
    ):
        found[row["story_id"]] = (*found.get(row["story_id"], ()), row["needs_id"])
    return found


def unmet(conn: sqlite3.Connection, story_ids: Iterable[str]) -> Mapping[str, tuple[Story, ...]]:
    """What each still waits for; those that wait for nothing are left out."""
    found: dict[str, tuple[Story, ...]] = {}
    for row in conn.execute(
        "SELECT n.story_id AS waiting, s.* FROM story_needs n JOIN stories s ON s.id = n.needs_id"
        " WHERE s.state <> 'done' AND n.story_id IN (SELECT value FROM json_each(?))"
        " ORDER BY s.project, s.number",
        (json.dumps(list(story_ids)),),
    ):
        found[row["waiting"]] = (*found.get(row["waiting"], ()), stories.from_row(row))
    return found


def needed_by(conn: sqlite3.Connection, story_id: str) -> tuple[Story, ...]:
    """Stories that are not over and wait for this one."""
    rows = conn.execute(
        "SELECT s.* FROM story_needs n JOIN stories s ON s.id = n.story_id WHERE n.needs_id = ?"
        " AND s.state NOT IN ('done', 'skipped', 'aborted', 'removed') ORDER BY s.project, s.number",
        (story_id,),
    )
    return tuple(stories.from_row(row) for row in rows)


def still_open(conn: sqlite3.Connection, project: str | None = None) -> tuple[tuple[str, str], ...]:
    """Who waits, or waited, for whom, of stories that are not over: those of the project, and those of others
    that wait for one of it; None: all."""
    rows = conn.execute(
        "SELECT n.story_id, n.needs_id FROM story_needs n JOIN stories s ON s.id = n.story_id"
        " JOIN stories d ON d.id = n.needs_id"
        " WHERE s.state NOT IN ('done', 'skipped', 'aborted', 'removed') AND (?1 IS NULL OR ?1 IN"
        " (s.project, d.project)) ORDER BY s.project, s.number, d.project, d.number",
        (project,),
    )
    return tuple((row["story_id"], row["needs_id"]) for row in rows)


def replace(tx: Transaction, story_id: str, needed: Sequence[str]) -> tuple[str, ...]:
    """Sets what the story needs, of whichever project; returns the ids.

    Raises NotFound for an unknown story, InvalidInput for itself, for what will never be done, for too
    many, and for a circle, which it names. The caller emits what it means.
    """
    before = of_story(tx.conn, story_id)
    wanted = tuple(dict.fromkeys(word.strip().lower() for word in needed if word.strip()))
    if len(wanted) > NEEDS:
        raise InvalidInput(
            f"A story may need {NEEDS} others, not {len(wanted)}.", hint="Name the last ones only."
        )
    for needed_id in wanted:
        _check(tx.conn, story_id, needed_id, known=before)
    way = find_cycle(story_id, {**_reachable(tx.conn, wanted), story_id: wanted})
    if way:
        raise InvalidInput(
            f"{story_id} cannot wait for {way[1]}: they would wait for each other for ever.",
            why=f"{' needs '.join(way)}.",
            hint="Take one of these needs away first.",
        )
    tx.conn.execute("DELETE FROM story_needs WHERE story_id = ?", (story_id,))
    tx.conn.executemany(
        "INSERT INTO story_needs (story_id, needs_id) VALUES (?, ?)",
        [(story_id, needed_id) for needed_id in wanted],
    )
    return of_story(tx.conn, story_id)


def _check(conn: sqlite3.Connection, story_id: str, needed_id: str, *, known: tuple[str, ...]) -> None:
    needed = stories.get(conn, needed_id)
    if needed.id == story_id:
        raise InvalidInput(f"{story_id} cannot need itself.", hint="Name another story.")
    if (reason := why_not_needed(needed)) and needed.id not in known:
        raise InvalidInput(
            f"{story_id} cannot need {needed.id}.",
            why=f"{reason}: it will never be done.",
            hint="Add a new story for what is still wanted, and need that.",
        )


def _reachable(conn: sqlite3.Connection, story_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """The needs of these stories, of what they need, and so on."""
    found: dict[str, tuple[str, ...]] = {}
    for row in conn.execute(
        "WITH RECURSIVE reached (id) AS (SELECT value FROM json_each(?) UNION"
        " SELECT n.needs_id FROM story_needs n JOIN reached r ON n.story_id = r.id)"
        " SELECT n.story_id, n.needs_id FROM story_needs n JOIN reached r ON n.story_id = r.id",
        (json.dumps(list(story_ids)),),
    ):
        found[row["story_id"]] = (*found.get(row["story_id"], ()), row["needs_id"])
    return found
