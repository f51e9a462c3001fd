"""Passwords: what one must be, and how it is kept (argon2id).

Hashing costs 20 MB and some 20 ms on purpose, so it runs on two threads of its own: the loop goes on, and a
crowd at the door waits in line instead of taking the machine's memory. The line has an end, too.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from core.errors import InvalidInput, Unavailable
from core.security.known_passwords import is_known

P = ParamSpec("P")
T = TypeVar("T")

# NIST SP 800-63B-4 asks for 15 without a second factor and 8 with one, and for no rules of composition.
SHORTEST = 12
LONGEST = 512
_FEWEST_KINDS = 5  # of characters
_NAME_CHARACTERS = 4  # shorter ones stand in many words
_THREADS = 2
_MOST_WAITING = 200  # who stands further back would wait for seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    memory_kib: int
    passes: int
    lanes: int


# The least that OWASP's Password Storage Cheat Sheet recommends for argon2id: 19 MiB, 2 passes, 1 lane.
RECOMMENDED = Cost(memory_kib=19456, passes=2, lanes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    right: bool
    outdated: bool = False  # kept at another cost than today's: hash it anew while the password is at hand


class Crowded(Unavailable):
    """Nothing was looked at."""

    slug = "crowded"

    def __init__(self) -> None:
        super().__init__(
            "Too many people are logging in.",
            why="Each login costs some work.",
            hint="Try again in a moment.",
        )


class Passwords:
    """Raises Crowded when too many wait for it."""

    def __init__(self, cost: Cost = RECOMMENDED) -> None:
        self._waiting = 0
        self._hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes, type=Type.ID
        )
        self._decoy = _decoy(cost, self._hasher.hash_len, self._hasher.salt_len)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")

    async def hash(self, password: str) -> str:
        """Its text in the store, with salt and cost. Check it first: `check_new`."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def check(self, kept: str | None, password: str) -> Checked:
        """None: nobody has that name. Takes as long as for somebody, and is wrong."""
        return await self._run(self._check, kept, password)

    def _check(self, kept: str | None, password: str) -> Checked:
        shown = _normal(password) if len(password) <= LONGEST else ""
        try:
            self._hasher.verify(kept or self._decoy, shown)
        except (VerificationError, InvalidHashError):
            return Checked(right=False)
        if kept is None or not shown:
            return Checked(right=False)
        return Checked(right=True, outdated=self._hasher.check_needs_rehash(kept))

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._waiting >= _MOST_WAITING:
            raise Crowded
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))
        finally:
            self._waiting -= 1


def check_new(password: str, *names: str) -> None:
    """Raises InvalidInput when it cannot be somebody's password; `names`: theirs, which it may not hold."""
    # Before it is normalised, too: that is how much of one is looked at when it is shown.
    plain = password if len(password) > LONGEST else unicodedata.normalize("NFKC", password)
    hint = f"Take {SHORTEST} to {LONGEST} characters, such as four words that do not belong together."
    if not SHORTEST <= len(plain) <= LONGEST:
        raise InvalidInput("This password cannot be used.", why=f"It has {len(plain)} characters.", hint=hint)
    try:
        plain.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput("This password cannot be used.", why="It is no valid text.", hint=hint) from None
    if len(set(plain)) < _FEWEST_KINDS:
        raise InvalidInput("This password cannot be used.", why="It repeats a few characters.", hint=hint)
    folded = plain.casefold()
    if any(len(name) >= _NAME_CHARACTERS and name.casefold() in folded for name in names):
        raise InvalidInput("This password cannot be used.", why="It holds your name.", hint=hint)
    if is_known(plain):
        why = "It is made of what is guessed first: common words, runs, repetitions."
        raise InvalidInput("This password cannot be used.", why=why, hint=hint)


def _normal(password: str) -> bytes:
    """The same password from every keyboard: NFKC, as NIST SP 800-63B-4 asks."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _decoy(cost: Cost, hash_bytes: int, salt_bytes: int) -> str:
    """A hash of this cost that no password has: checking it takes the time that a real one takes."""

    def part(length: int) -> str:
        return base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")

    cost_text = f"m={cost.memory_kib},t={cost.passes},p={cost.lanes}"
    return f"$argon2id$v=19${cost_text}${part(salt_bytes)}${part(hash_bytes)}"
