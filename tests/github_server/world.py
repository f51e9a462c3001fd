"""What the server knows: accounts, credentials, repositories and what is in them. Held in memory."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.github_server.repository import Repository

PERMISSIONS = ("none", "read", "triage", "write", "maintain", "admin")


class Refusal(Exception):
    """What GitHub answers in place of doing it."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(f"{status} {message}")
        self.status, self.message, self.more = status, message, more


def invalid(resource: str, name: str, code: str, message: str = "") -> Refusal:
    """A 422 in the shape of a validation error."""
    error = {"resource": resource, "field": name, "code": code}
    return Refusal(422, "Validation Failed", errors=[error | ({"message": message} if message else {})])


@dataclass(eq=False, kw_only=True, slots=True)
class Account:
    id: int
    login: str
    kind: str = "User"  # User, Organization, Bot


@dataclass(eq=False, kw_only=True, slots=True)
class Rate:
    """A credential's allowance in the running hour."""

    limit: int = 5000
    used: int = 0
    reset: int = 0  # seconds since 1970


@dataclass(eq=False, kw_only=True, slots=True)
class Token:
    text: str
    account: Account
    rate: Rate
    scopes: str | None = "repo"  # None: a fine-grained token or an installation's, which tell none
    repository_ids: frozenset[int] | None = None  # None: all that the account may see
    ceiling: str = "admin"  # it may do no more than this anywhere
    expires: datetime | None = None
    revoked: bool = False


@dataclass(eq=False, kw_only=True, slots=True)
class App:
    """A GitHub App: its own JWTs are checked with `public_key` (PEM)."""

    id: int
    slug: str
    account: Account
    public_key: str
    installations: dict[int, str] = field(default_factory=dict)  # id: the owner's login
    token_seconds: int = 3600


@dataclass(eq=False, kw_only=True, slots=True)
class World:
    """All of it. `emit(repository, event, payload)` is told of each change."""

    folder: Path
    api: str = ""  # https://HOST/api/v3
    web: str = ""  # https://HOST
    skew: timedelta = timedelta()  # tests move the clock by it
    accounts: dict[str, Account] = field(default_factory=dict)  # by login, in lower case
    tokens: dict[str, Token] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)  # by who is counted: a login or an installation
    apps: dict[int, App] = field(default_factory=dict)
    repositories: dict[int, Repository] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)  # owner/name in lower case: id; old names stay
    emit: Callable[[Repository, str, dict[str, Any]], None] = lambda repository, event, payload: None
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    def now(self) -> datetime:
        """In whole seconds, as all times of the API are."""
        return (datetime.now(UTC) + self.skew).replace(microsecond=0)

    def advance(self, seconds: float) -> None:
        """Lets time pass for all that the server dates and counts from now on."""
        self.skew += timedelta(seconds=seconds)

    def account(self, login: str, kind: str = "User") -> Account:
        """The account of that login, made when there is none."""
        found = self.accounts.get(login.lower())
        if found is None:
            found = self.accounts[login.lower()] = Account(id=next(self.ids), login=login, kind=kind)
        return found

    def rate(self, whose: str, limit: int = 5000) -> Rate:
        """Its allowance; begins anew when its hour is over."""
        rate = self.rates.setdefault(whose, Rate(limit=limit))
        now = int(self.now().timestamp())
        if rate.reset <= now:
            rate.used, rate.reset = 0, now + 3600
        return rate

    def find(self, name: str) -> Repository:
        """By its present or an older name, in any case. Raises Refusal (404)."""
        repository = self.repositories.get(self.names.get(name.lower(), 0))
        if repository is None:
            raise Refusal(404, "Not Found")
        return repository


def node_id(kind: str, number: int) -> str:
    return base64.b64encode(f"{len(kind):02d}:{kind}{number}".encode()).decode()


def stamp(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
