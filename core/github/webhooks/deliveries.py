"""Webhooks' deliveries: each is taken once, and becomes a nudge for the projects whose repository it is of.

A row says that a delivery came, in the transaction before it is acknowledged. The nudge itself is not kept:
it only says what to read sooner than by the timer, and after a start everything is read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from core.domain.github import Link
from core.github.webhooks.nudge import OF_AN_APP, Named, Nudge, nudge_of, repositories_of
from core.store import github_heard, github_links
from core.store.database import Store
from core.store.transaction import Transaction

KEEP = timedelta(days=30)  # GitHub itself redelivers what is at most three days old
_TIDY_EVERY = timedelta(hours=1)
PING = "ping"


class Taken(StrEnum):
    """What became of a delivery."""

    NUDGED = "nudged"
    PONG = "pong"  # a hook was made, and GitHub tries it
    REPLAYED = "replayed"  # it came before
    UNKNOWN_EVENT = "unknown event"  # nothing that Orchard looks at
    UNKNOWN_REPOSITORY = "unknown repository"  # no project is linked with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """`signers`: the projects by whose own secret it is signed; None: by Orchard's, so it may be of any."""

    id: str
    event: str
    payload: Mapping[str, Any]
    signers: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    taken: Taken
    projects: tuple[str, ...] = ()


class Deliveries:
    """`nudge` is called after the commit, in the event loop, once for each project."""

    def __init__(self, store: Store, nudge: Callable[[str, Nudge], None]) -> None:
        self._store = store
        self._nudge = nudge
        self._tidied: datetime | None = None

    async def take(self, delivery: Delivery) -> Receipt:
        """Raises Unavailable when the store cannot be written; then GitHub is not told that it was taken."""
        nudge = nudge_of(delivery.event, delivery.payload)
        named = repositories_of(delivery.payload)

        def work(tx: Transaction) -> Receipt:
            projects = tuple(
                link.project
                for link in _linked(tx.conn, delivery.event, named)
                if delivery.signers is None or link.project in delivery.signers
            )
            of = projects[0] if projects else None
            if not github_heard.delivery(tx, delivery.id, delivery.event, of):
                return Receipt(taken=Taken.REPLAYED, projects=projects)
            self._tidy(tx)
            if delivery.event == PING:
                return Receipt(taken=Taken.PONG, projects=projects)
            if nudge is None:
                return Receipt(taken=Taken.UNKNOWN_EVENT, projects=projects)
            return Receipt(taken=Taken.NUDGED if projects else Taken.UNKNOWN_REPOSITORY, projects=projects)

        receipt = await self._store.write(work)
        if nudge is not None and receipt.taken in (Taken.NUDGED, Taken.PONG):
            for project in receipt.projects:
                self._nudge(project, nudge)
        return receipt

    def _tidy(self, tx: Transaction) -> None:
        """Now and then forgets the oldest, by the way."""
        if self._tidied is None or tx.now - self._tidied >= _TIDY_EVERY:
            github_heard.forget_deliveries(tx, tx.now - KEEP)
            self._tidied = tx.now


def _linked(conn: sqlite3.Connection, event: str, named: tuple[Named, ...]) -> tuple[Link, ...]:
    if len(named) == 1:
        link = github_links.of_repository(conn, named[0].id, named[0].full_name)
        return () if link is None else (link,)
    if not named:  # also a suspended installation says nothing of its repositories
        return github_links.every(conn) if event in OF_AN_APP else ()
    ids = {each.id for each in named}
    names = {each.full_name.casefold() for each in named}
    return tuple(
        link
        for link in github_links.every(conn)
        if (link.repository_id in ids) or (link.repository_id is None and link.repository.casefold() in names)
    )
