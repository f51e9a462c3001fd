"""A store with a project, and people who log in at a cost that tests can pay."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyotp
import pytest
import pytest_asyncio

from core.domain.access import AccessLevel
from core.security.access import Asker, Face
from core.security.linking import Linking
from core.security.logins import LoginRules, Logins
from core.security.passwords import Checked, Cost, Passwords
from core.security.second_factor import KeySeal, SecondFactor
from core.security.tokens import ApiTokens
from core.security.users import Users, levels_of
from core.security.witness import Deed
from core.store.database import Store
from core.store.transaction import Transaction
from core.store.users import User

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
PASSWORD = "pear under tall ladder"


class CountedPasswords(Passwords):
    """The real ones; remembers whether somebody was there at each check."""

    def __init__(self, cost: Cost = CHEAP) -> None:
        super().__init__(cost)
        self.checked: list[bool] = []

    async def check(self, kept: str | None, password: str) -> Checked:
        self.checked.append(kept is not None)
        return await super().check(kept, password)


@dataclass
class House:
    """All services on one store, and what they told."""

    store: Store
    clock: Any
    passwords: CountedPasswords = field(default_factory=CountedPasswords)
    deeds: list[Deed] = field(default_factory=list)
    rules: LoginRules = field(default_factory=lambda: LoginRules(idle=timedelta(minutes=60)))

    password = PASSWORD

    def witness(self, tx: Transaction, deed: Deed) -> None:
        self.deeds.append(deed)

    @property
    def users(self) -> Users:
        return Users(self.store, self.passwords, self.witness)

    @property
    def second_factor(self) -> SecondFactor:
        return SecondFactor(self.store, KeySeal(b"k" * 32), self.witness)

    @property
    def logins(self) -> Logins:
        return Logins(self.store, self.clock, self.passwords, self.second_factor, self.rules, self.witness)

    @property
    def linking(self) -> Linking:
        return Linking(self.store, {"777": AccessLevel.CONTRIBUTOR, "leads": AccessLevel.ADMIN}, self.witness)

    @property
    def tokens(self) -> ApiTokens:
        return ApiTokens(self.store, self.clock, self.witness)

    async def user(self, name: str, level: AccessLevel | None = AccessLevel.VIEWER) -> User:
        return await self.users.create_user(name, f"{name}@example.org", PASSWORD, level)

    def on_the_web(self, user: User, *, proved: bool = True) -> Asker:
        return Asker(
            name=f"user:{user.username}",
            levels=levels_of(user),
            face=Face.WEB,
            second_factor=proved,
            user_id=user.id,
        )

    async def enrolled(self, user: User) -> tuple[pyotp.TOTP, tuple[str, ...]]:
        """Their authenticator, and the recovery codes; the code of the present step is used up."""
        totp = pyotp.TOTP((await self.second_factor.begin(user.id)).secret)
        codes = await self.second_factor.confirm(user.id, self.code(totp))
        return totp, codes

    def code(self, totp: pyotp.TOTP) -> str:
        return totp.at(self.clock.now())


@pytest_asyncio.fixture
async def house(store: Store, clock: Any, new_project: Callable[..., Any]) -> House:
    for name in ("shop", "bank"):
        await store.write(lambda tx, name=name: new_project(tx, name))
    return House(store, clock)


@pytest.fixture
def outcomes() -> Callable[..., Awaitable[tuple[int, list[BaseException]]]]:
    """Runs all at once: how many went well, and what the others raised."""

    async def run(*works: Awaitable[Any]) -> tuple[int, list[BaseException]]:
        results = await asyncio.gather(*works, return_exceptions=True)
        errors = [one for one in results if isinstance(one, BaseException)]
        return len(results) - len(errors), errors

    return run
