"""Who has to look at an alert: maintainers of the project, else owners, as far as Discord knows them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from core.domain.access import AccessLevel
from core.security.access import EVERY_PROJECT, Action, may
from core.security.users import levels_of
from core.store import users
from core.store.users import User

MOST = 25  # a message each


def who_looks(conn: sqlite3.Connection, project: str | None) -> tuple[str, ...]:
    """Ids of people in Discord, who are users that are linked with them; none where there is nobody."""
    known = [user for user in users.every(conn) if user.disabled_at is None]
    near = [] if project is None else [user for user in known if _maintains(user, project)]
    found = _people(conn, near) or _people(conn, (user for user in known if user.level is AccessLevel.OWNER))
    return found[:MOST]


def may_know(conn: sqlite3.Connection, person: str, project: str | None) -> bool:
    """Whether somebody who was told of an alert before may be told how it goes on."""
    user = users.by_person(conn, person)
    return user is not None and may(Action.SEE_ALERTS, levels_of(user), project or EVERY_PROJECT).allowed


def _maintains(user: User, project: str) -> bool:
    """There, or everywhere; who is more than that everywhere is not asked of each project."""
    own = user.projects.get(project)
    return user.level is AccessLevel.MAINTAINER or (own is not None and own >= AccessLevel.MAINTAINER)


def _people(conn: sqlite3.Connection, found: Iterable[User]) -> tuple[str, ...]:
    return tuple(person for user in found for person in users.people_of(conn, user.id))
