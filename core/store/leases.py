"""Leases: a worker's time-limited right to run one phase. An expired one is released by whoever finds
it, on the record; until then it still keeps others out. With a lease go the story's places of shared
resources: renewed and released with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.domain.lifecycles import Phase
from core.domain.story import Priority
from core.errors import LostRace, OrchardError
from core.store import cycles, locks
from core.store.columns import from_time, to_time
from core.store.transaction import Transaction

_TAKE = (
    "UPDATE cycles AS c SET generation = c.generation + 1, parked = 0, updated_at = ?"  # noqa: S608
    " FROM stories s, projects p"
    f" WHERE c.story_id = ? AND c.state = ? AND {cycles.RUNNABLE} RETURNING generation, project"
)
_TAKE_ALL = (
    "UPDATE cycles AS c SET generation = c.generation + 1, parked = 0, updated_at = ?"  # noqa: S608
    " FROM json_each(?) j, stories s, projects p"
    " WHERE c.story_id = j.value ->> 0 AND c.state = j.value ->> 1"
    f" AND {cycles.RUNNABLE} RETURNING story_id, generation, project"
)
_INSERT = (
    "INSERT INTO leases (story_id, project, phase, owner, generation, claimed_at, expires_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """`generation` names the claim: reports that carry an older one are refused."""

    story_id: str
    project: str
    phase: Phase
    owner: str
    generation: int
    claimed_at: datetime
    expires_at: datetime


def from_row(row: sqlite3.Row) -> Lease:
    return Lease(
        story_id=row["story_id"],
        project=row["project"],
        phase=Phase(row["phase"]),
        owner=row["owner"],
        generation=row["generation"],
        claimed_at=from_time(row["claimed_at"]),
        expires_at=from_time(row["expires_at"]),
    )


def claim(tx: Transaction, story_id: str, *, phase: Phase, owner: str, lease_seconds: float) -> Lease:
    """Takes the next generation of a story that is runnable in this phase (see `cycles.runnable`).

    Raises LostRace, saying which condition no longer holds; then nothing was changed.
    """
    taken = tx.conn.execute(
        _TAKE,
        (tx.now_text, story_id, phase.value),
    ).fetchone()
    if taken is None:
        raise _refused(tx, story_id, phase)
    expires_at = tx.now + timedelta(seconds=lease_seconds)
    tx.conn.execute(
        _INSERT,
        (
            story_id,
            taken["project"],
            phase.value,
            owner,
            taken["generation"],
            tx.now_text,
            to_time(expires_at),
        ),
    )
    return Lease(
        story_id=story_id,
        project=taken["project"],
        phase=phase,
        owner=owner,
        generation=taken["generation"],
        claimed_at=tx.now,
        expires_at=expires_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`wants`: places of shared resources that the story takes while it is worked on."""

    story_id: str
    phase: Phase
    wants: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """`won` in the order of the claims; `lost`: story to why."""

    won: tuple[Lease, ...] = ()
    lost: Mapping[str, OrchardError] = field(default_factory=dict)


def claim_all(tx: Transaction, claims: Sequence[Claim], *, owner: str, lease_seconds: float) -> Claimed:
    """As `claim` for each, with its places of shared resources, in three statements for all of them. Who
    cannot have both gets neither, and keeps no other from winning. Never raises for a lost race."""
    lost: dict[str, OrchardError] = {}
    locked: list[str] = []
    for each in claims:
        if each.wants and not _is_leased(tx.conn, each.story_id):  # what runs keeps what it has, no more
            try:
                locks.acquire(tx, each.story_id, each.wants, lease_seconds=lease_seconds)
                locked.append(each.story_id)
            except OrchardError as error:
                lost[each.story_id] = error
    able = {each.story_id: each.phase for each in claims if each.story_id not in lost}
    rows = tx.conn.execute(
        _TAKE_ALL, (tx.now_text, json.dumps([[story, phase.value] for story, phase in able.items()]))
    )
    taken = {row["story_id"]: row for row in rows}
    expires_at = tx.now + timedelta(seconds=lease_seconds)
    won = tuple(
        Lease(
            story_id=story,
            project=taken[story]["project"],
            phase=phase,
            owner=owner,
            generation=taken[story]["generation"],
            claimed_at=tx.now,
            expires_at=expires_at,
        )
        for story, phase in able.items()
        if story in taken
    )
    expires_text = to_time(expires_at)
    tx.conn.executemany(
        _INSERT,
        [
            (
                lease.story_id,
                lease.project,
                lease.phase.value,
                owner,
                lease.generation,
                tx.now_text,
                expires_text,
            )
            for lease in won
        ],
    )
    for story, phase in able.items():
        if story not in taken:
            lost[story] = _refused(tx, story, phase)
    for story in locked:
        if story not in taken:
            locks.release(tx, story)
    return Claimed(won=won, lost=lost)


def renew(tx: Transaction, story_ids: Iterable[str], owner: str, lease_seconds: float) -> tuple[str, ...]:
    """Prolongs the owner's leases from now, with the places of shared resources that their stories have;
    returns the stories that it still holds."""
    expires_at = to_time(tx.now + timedelta(seconds=lease_seconds))
    held = tuple(
        story_id
        for story_id in story_ids
        if tx.conn.execute(
            "UPDATE leases SET expires_at = ? WHERE story_id = ? AND owner = ? AND released_at IS NULL",
            (expires_at, story_id, owner),
        ).rowcount
    )
    locks.renew(tx, held, lease_seconds=lease_seconds)
    return held


