"""What people hear of, when they are left alone, and what happened since they last looked."""

from __future__ import annotations

import difflib
import functools
import re
import sqlite3
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.domain.ping import Ping
from core.domain.quiet import QuietHours
from core.errors import InvalidInput, NotFound
from core.orchestrator import digest
from core.orchestrator.commands.topic import Topic, find
from core.orchestrator.views import Digest, NotificationView
from core.store import news, people, subscriptions
from core.store.transaction import Transaction

FIRST_DIGEST_HOURS = 24
LONGEST_DIGEST_HOURS = 24 * 366
AT_THE_MACHINE = "cli"
_PERSON = re.compile(r"discord:[0-9]{1,20}")


class People(Topic):
    """`person` is an actor of Discord, "discord:<user id>": nobody else can be called."""

    async def subscribe(
        self, person: str, project: str | None = None, kinds: Sequence[str] = ()
    ) -> NotificationView:
        """They are called for these kinds (none named: all) of the project, or of every project."""
        person, wanted = _person(person), _kinds(kinds)

        def add(tx: Transaction) -> NotificationView:
            name = find(tx.conn, project).name if project else subscriptions.EVERY_PROJECT
            subscriptions.add(tx, person, name, wanted)
            return _view(tx.conn, person)

        return await self._store.write(add)

    async def unsubscribe(
        self, person: str, project: str | None = None, kinds: Sequence[str] = ()
    ) -> NotificationView:
        """No longer for these kinds (none named: all) of the project; without one, of whatever project.

        Raises NotFound when they had none of it.
        """
        person, unwanted = _person(person), _kinds(kinds)

        def remove(tx: Transaction) -> NotificationView:
            name = project.strip().lower() if project else None
            if not subscriptions.remove(tx, person, name, unwanted):
                raise _not_subscribed(_view(tx.conn, person), name, unwanted)
            return _view(tx.conn, person)

        return await self._store.write(remove)

    async def notifications(self, person: str) -> NotificationView:
        return await self._store.read(lambda conn: _view(conn, _person(person)))

    async def set_quiet_hours(self, person: str, quiet: QuietHours | None) -> NotificationView:
        """None: no quiet hours. What they missed until now is told as soon as the new ones allow."""
        person = _person(person)
        checked = None if quiet is None else _quiet(quiet)

        def change(tx: Transaction) -> NotificationView:
            people.set_quiet(tx, person, checked)
            return _view(tx.conn, person)

        return await self._store.write(change)

    async def digest(self, person: str, project: str | None = None, hours: int | None = None) -> Digest:
        """What happened in the last `hours`, by default since the person's last digest (the first time: in
        24 hours). Only a digest of every project, without `hours`, counts as their last one: one of a single
        project would hide the others' news. Whoever sits at the machine has digests, too, as "cli".
        """
        person = person if person == AT_THE_MACHINE else _person(person)
        if hours is not None and not 1 <= hours <= LONGEST_DIGEST_HOURS:
            raise InvalidInput(
                f"{hours} hours are not possible.", hint=f"From 1 to {LONGEST_DIGEST_HOURS}, or none."
            )

        def look(conn: sqlite3.Connection) -> Digest:
            name = find(conn, project).name if project else None
            last = news.last_seq(conn)
            after = people.digest_seq(conn, person) if hours is None else None
            since = datetime.now(UTC) - timedelta(hours=FIRST_DIGEST_HOURS if hours is None else hours)
            if after is None:
                after = news.last_seq_before(conn, since)
            else:
                since = news.time_of(conn, after) or since
            made = digest.between(conn, after, last, name, self._why)
            return replace(made, since=since, until=datetime.now(UTC))

        found = await self._store.read(look)
        if hours is None and found.project is None:
            await self._store.write(lambda tx: people.set_digest_seq(tx, person, found.last))
        return found

    async def news(self, after: int, last: int, project: str | None = None) -> Digest:
        """The digest of a stretch of history, such as an earlier one told: (`after`, `last`] of the events.

        What is blocked or asked is as it is now.
        """
        return await self._store.read(
            lambda conn: digest.between(
                conn, after, last, find(conn, project).name if project else None, self._why
            )
        )


def _view(conn: sqlite3.Connection, person: str) -> NotificationView:
    return NotificationView(
        person=person,
        subscriptions=subscriptions.of_person(conn, person),
        quiet=people.quiet_of(conn, [person]).get(person),
    )


def _person(person: str) -> str:
    person = person.strip()
    if not _PERSON.fullmatch(person):
        raise InvalidInput(
            f"'{person[:60]}' cannot be called.",
            why="Only people in Discord can.",
            hint="Use the command in Discord, or name them as discord:<user id>.",
        )
    return person


def _kinds(kinds: Sequence[str]) -> tuple[Ping, ...]:
    names = list(dict.fromkeys(kind.strip().lower() for kind in kinds if kind.strip()))
    known = {str(kind) for kind in Ping}
    if unknown := [name[:40] for name in names if name not in known]:
        raise InvalidInput(
            f"There is no such kind: {', '.join(unknown[:5])}.", hint=f"Possible: {', '.join(Ping)}."
        )
    return tuple(Ping(name) for name in names) or tuple(Ping)


def _not_subscribed(view: NotificationView, project: str | None, kinds: tuple[Ping, ...]) -> NotFound:
    everywhere = [s for s in view.subscriptions if s.project == subscriptions.EVERY_PROJECT]
    if project is not None and any(s.kind in kinds for s in everywhere):
        return NotFound(
            f"You have no subscription to {project} alone.",
            why="You are called for every project.",
            hint="Unsubscribe from every project, then subscribe to those that you want.",
        )
    return NotFound("You are not subscribed to that.", hint="/subscriptions shows what you are called for.")


def _quiet(quiet: QuietHours) -> QuietHours:
    start, end = (at.replace(second=0, microsecond=0, tzinfo=None) for at in (quiet.start, quiet.end))
    if start == end:
        raise InvalidInput(
            "Quiet hours need a beginning and another end.",
            hint="Such as 22:00 to 07:00. To be called for nothing at all: /unsubscribe.",
        )
    return QuietHours(start=start, end=end, time_zone=_zone_name(quiet.time_zone))


def _zone_name(written: str) -> str:
    """As the time zone database writes it. Raises InvalidInput, with near names as its hint."""
    known = _zones()
    wanted = written.strip().replace(" ", "_").casefold()
    if wanted in known:
        return known[wanted]
    cities = {name.rpartition("/")[2]: name for name in known}  # "berlin" is europe/berlin
    near = [known[cities[wanted]]] if wanted in cities else []
    near += [known[name] for name in difflib.get_close_matches(wanted, known, n=3)]
    raise InvalidInput(
        f"There is no time zone '{written.strip()[:60]}'.",
        hint=f"Did you mean {' or '.join(dict.fromkeys(near))}?" if near else "Such as Europe/Berlin or UTC.",
    )


@functools.cache
def _zones() -> Mapping[str, str]:
    """Names of the time zone database by themselves in lower case; read from disk once."""
    return {name.casefold(): name for name in zoneinfo.available_timezones()}
