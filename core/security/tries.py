"""Wrong passwords and codes, counted in the store: a restart forgets none.

A try is counted as failed before it is looked at and forgiven when it was right, so that many at once are no
more tries than one after the other. Which names exist makes no difference to what is counted.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from core.security.rate_limit import Backoff, Tries, failed, wait_of
from core.store import logins
from core.store.transaction import Transaction

_KEPT = timedelta(days=2)

# Somebody who forgot: five tries, then half a minute and more.
PAIR = Backoff(
    free=5, first=timedelta(seconds=30), longest=timedelta(minutes=15), heals=timedelta(minutes=30)
)
# Of a name from everywhere, and of one place for all names: wider, since others share them.
NAME = Backoff(
    free=20, first=timedelta(seconds=30), longest=timedelta(minutes=15), heals=timedelta(minutes=30)
)
PLACE = Backoff(
    free=40, first=timedelta(seconds=30), longest=timedelta(minutes=15), heals=timedelta(minutes=30)
)
CODE = Backoff(free=5, first=timedelta(seconds=30), longest=timedelta(minutes=15), heals=timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What one try counts for: the keys that a right one clears, and those that it only takes back from."""

    clears: Mapping[str, Backoff]
    takes_back: Mapping[str, Backoff]


def of_password(name: str, client: str, *, known: bool = False) -> Try:
    """A right password says nothing of the other names that were tried from the same place.

    `known`: the user logged in from there before. Then what strangers try elsewhere does not lock them out
    (as the device cookies of OWASP's Authentication Cheat Sheet), and only their own tries there count.
    """
    folded, place = name.strip().lower(), place_of(client)
    pair, everywhere = key("pair", folded, place), key("name", folded)
    return Try(
        clears={pair: PAIR} if known else {pair: PAIR, everywhere: NAME},
        takes_back={key("place", place): PLACE},
    )


def place_of(client: str) -> str:
    """Whoever has one address of IPv6 has all 2**64 of its network, so these are one place."""
    with suppress(ValueError):
        address = ipaddress.ip_address(client.strip())
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is not None:
                return str(address.ipv4_mapped)
            return str(ipaddress.IPv6Network((int(address), 64), strict=False))
        return str(address)
    return client


def of_code(kind: str, subject: str) -> Try:
    return Try(clears={key(kind, subject): CODE}, takes_back={})


def key(*parts: str) -> str:
    """Bounded, whatever was typed, and no plain text: people type passwords where names belong."""
    text = "\0".join(part[:512] for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def begin(tx: Transaction, one: Try) -> timedelta:
    """Zero: it may be looked at, and counts as failed. Else how long not; then nothing was counted."""
    logins.prune_tries(tx, tx.now - _KEPT)
    if wait := closed_for(tx, one):
        return wait
    for subject, rule in _rules(one).items():
        logins.set_tries(tx, subject, failed(logins.tries_of(tx.conn, subject), rule, tx.now))
    return timedelta()


def closed_for(tx: Transaction, one: Try) -> timedelta:
    """How long nothing of the kind is looked at."""
    return max(
        wait_of(logins.tries_of(tx.conn, subject), rule, tx.now) for subject, rule in _rules(one).items()
    )


def forgive(tx: Transaction, one: Try) -> None:
    """It was right."""
    for subject in one.clears:
        logins.forget_tries(tx, subject)
    _take_back(tx, one.takes_back)


def undo(tx: Transaction, one: Try) -> None:
    """It was counted, and then nobody looked at it."""
    _take_back(tx, _rules(one))


def _take_back(tx: Transaction, rules: Mapping[str, Backoff]) -> None:
    for subject, rule in rules.items():
        tries = logins.tries_of(tx.conn, subject)
        if tries.failures > 1:
            closed = tries.closed_until if tries.failures > rule.free else None
            left = Tries(failures=tries.failures - 1, last_at=tries.last_at, closed_until=closed)
            logins.set_tries(tx, subject, left)
        else:
            logins.forget_tries(tx, subject)


def _rules(one: Try) -> Mapping[str, Backoff]:
    return {**one.clears, **one.takes_back}
