"""How stories, use and spending went over time, added up by SQLite: a month of it is one quick read."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, time, timedelta

from core.domain.counting import LONGEST_SECONDS
from core.domain.lifecycles import CycleState
from core.domain.trend import ProjectUse, Spending, StoryTime, UsePoint
from core.scheduler.resources import RESOURCES, Resource
from core.store.columns import from_time, to_time

STORIES = 5000  # merged ones that are told at most, the latest

_SHOWN = (Resource.AGENTS, Resource.CPU, Resource.MEMORY_MB)


def merged(
    conn: sqlite3.Connection, *, since: datetime, until: datetime, project: str | None = None
) -> tuple[StoryTime, ...]:
    """The latest stories that were merged in that time, oldest first. One that ended before it began, or more
    than a year after (the machine's clock was put back, or forth), is left out."""
    rows = conn.execute(
        "SELECT story_id, project, started_at, updated_at FROM cycles"
        " WHERE state = ? AND updated_at BETWEEN ? AND ? AND updated_at >= started_at"
        " AND julianday(updated_at) - julianday(started_at) <= ? AND (? IS NULL OR project = ?)"
        " ORDER BY updated_at DESC, story_id DESC LIMIT ?",
        (
            *(CycleState.DONE, to_time(since), to_time(until), LONGEST_SECONDS / 86400),
            *(project, project, STORIES),
        ),
    ).fetchall()
    return tuple(
        StoryTime(
            story_id=row["story_id"],
            project=row["project"],
            finished_at=(ended := from_time(row["updated_at"])),
            seconds=(ended - from_time(row["started_at"])).total_seconds(),
        )
        for row in reversed(rows)
    )


def _used(resource: Resource) -> str:
    at = f"'$[{RESOURCES.index(resource)}]'"
    held = f"coalesce(s.used ->> {at}, 0)"
    if resource is Resource.AGENTS:
        return held
    # 'null' as a whole: nothing could be measured; null in the list: this could not.
    return (
        f"CASE WHEN s.measured = 'null' OR json_type(s.measured, {at}) = 'null' THEN {held}"
        f" ELSE coalesce(s.measured ->> {at}, 0) END"
    )


def _allocated(resource: Resource) -> str:
    """null in the list is without limit, and what is not in it any more is 0."""
    at = f"'$[{RESOURCES.index(resource)}]'"
    without = f"max(coalesce(json_type(s.allocated, {at}) = 'null', 0))"
    return f"iif({without}, NULL, sum(coalesce(s.allocated ->> {at}, 0) * s.seconds) / sum(s.seconds))"


_SPANS = (
    "SELECT s.project, unixepoch(s.at) / :span * :span AS span, "  # noqa: S608 - fixed texts
    + ", ".join(f"sum({_used(one)} * s.seconds) / sum(s.seconds) AS {one}_used" for one in _SHOWN)
    + ", "
    + ", ".join(f"{_allocated(one)} AS {one}_allocated" for one in _SHOWN)
    + " FROM projects p CROSS JOIN load_samples s ON s.project = p.name"
    " WHERE s.at >= :since AND s.at <= :until AND (:project IS NULL OR p.name = :project)"
    " GROUP BY s.project, span ORDER BY s.project, span"
)


def use(
    conn: sqlite3.Connection,
    *,
    since: datetime,
    until: datetime,
    span_seconds: int,
    project: str | None = None,
) -> tuple[ProjectUse, ...]:
    """Means of each span, by project; the spans begin at multiples of their length since 1970."""
    found: dict[str, list[UsePoint]] = {}
    values = {"span": span_seconds, "since": to_time(since), "until": to_time(until), "project": project}
    for row in conn.execute(_SPANS, values):
        point = UsePoint(
            at=datetime.fromtimestamp(row["span"], UTC),
            agents=row["agents_used"],
            cpu=row["cpu_used"],
            memory_mb=row["memory_mb_used"],
            agents_allocated=row["agents_allocated"],
            cpu_allocated=row["cpu_allocated"],
            memory_mb_allocated=row["memory_mb_allocated"],
        )
        found.setdefault(row["project"], []).append(point)
    return tuple(ProjectUse(project=name, points=tuple(points)) for name, points in found.items())


def spending(
    conn: sqlite3.Connection, *, since: date, until: date, project: str | None = None
) -> tuple[Spending, ...]:
    """By day, project and model; both days included, each from midnight to midnight UTC."""
    begin = datetime.combine(since, time(), UTC)
    end = datetime.combine(until, time(), UTC) + timedelta(days=1)
    rows = conn.execute(
        "SELECT c.project, substr(c.at, 1, 10) AS day, c.model, count(*) AS calls, sum(c.tokens) AS tokens,"
        " sum(c.microdollars) AS microdollars FROM projects p CROSS JOIN model_calls c ON c.project = p.name"
        " WHERE c.at >= ? AND c.at < ? AND (? IS NULL OR p.name = ?)"
        " GROUP BY day, c.project, c.model ORDER BY day, c.project, c.model",
        (to_time(begin), to_time(end), project, project),
    )
    return tuple(
        Spending(
            project=row["project"],
            day=date.fromisoformat(row["day"]),
            model=row["model"],
            calls=row["calls"],
            tokens=row["tokens"],
            microdollars=row["microdollars"],
        )
        for row in rows
    )
