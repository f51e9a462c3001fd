"""What all projects' gates add up to, over the latest of them: a long history costs no more."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from statistics import median

from core.domain.event import EventKind
from core.domain.insights import Insights, PhaseFigures, ProjectFigures, ReasonFigures
from core.domain.lifecycles import Phase
from core.store.columns import from_object, from_time

VERDICTS = 5000
EVENTS = 50_000
REASONS = 12


def look(conn: sqlite3.Connection) -> Insights:
    first_event = _first_event(conn)
    seconds = _median_seconds(conn, first_event)
    phases = tuple(
        PhaseFigures(
            phase=Phase(row["phase"]),
            judged=row["judged"],
            refused=row["refused"],
            median_seconds=seconds.get(Phase(row["phase"])),
        )
        for row in conn.execute(
            "WITH latest AS (SELECT * FROM gates ORDER BY id DESC LIMIT ?)"
            " SELECT phase, count(*) AS judged, sum(NOT passed) AS refused FROM latest GROUP BY phase",
            (VERDICTS,),
        )
    )
    return Insights(
        judged=sum(one.judged for one in phases),
        phases=tuple(sorted(phases, key=lambda one: list(Phase).index(one.phase))),
        reasons=_reasons(conn),
        projects=_projects(conn, first_event),
    )


def _reasons(conn: sqlite3.Connection) -> tuple[ReasonFigures, ...]:
    rows = conn.execute(
        "WITH latest AS (SELECT * FROM gates ORDER BY id DESC LIMIT ?)"
        " SELECT g.phase AS phase, json_extract(r.value, '$.code') AS reason, count(*) AS times,"
        " count(DISTINCT s.project) AS projects FROM latest g JOIN stories s ON s.id = g.story_id,"
        " json_each(g.verdict, '$.refusals') r GROUP BY g.phase, reason"
        " ORDER BY times DESC, g.phase, reason LIMIT ?",
        (VERDICTS, REASONS),
    )
    return tuple(
        ReasonFigures(
            phase=Phase(row["phase"]),
            reason=str(row["reason"]),
            times=row["times"],
            projects=row["projects"],
        )
        for row in rows
    )


def _projects(conn: sqlite3.Connection, first_event: int) -> tuple[ProjectFigures, ...]:
    blocked: Mapping[str, int] = {
        row["project"]: row["times"]
        for row in conn.execute(
            "SELECT project, count(*) AS times FROM events WHERE seq >= ? AND kind = ? GROUP BY project",
            (first_event, EventKind.STORY_BLOCKED.value),
        )
    }
    rows = conn.execute(
        "WITH latest AS (SELECT * FROM gates ORDER BY id DESC LIMIT ?)"
        " SELECT s.project AS project, count(DISTINCT s.id) AS stories, count(*) AS judged,"
        " sum(NOT g.passed) AS refused FROM latest g JOIN stories s ON s.id = g.story_id"
        " GROUP BY s.project ORDER BY 1.0 * sum(NOT g.passed) / count(*) DESC, s.project",
        (VERDICTS,),
    )
    return tuple(
        ProjectFigures(
            project=row["project"],
            stories=row["stories"],
            judged=row["judged"],
            refused=row["refused"],
            blocked=blocked.get(row["project"], 0),
        )
        for row in rows
    )


def _median_seconds(conn: sqlite3.Connection, first_event: int) -> Mapping[Phase, float]:
    """From a phase's start to the next word of its story's gate."""
    kinds = (EventKind.PHASE_STARTED, EventKind.GATE_PASSED, EventKind.GATE_REFUSED)
    begun: dict[tuple[str, str], float] = {}
    spent: dict[Phase, list[float]] = defaultdict(list)
    for row in conn.execute(
        "SELECT kind, at, story_id, data FROM events WHERE seq >= ? AND kind IN (?, ?, ?) ORDER BY seq",
        (first_event, *(kind.value for kind in kinds)),
    ):
        phase, at = str(from_object(row["data"]).get("phase")), from_time(row["at"]).timestamp()
        if row["kind"] == EventKind.PHASE_STARTED:
            begun[row["story_id"], phase] = at
        elif (start := begun.pop((row["story_id"], phase), None)) is not None and phase in set(Phase):
            spent[Phase(phase)].append(at - start)
    return {phase: median(seconds) for phase, seconds in spent.items()}


def _first_event(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]) - EVENTS
