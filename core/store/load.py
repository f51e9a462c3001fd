"""What projects used and wanted over time, and what the scheduler remembers of each between two runs."""

from __future__ import annotations

import json
import math
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.domain.event import EventKind
from core.domain.lifecycles import Phase
from core.scheduler.forecast import HOURS, Durations, WeekProfile
from core.scheduler.quota import Quota
from core.scheduler.resources import COUNT, Resources
from core.store.columns import from_time, to_time
from core.store.transaction import Transaction

KEPT_DAYS = 35  # five weeks of samples: what the simulator replays, and a month to look at
RUNS_LIMIT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One project over the `seconds` up to `at`. `measured` is None where nothing could be, an amount in it
    `inf` where that could not; `used` is what its running tasks were admitted with; `waiting` are tasks that
    could have started."""

    project: str
    at: datetime
    seconds: float
    used: Resources
    measured: Resources | None
    allocated: Resources
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the scheduler knows of one project at `sampled_at`. `allocation` is None before the first."""

    project: str
    sampled_at: datetime
    decayed_use: Resources
    profile: WeekProfile
    durations: Durations
    allocation: Quota | None
    strategy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRun:
    """A phase that ran. It could have started from `ready_at` on, as far as people and what it needs go."""

    project: str
    story_id: str
    phase: Phase
    ready_at: datetime
    started_at: datetime
    ended_at: datetime


# -- samples ---------------------------------------------------------------------------------------


def add(tx: Transaction, samples: Iterable[Sample]) -> None:
    """One of the same project and instant is replaced; those of a project that is gone are left out."""
    tx.conn.executemany(
        "INSERT OR REPLACE INTO load_samples (project, at, seconds, used, measured, allocated, waiting)"
        " SELECT name, ?, ?, ?, ?, ?, ? FROM projects WHERE name = ?",
        [
            (
                to_time(sample.at),
                sample.seconds,
                to_amounts(sample.used),
                "null" if sample.measured is None else to_amounts(sample.measured),
                to_amounts(sample.allocated),
                sample.waiting,
                sample.project,
            )
            for sample in samples
        ],
    )


# By project even for all of them: so the primary key finds the rows, without a second index as large.
_SAMPLES = (
    "SELECT s.* FROM projects p CROSS JOIN load_samples s ON s.project = p.name"
    " WHERE s.at >= ? AND (? IS NULL OR p.name = ?) ORDER BY p.name, s.at"
)


def samples(conn: sqlite3.Connection, *, since: datetime, project: str | None = None) -> tuple[Sample, ...]:
    """From `since` on, by project, the oldest first."""
    rows = conn.execute(_SAMPLES, (to_time(since), project, project))
    return tuple(
        Sample(
            project=row["project"],
            at=from_time(row["at"]),
            seconds=row["seconds"],
            used=from_amounts(row["used"]),
            measured=None if row["measured"] == "null" else from_amounts(row["measured"]),
            allocated=from_amounts(row["allocated"]),
            waiting=row["waiting"],
        )
        for row in rows
    )


def prune(tx: Transaction, *, before: datetime) -> int:
    """Removes samples from before then; returns how many."""
    names = [row["name"] for row in tx.conn.execute("SELECT name FROM projects")]
    return tx.conn.executemany(
        "DELETE FROM load_samples WHERE project = ? AND at < ?", [(name, to_time(before)) for name in names]
    ).rowcount


# -- the scheduler's memory ------------------------------------------------------------------------


def remember(tx: Transaction, memories: Iterable[Memory]) -> None:
    """In the place of what was remembered; a project that is gone is left out."""
    tx.conn.executemany(
        "INSERT OR REPLACE INTO scheduler_memory"
        " (project, sampled_at, decayed_use, profile, durations, allocation, strategy)"
        " SELECT name, ?, ?, ?, ?, ?, ? FROM projects WHERE name = ?",
        [
            (
                to_time(memory.sampled_at),
                to_amounts(memory.decayed_use),
                _to_profile(memory.profile),
                json.dumps([memory.durations.mean_seconds, memory.durations.count]),
                "null" if memory.allocation is None else json.dumps(memory.allocation.as_dict()),
                memory.strategy,
                memory.project,
            )
            for memory in memories
        ],
    )


def memories(conn: sqlite3.Connection) -> dict[str, Memory]:
    """By project; those of which nothing is remembered yet are left out."""
    return {
        row["project"]: Memory(
            project=row["project"],
            sampled_at=from_time(row["sampled_at"]),
            decayed_use=from_amounts(row["decayed_use"]),
            profile=_from_profile(row["profile"]),
            durations=_from_durations(row["durations"]),
            allocation=_from_quota(row["allocation"]),
            strategy=row["strategy"],
        )
        for row in conn.execute("SELECT * FROM scheduler_memory ORDER BY project")
    }


# -- how long phases took and waited ---------------------------------------------------------------

