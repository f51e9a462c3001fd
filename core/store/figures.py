"""The facts from which core.scheduler.metrics makes its figures, as far as the store knows them."""

from __future__ import annotations

import math
import sqlite3
from datetime import datetime

from core.domain.lifecycles import CycleState
from core.scheduler.metrics import CycleFact, Use
from core.scheduler.resources import Resource
from core.store.columns import from_time, to_time
from core.store.load import from_amounts

# Of what is held by the hour. An empty disk is no waste, and a story at work is an agent at work.
_JUDGED = (Resource.AGENTS, Resource.CPU, Resource.MEMORY_MB)
_MEASURED = (Resource.CPU, Resource.MEMORY_MB)

_WORKED = (
    "SELECT s.project, s.seconds, s.used, s.measured, s.allocated"
    " FROM projects p CROSS JOIN load_samples s ON s.project = p.name"
    " WHERE s.at > ? AND s.at <= ? AND (s.waiting > 0 OR s.used <> '[]')"
)


def uses(conn: sqlite3.Connection, *, since: datetime, until: datetime) -> tuple[Use, ...]:
    """What was allocated and used between the two, times the hours of each sample: one row a project and
    resource of each sample in which the project held or wanted something. What it was given while it had
    nothing to do was not kept from anybody.

    Processors and memory as they were measured, where they were; else as what runs was admitted with.
    """
    found = []
    for row in conn.execute(_WORKED, (to_time(since), to_time(until))):
        hours = row["seconds"] / 3600.0
        held, allocated = from_amounts(row["used"]), from_amounts(row["allocated"])
        measured = held if row["measured"] == "null" else from_amounts(row["measured"])
        for resource in _JUDGED:
            used = measured.get(resource) if resource in _MEASURED else held.get(resource)
            if not math.isfinite(used):
                used = held.get(resource)
            found.append(
                Use(resource=resource.value, allocated=allocated.get(resource) * hours, used=used * hours)
            )
    return tuple(found)


def cycle_facts(conn: sqlite3.Connection) -> tuple[CycleFact, ...]:
    """Of every story whose cycle ever began; a cycle that is over is never touched again."""
    over = (CycleState.DONE, CycleState.ABORTED)
    return tuple(
        CycleFact(
            begun_at=from_time(row["started_at"]),
            finished_at=from_time(row["updated_at"]) if row["state"] in over else None,
            done=row["state"] == CycleState.DONE,
        )
        for row in conn.execute("SELECT state, started_at, updated_at FROM cycles")
    )
