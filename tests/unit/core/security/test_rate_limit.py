from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.security.rate_limit import (
    Backoff,
    Bucket,
    Limit,
    RateLimits,
    TooManyTries,
    Tries,
    counting,
    failed,
    take,
    wait_of,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RULE = Backoff(free=3, first=timedelta(seconds=10), longest=timedelta(minutes=5), heals=timedelta(minutes=10))
steps = st.lists(st.integers(min_value=-3600, max_value=3600), max_size=60)


def after(failures: int) -> Tries:
    tries = Tries()
    for _ in range(failures):
        tries = failed(tries, RULE, NOW)
    return tries


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (2, 0), (3, 10), (4, 20), (5, 40), (8, 300), (500, 300)]
)
def test_some_are_free_then_it_doubles_up_to_the_longest(failures: int, seconds: int) -> None:
    assert wait_of(after(failures), RULE, NOW) == timedelta(seconds=seconds)


def test_it_heals_by_halves() -> None:
    tries = after(8)
    assert [counting(tries, RULE, NOW + n * RULE.heals) for n in range(5)] == [8, 4, 2, 1, 0]
    assert wait_of(failed(tries, RULE, NOW + 4 * RULE.heals), RULE, NOW + 4 * RULE.heals) == timedelta()


@given(steps)
def test_it_never_closes_for_longer_than_said_and_always_opens_again(seconds: list[int]) -> None:
    """Also with a clock that goes back."""
    now, tries = NOW, Tries()
    for step in seconds:
        now += timedelta(seconds=step)
        assert timedelta() <= wait_of(tries, RULE, now) <= RULE.longest
        tries = failed(tries, RULE, now)
    assert tries.closed_until is None or wait_of(tries, RULE, tries.closed_until) == timedelta()
    assert counting(tries, RULE, now + 40 * RULE.heals) == 0


@given(st.integers(1, 200), st.integers(1, 200))
def test_more_failures_never_wait_less(one: int, more: int) -> None:
    assert wait_of(after(one), RULE, NOW) <= wait_of(after(one + more), RULE, NOW)


@given(
    st.floats(0.1, 50),
    st.integers(1, 20),
    st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=80),
)
def test_a_bucket_gives_no_more_than_its_rate(rate: float, burst: int, pauses: list[float]) -> None:
    limit, bucket, now, given_out = Limit(per_second=rate, burst=burst), None, 100.0, 0
    for pause in pauses:
        now += pause
        bucket, wait = take(bucket, limit, now)
        given_out += wait == 0
        assert wait == 0 or take(bucket, limit, now + wait * 1.001 + 1e-6)[1] == 0
    assert given_out <= burst + rate * (now - 100.0) + 1e-6


def test_a_bucket_does_not_mind_a_clock_that_goes_back() -> None:
    bucket, wait = take(Bucket(left=2.0, at=50.0), Limit(per_second=1, burst=2), 10.0)
    assert (bucket.left, wait) == (1.0, 0.0)


def test_a_limit_is_of_each_key_and_says_how_long_to_wait() -> None:
    limits = RateLimits(Limit(per_second=0.1, burst=2))
    limits.call("ann", 0)
    limits.call("ann", 0)
    with pytest.raises(TooManyTries, match="again in 10 seconds") as caught:
        limits.call("ann", 0)
    assert caught.value.wait_seconds == 10
    limits.call("bob", 0)
    limits.call("ann", 10)


def test_many_keys_take_no_more_than_their_room() -> None:
    limits = RateLimits(Limit(per_second=1, burst=1), most=100)
    for n in range(1000):
        limits.call(str(n), 0)
    assert len(limits._buckets) == 100
    with pytest.raises(TooManyTries):
        limits.call("999", 0)
