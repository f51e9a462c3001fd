"""Knows, for an event, whom its post calls now and whom later."""

from __future__ import annotations

import logging
import sqlite3
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

import discord

from bot.discord.audience import Audience, Call, audience, plan_call
from bot.discord.notice import texts
from core.clock import Clock
from core.domain.event import Event
from core.domain.ping import Ping
from core.domain.quiet import QuietHours, quiet_until
from core.store import people, subscriptions, users
from core.store.database import Store, Transaction

_log = logging.getLogger(__name__)


class Crier:
    """`mentions` are the configured ones, as Discord writes them."""

    def __init__(self, store: Store, clock: Clock, mentions: tuple[str, ...] = ()) -> None:
        self._store = store
        self._clock = clock
        self._mentions = mentions

    async def call(self, event: Event, ping: Ping, guild: discord.Guild) -> Call:
        def look(conn: sqlite3.Connection) -> tuple[Audience, Mapping[str, QuietHours]]:
            subscribed = subscriptions.people_for(conn, event.project, ping)
            wanted = audience(
                [person for person in subscribed if not _shut_out(conn, person)],
                self._mentions,
                people=texts(event.data, "people"),
                roles=texts(event.data, "roles"),
                role_ids={role.name: role.id for role in guild.roles if not role.is_default()},
            )
            return wanted, people.quiet_of(conn, [actor_of(person) for person in wanted.people])

        wanted, hours = await self._store.read(look)
        now = self._clock.now()
        quiet = {
            person
            for person in wanted.people
            if (found := hours.get(actor_of(person))) and left_alone_until(now, found)
        }
        return plan_call(wanted, quiet)

    def miss(self, tx: Transaction, event: Event, call: Call, named: frozenset[int]) -> bool:
        """Keeps whom the post, as it was posted, did not name. Whether there was anybody.

        Due at once: whoever tells them looks at their quiet hours, which may have changed meanwhile.
        """
        missing = [person for person in (*call.people, *call.later) if person not in named]
        for person in missing:
            people.miss(tx, actor_of(person), event.seq)
        return bool(missing)


def _shut_out(conn: sqlite3.Connection, person: str) -> bool:
    """Whether they are a user who was disabled: nothing calls them any more."""
    user = users.by_person(conn, person.partition(":")[2])
    return user is not None and user.disabled_at is not None


def actor_of(person: int) -> str:
    return f"discord:{person}"


def left_alone_until(now: datetime, quiet: QuietHours) -> datetime | None:
    return quiet_until(now, quiet, _zone(quiet.time_zone))


def _zone(name: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        _log.warning("this machine knows no time zone %s any more; taking UTC", name)
        return UTC