def release(tx: Transaction, story_id: str, generation: int) -> Lease:
    """With the story's places of shared resources. Raises LostRace when this generation does not hold it."""
    row = tx.conn.execute(
        "UPDATE leases SET released_at = ? WHERE story_id = ? AND generation = ? AND released_at IS NULL"
        " RETURNING *",
        (tx.now_text, story_id, generation),
    ).fetchone()
    if row is None:
        raise _not_holder(tx.conn, story_id, generation)
    locks.release(tx, story_id)
    return from_row(row)


def release_all_of(tx: Transaction, owner: str) -> tuple[Lease, ...]:
    """What a lost worker held, with the places of shared resources."""
    rows = tx.conn.execute(
        "UPDATE leases SET released_at = ? WHERE owner = ? AND released_at IS NULL RETURNING *",
        (tx.now_text, owner),
    ).fetchall()
    for row in rows:
        locks.release(tx, row["story_id"])
    return tuple(from_row(row) for row in rows)


def check(conn: sqlite3.Connection, story_id: str, generation: int) -> Lease:
    """The lease, when this generation holds the story, else LostRace. An expired lease that nobody
    released is still held: its report comes late, but nobody else works on the story."""
    row = conn.execute(
        "SELECT * FROM leases WHERE story_id = ? AND generation = ? AND released_at IS NULL",
        (story_id, generation),
    ).fetchone()
    if row is None:
        raise _not_holder(conn, story_id, generation)
    return from_row(row)


def held(conn: sqlite3.Connection, project: str | None = None) -> tuple[Lease, ...]:
    """Unreleased leases, oldest first."""
    where, parameters = ("", ()) if project is None else (" AND project = ?", (project,))
    rows = conn.execute(
        f"SELECT * FROM leases WHERE released_at IS NULL{where} ORDER BY claimed_at, story_id",  # noqa: S608 - fixed texts
        parameters,
    )
    return tuple(from_row(row) for row in rows)


def at_work(conn: sqlite3.Connection) -> tuple[tuple[Lease, Priority], ...]:
    """As `held`, with how urgent the stories are."""
    rows = conn.execute(
        "SELECT l.*, s.priority FROM leases l JOIN stories s ON s.id = l.story_id"
        " WHERE l.released_at IS NULL ORDER BY l.claimed_at, l.story_id"
    )
    return tuple((from_row(row), Priority(row["priority"])) for row in rows)


def expired(conn: sqlite3.Connection, now: datetime) -> tuple[Lease, ...]:
    """Unreleased leases whose time is over, the longest first."""
    rows = conn.execute(
        "SELECT * FROM leases WHERE released_at IS NULL AND expires_at <= ? ORDER BY expires_at, story_id",
        (to_time(now),),
    )
    return tuple(from_row(row) for row in rows)


def _is_leased(conn: sqlite3.Connection, story_id: str) -> bool:
    found = conn.execute("SELECT 1 FROM leases WHERE story_id = ? AND released_at IS NULL", (story_id,))
    return found.fetchone() is not None


def _not_holder(conn: sqlite3.Connection, story_id: str, generation: int) -> LostRace:
    row = conn.execute(
        "SELECT owner, generation FROM leases WHERE story_id = ? AND released_at IS NULL", (story_id,)
    ).fetchone()
    why = "Nobody holds it now." if row is None else f"{row['owner']} holds generation {row['generation']}."
    return LostRace(f"Generation {generation} does not hold story {story_id}.", why=why)


def _refused(tx: Transaction, story_id: str, phase: Phase) -> LostRace:
    row = tx.conn.execute(
        """
        SELECT c.state, c.blocked_reason, c.hold, c.held_by, s.state AS story, p.status, p.workflow,
               (SELECT owner FROM leases l WHERE l.story_id = c.story_id AND l.released_at IS NULL) AS owner,
               (SELECT group_concat(n.needs_id, ', ') FROM story_needs n JOIN stories f ON f.id = n.needs_id
                WHERE n.story_id = c.story_id AND f.state <> 'done') AS unmet
        FROM cycles c JOIN stories s ON s.id = c.story_id JOIN projects p ON p.name = c.project
        WHERE c.story_id = ?
        """,
        (story_id,),
    ).fetchone()
    if row is None:
        why = "It has no cycle."
    elif row["owner"] is not None:
        why = f"{row['owner']} holds it."
    elif row["state"] != phase.value:
        why = f"Its cycle is in {row['state']}."
    elif row["blocked_reason"]:
        why = f"It is blocked: {row['blocked_reason']}"
    elif row["hold"] in ("stopped", "taken"):
        why = f"It is {row['hold']} by {row['held_by']}."
    elif row["unmet"] is not None:
        why = f"It waits for {row['unmet']}."
    elif row["story"] != "active":
        why = f"The story is {row['story']}."
    elif (row["status"], row["workflow"]) != ("active", "SPRINT_ACTIVE"):
        why = f"Its project is {row['status']}, its workflow {row['workflow']}."
    else:
        why = "A merge approval is pending."
    return LostRace(f"Story {story_id} cannot be claimed for {phase}.", why=why)
