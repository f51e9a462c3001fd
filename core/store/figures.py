"""The facts from which core.scheduler.metrics makes its figures, as far as the store knows them."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from core.domain.lifecycles import CycleState
from core.scheduler.metrics import CycleFact, Use
from core.scheduler.resources import RESOURCES, Resource
from core.store.columns import from_time, to_time

# Of what is held by the hour. An empty disk is no waste, and a story at work is an agent at work.
_JUDGED = (Resource.AGENTS, Resource.CPU, Resource.MEMORY_MB)
_MEASURED = (Resource.CPU, Resource.MEMORY_MB)


def _amount(column: str, resource: Resource) -> str:
    """Of a column of amounts (see load.to_amounts): NULL is not known, or without limit."""
    at = f"$[{RESOURCES.index(resource)}]"
    return f"CASE json_type({column}, '{at}') WHEN 'null' THEN NULL ELSE coalesce({column} ->> '{at}', 0) END"


def _hours(resource: Resource) -> str:
    """Two sums: what was allocated, and what was used of it. Without a limit, or of none, both are NULL."""
    used, allocated = _amount("s.used", resource), _amount("s.allocated", resource)
    if resource in _MEASURED:
        measured = f"CASE s.measured WHEN 'null' THEN NULL ELSE {_amount('s.measured', resource)} END"
        used = f"coalesce({measured}, {used})"
    return f"sum({allocated} * s.seconds) / 3600, sum(min({used}, {allocated}) * s.seconds) / 3600"


# Summed up by SQLite: a day of fifty projects is 14,400 samples, and a person waits for the status.
_WORKED = (
    f"SELECT p.name, {', '.join(map(_hours, _JUDGED))}"  # noqa: S608 - fixed texts
    " FROM projects p CROSS JOIN load_samples s ON s.project = p.name"
    " WHERE s.at > ? AND s.at <= ? AND (s.waiting > 0 OR s.used <> '[]') GROUP BY p.name"
)


def uses(conn: sqlite3.Connection, *, since: datetime, until: datetime) -> tuple[Use, ...]:
    """What was allocated, and used of it, between the two, in the resource's unit times hours: one row a
    project and resource, of the samples in which the project held or wanted something. What it was given
    while it had nothing to do was not kept from anybody.

    Processors and memory as they were measured, where they were; else as what runs was admitted with.
    """
    found = []
    for row in conn.execute(_WORKED, (to_time(since), to_time(until))):
        for place, resource in enumerate(_JUDGED):
            allocated, used = row[1 + 2 * place], row[2 + 2 * place]
            if allocated is not None and used is not None:
                found.append(Use(resource=resource.value, allocated=allocated, used=used))
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
