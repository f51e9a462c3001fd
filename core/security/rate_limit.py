"""How often somebody may try. Time is passed in; nothing here reads a clock.

`Backoff` is for wrong passwords and codes: some tries are free, then the door stays closed for a while, twice
as long each time, never longer than a bound; failures wear off. `RateLimits` is for calls: one token bucket
a key.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.errors import NotAllowed

_MOST_DOUBLINGS = 32


class TooManyTries(NotAllowed):
    """`wait_seconds`: until the next one is looked at."""

    slug = "too_many_tries"

    def __init__(self, wait_seconds: float) -> None:
        self.wait_seconds = max(1, math.ceil(wait_seconds))
        unit = "second" if self.wait_seconds == 1 else "seconds"
        super().__init__("Too many tries.", hint=f"Try again in {self.wait_seconds} {unit}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """`free` failures cost nothing; each `heals` without one halves the failures that count."""

    free: int
    first: timedelta
    longest: timedelta
    heals: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    failures: int = 0
    last_at: datetime | None = None
    closed_until: datetime | None = None


def wait_of(tries: Tries, rule: Backoff, now: datetime) -> timedelta:
    """How long the door stays closed. Never longer than the rule's bound, also when the clock went back."""
    if tries.closed_until is None or tries.closed_until <= now:
        return timedelta()
    return min(tries.closed_until - now, rule.longest)


def failed(tries: Tries, rule: Backoff, now: datetime) -> Tries:
    """After one more failure."""
    failures = counting(tries, rule, now) + 1
    over = failures - rule.free
    if over < 0:
        return Tries(failures=failures, last_at=now)
    closed = min(rule.first * 2 ** min(over, _MOST_DOUBLINGS), rule.longest)
    return Tries(failures=failures, last_at=now, closed_until=now + closed)


def counting(tries: Tries, rule: Backoff, now: datetime) -> int:
    """The failures that still count."""
    if tries.last_at is None or now <= tries.last_at:
        return tries.failures
    periods = (now - tries.last_at) // rule.heals
    return tries.failures >> min(periods, _MOST_DOUBLINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`burst` calls at once, and `per_second` on the average."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    left: float
    at: float  # monotonic seconds


def take(bucket: Bucket | None, limit: Limit, now: float) -> tuple[Bucket, float]:
    """The bucket after one call and 0, or as it is and the seconds to wait. None: a full one."""
    left = float(limit.burst)
    if bucket is not None:
        left = min(left, bucket.left + max(0.0, now - bucket.at) * limit.per_second)
    if left >= 1:
        return Bucket(left=left - 1, at=now), 0.0
    return Bucket(left=left, at=now), (1 - left) / limit.per_second


class RateLimits:
    """Of many keys, in memory: the least used are forgotten beyond `most`, and a restart forgets all."""

    def __init__(self, limit: Limit, *, most: int = 10_000) -> None:
        self._limit = limit
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def call(self, key: str, now: float) -> None:
        """Counts a call of `key` at `now` (monotonic seconds). Raises TooManyTries."""
        bucket, wait = take(self._buckets.get(key), self._limit, now)
        self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        if wait:
            raise TooManyTries(wait)