# After these a story may go on that waited for people, or for its agent's usage limit.
GOES_ON = (
    EventKind.APPROVAL_ANSWERED,
    EventKind.STORY_UNBLOCKED,
    EventKind.STORY_RELEASED,
    EventKind.STORY_HANDED_BACK,
    EventKind.PROJECT_STARTED,
    EventKind.SPRINT_STARTED,
    EventKind.USAGE_RESET,
    EventKind.WORKFLOW_CHANGED,
)
_RUNS = """
    SELECT l.project, l.story_id, l.phase, l.claimed_at, l.released_at, max(
        c.started_at,
        coalesce((SELECT b.released_at FROM leases b WHERE b.story_id = l.story_id
                  AND b.generation < l.generation ORDER BY b.generation DESC LIMIT 1), ''),
        coalesce((SELECT max(d.updated_at) FROM story_needs n JOIN cycles d ON d.story_id = n.needs_id
                  WHERE n.story_id = l.story_id AND d.state = 'done' AND d.updated_at <= l.claimed_at), '')
    ) AS ready_at
    FROM leases l JOIN cycles c ON c.story_id = l.story_id
    WHERE l.claimed_at >= ? AND l.released_at IS NOT NULL ORDER BY l.claimed_at DESC LIMIT ?
"""


def phase_runs(conn: sqlite3.Connection, *, since: datetime, limit: int = RUNS_LIMIT) -> tuple[PhaseRun, ...]:
    """Phases that were claimed from `since` on and are over, the oldest first; of more than `limit` the
    newest.

    A phase is ready when the one before it ended (for the first: when its cycle began), every story that it
    needs was done, and people had answered, released, started or resumed what it waited for. One that began
    or ended before it was ready (the machine's clock was put back) is left out.
    """
    went_on = _went_on(conn, since)
    found = []
    for row in conn.execute(_RUNS, (to_time(since), limit)):
        ready, started, ended = row["ready_at"], row["claimed_at"], row["released_at"]
        for key in ((row["project"], None), (row["project"], row["story_id"])):
            ready = max(ready, _last_before(went_on.get(key, ()), started))
        if ready <= started <= ended:
            found.append(
                PhaseRun(
                    project=row["project"],
                    story_id=row["story_id"],
                    phase=Phase(row["phase"]),
                    ready_at=from_time(ready),
                    started_at=from_time(started),
                    ended_at=from_time(ended),
                )
            )
    return tuple(reversed(found))


_READY = """
    SELECT max(
        c.updated_at,
        coalesce((SELECT max(l.released_at) FROM leases l WHERE l.story_id = c.story_id), ''),
        coalesce((SELECT max(d.updated_at) FROM story_needs n JOIN cycles d ON d.story_id = n.needs_id
                  WHERE n.story_id = c.story_id), '')
    ) AS ready_at, c.project FROM cycles c WHERE c.story_id = ?
"""


def waited(
    conn: sqlite3.Connection, story_ids: Iterable[str], *, until: datetime, most_seconds: float
) -> Mapping[str, float]:
    """Seconds for which stories that may start now had waited by `until`, at most so many; 0 for one whose
    wait began later, and for all of them when the clock was put back."""
    went_on = _went_on(conn, until - timedelta(seconds=most_seconds))
    found: dict[str, float] = {}
    for story_id in story_ids:
        row = conn.execute(_READY, (story_id,)).fetchone()
        if row is None:
            continue
        times = [
            (went_on.get(key) or [""])[-1] for key in ((row["project"], None), (row["project"], story_id))
        ]
        seconds = (until - from_time(max(row["ready_at"], *times))).total_seconds()
        found[story_id] = min(max(seconds, 0.0), most_seconds)
    return found


def _went_on(conn: sqlite3.Connection, since: datetime) -> Mapping[tuple[str, str | None], list[str]]:
    """When people let a story, or a whole project, go on; as texts, in order."""
    marks = ", ".join("?" * len(GOES_ON))
    found: dict[tuple[str, str | None], list[str]] = {}
    for row in conn.execute(
        f"SELECT project, story_id, at FROM events WHERE kind IN ({marks}) AND at >= ?"  # noqa: S608
        " AND (kind <> 'workflow_changed' OR data ->> 'new' = 'SPRINT_ACTIVE') ORDER BY at",
        (*(kind.value for kind in GOES_ON), to_time(since)),
    ):
        found.setdefault((row["project"], row["story_id"]), []).append(row["at"])
    return found


def _last_before(times: list[str] | tuple[()], at: str) -> str:
    place = bisect_right(times, at)
    return times[place - 1] if place else ""


# -- as JSON ---------------------------------------------------------------------------------------


def to_amounts(amounts: Resources) -> str:
    """To a thousandth, as half a million of them are kept; what is no number or without end as null."""
    plain = [round(amount, 3) if math.isfinite(amount) else None for amount in amounts]
    while plain and plain[-1] == 0.0:
        plain.pop()
    return json.dumps([int(one) if one is not None and one % 1 == 0 else one for one in plain])


def from_amounts(text: str) -> Resources:
    """null is `inf`; what a newer program wrote of further resources is left out."""
    plain = json.loads(text)[:COUNT]
    return Resources(*[math.inf if one is None else float(one) for one in plain])


def _to_profile(profile: WeekProfile) -> str:
    return json.dumps(
        {hour: [profile.means[hour], profile.weights[hour]] for hour in range(HOURS) if profile.weights[hour]}
    )


def _from_profile(text: str) -> WeekProfile:
    seen: dict[str, list[float]] = json.loads(text)
    means, weights = [0.0] * HOURS, [0.0] * HOURS
    for hour, (mean, weight) in seen.items():
        means[int(hour)], weights[int(hour)] = mean, weight
    return WeekProfile(means=tuple(means), weights=tuple(weights))


def _from_durations(text: str) -> Durations:
    mean, count = json.loads(text)
    return Durations(mean_seconds=mean, count=count)


def _from_quota(text: str) -> Quota | None:
    plain: dict[str, Any] | None = json.loads(text)
    return None if plain is None else Quota(**{name: plain[name] for name in Quota.__slots__})
