"""Locks on named resources that projects share: so many places each, held by stories, for a time.

A hold is a lease: its holder renews it while a phase runs. One whose time is over is released by the next
who asks for the resource, or by `expire`, on the record; never while its story's phase is leased, for a late
worker may be at work with it still.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.errors import InvalidInput, LostRace, NotAllowed, NotFound
from core.store.columns import from_time, to_time
from core.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """`places` of a resource that one story has."""

    resource: str
    story_id: str
    project: str
    places: int
    acquired_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedResource:
    """`free` may be below zero: more is held than `places`, which were fewer since."""

    name: str
    places: int
    holds: tuple[Hold, ...]  # the oldest first; also those whose time is over and that nobody released

    @property
    def free(self) -> int:
        return self.places - sum(hold.places for hold in self.holds)


_UNLEASED = (
    "NOT EXISTS (SELECT 1 FROM leases l WHERE l.story_id = resource_holds.story_id AND l.released_at IS NULL)"
)


def define(tx: Transaction, name: str, places: int) -> None:
    """Makes the resource, or gives it another number of places; who holds one keeps it.

    Raises InvalidInput for an empty name or less than one place.
    """
    if not name.strip() or places < 1:
        raise InvalidInput(f"{name!r} cannot be a shared resource with {places} places.")
    tx.conn.execute(
        "INSERT INTO shared_resources (name, places, defined_at) VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET places = excluded.places",
        (name, places, tx.now_text),
    )


def forget(tx: Transaction, name: str) -> None:
    """Removes it with its history. Raises NotFound, or NotAllowed while somebody holds it."""
    _release_expired(tx, name)
    found = get(tx.conn, name)
    if found.holds:
        raise NotAllowed(f"{name} cannot be removed now.", why=_who_holds(found, tx.now))
    tx.conn.execute("DELETE FROM resource_holds WHERE resource = ?", (name,))
    tx.conn.execute("DELETE FROM shared_resources WHERE name = ?", (name,))


def acquire(
    tx: Transaction, story_id: str, wants: Mapping[str, int], *, lease_seconds: float
) -> tuple[Hold, ...]:
    """All that the story wants, as resource to places, or nothing: so no two stories wait for each other.

    What it holds already counts, and is prolonged. Raises LostRace saying who holds what is missing, NotFound
    for an unknown resource or story, InvalidInput for places below one or more than the resource has.
    """
    _check_time(lease_seconds)
    story = tx.conn.execute("SELECT project FROM stories WHERE id = ?", (story_id,)).fetchone()
    if story is None:
        raise NotFound(f"There is no story {story_id}.")
    missing: dict[str, list[int]] = {}
    for name, places in sorted(wants.items()):
        if places < 1:
            raise InvalidInput(f"{places} places of {name} cannot be wanted.")
        _release_expired(tx, name)
        missing[name] = _places_to_take(tx, story_id, name, places)
    expires_at = to_time(tx.now + timedelta(seconds=lease_seconds))
    tx.conn.execute(
        "UPDATE resource_holds SET expires_at = max(expires_at, ?)"
        " WHERE story_id = ? AND released_at IS NULL",
        (expires_at, story_id),
    )
    tx.conn.executemany(
        "INSERT INTO resource_holds (resource, place, story_id, project, acquired_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (name, place, story_id, story["project"], tx.now_text, expires_at)
            for name, places in missing.items()
            for place in places
        ],
    )
    return held_by(tx.conn, story_id)


def _places_to_take(tx: Transaction, story_id: str, name: str, wanted: int) -> list[int]:
    found = get(tx.conn, name)
    own = sum(hold.places for hold in found.holds if hold.story_id == story_id)
    if wanted <= own:
        return []  # also where there are fewer places since: it keeps what it holds
    if wanted > found.places:
        raise InvalidInput(
            f"Story {story_id} wants {wanted} places of {name}, which has {found.places}.",
            hint="It would wait for ever.",
        )
    if wanted - own > found.free:
        raise LostRace(f"Story {story_id} cannot have {name} now.", why=_who_holds(found, tx.now))
    taken = {
        row["place"]
        for row in tx.conn.execute(
            "SELECT place FROM resource_holds WHERE resource = ? AND released_at IS NULL", (name,)
        )
    }
    free = (place for place in range(1, found.places + 1) if place not in taken)
    return [next(free) for _ in range(wanted - own)]


def renew(tx: Transaction, story_ids: Iterable[str], *, lease_seconds: float) -> tuple[Hold, ...]:
    """Prolongs what these stories hold, from now; returns what they still hold. A hold that was released
    meanwhile, because its time was over, is not among it: its story has to acquire it again."""
    _check_time(lease_seconds)
    expires_at = to_time(tx.now + timedelta(seconds=lease_seconds))
    found: list[Hold] = []
    for story_id in story_ids:
        tx.conn.execute(
            "UPDATE resource_holds SET expires_at = ? WHERE story_id = ? AND released_at IS NULL",
            (expires_at, story_id),
        )
        found += held_by(tx.conn, story_id)
    return tuple(found)


def release(tx: Transaction, story_id: str, resource: str | None = None) -> tuple[Hold, ...]:
    """Gives back what the story holds, of one resource or of all; returns it. Nothing held is fine."""
    before = [hold for hold in held_by(tx.conn, story_id) if resource in (None, hold.resource)]
    for hold in before:
        tx.conn.execute(
            "UPDATE resource_holds SET released_at = ?"
            " WHERE story_id = ? AND resource = ? AND released_at IS NULL",
            (tx.now_text, story_id, hold.resource),
        )
    return tuple(before)


def expire(tx: Transaction) -> tuple[Hold, ...]:
    """Releases every hold whose time is over; returns them, by resource."""
    ended = _group(
        tx.conn.execute(
            f"{_HOLDS} AND expires_at <= ? AND {_UNLEASED} {_GROUPED}",
            (tx.now_text,),
        )
    )
    for name in {hold.resource for hold in ended}:
        _release_expired(tx, name)
    return ended


def _release_expired(tx: Transaction, name: str) -> None:
    tx.conn.execute(
        "UPDATE resource_holds SET released_at = ? WHERE resource = ? AND released_at IS NULL"  # noqa: S608
        f" AND expires_at <= ? AND {_UNLEASED}",
        (tx.now_text, name, tx.now_text),
    )


_HOLDS = (
    "SELECT resource, story_id, project, count(*) AS places, min(acquired_at) AS acquired_at,"
    " min(expires_at) AS expires_at FROM resource_holds WHERE released_at IS NULL"
)
_GROUPED = "GROUP BY resource, story_id, project ORDER BY resource, min(acquired_at), story_id"


def _group(rows: Iterable[sqlite3.Row]) -> tuple[Hold, ...]:
    return tuple(
        Hold(
            resource=row["resource"],
            story_id=row["story_id"],
            project=row["project"],
            places=row["places"],
            acquired_at=from_time(row["acquired_at"]),
            expires_at=from_time(row["expires_at"]),
        )
        for row in rows
    )


def held_by(conn: sqlite3.Connection, story_id: str) -> tuple[Hold, ...]:
    """What the story holds, by resource."""
    return _group(conn.execute(f"{_HOLDS} AND story_id = ? {_GROUPED}", (story_id,)))


def get(conn: sqlite3.Connection, name: str) -> SharedResource:
    """Raises NotFound."""
    row = conn.execute("SELECT places FROM shared_resources WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound(f"There is no shared resource {name}.", hint="Define it in orch-config.yaml.")
    holds = _group(conn.execute(f"{_HOLDS} AND resource = ? {_GROUPED}", (name,)))
    return SharedResource(name=name, places=row["places"], holds=holds)


def every(conn: sqlite3.Connection) -> tuple[SharedResource, ...]:
    """By name, in two queries: the scheduler's snapshot asks for it at each pass."""
    holds: dict[str, list[Hold]] = {}
    for hold in _group(conn.execute(f"{_HOLDS} {_GROUPED}")):
        holds.setdefault(hold.resource, []).append(hold)
    rows = conn.execute("SELECT name, places FROM shared_resources ORDER BY name")
    return tuple(
        SharedResource(name=row["name"], places=row["places"], holds=tuple(holds.get(row["name"], ())))
        for row in rows
    )


def _check_time(lease_seconds: float) -> None:
    if not (math.isfinite(lease_seconds) and lease_seconds > 0):
        raise InvalidInput(f"A lock cannot be held for {lease_seconds} seconds.")


def _who_holds(found: SharedResource, now: datetime) -> str:
    if not found.holds:
        return f"{found.name} has {found.places} places."
    who = ", ".join(
        f"{hold.story_id} holds {hold.places} for {_seconds_left(hold, now)} s more" for hold in found.holds
    )
    return f"Of {found.places} places of {found.name}, {who}."


def _seconds_left(hold: Hold, now: datetime) -> int:
    return max(0, round((hold.expires_at - now).total_seconds()))
