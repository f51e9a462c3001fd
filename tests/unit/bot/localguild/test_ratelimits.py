from __future__ import annotations

from bot.localguild.ratelimits import Limit, RateLimits, RatePolicy

ROUTE = ("POST", "/channels/{channel_id}/messages")
CALLBACK = ("POST", "/interactions/{interaction_id}/{interaction_token}/callback")


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _limits(time: Time, policy: RatePolicy | None = None) -> RateLimits:
    return RateLimits(policy or RatePolicy(), time, time)


def test_the_sixth_message_in_five_seconds_waits() -> None:
    time = Time()
    limits = _limits(time)
    verdicts = [limits.take(*ROUTE, "1") for _ in range(6)]
    assert [one.headers["X-RateLimit-Remaining"] for one in verdicts] == ["4", "3", "2", "1", "0", "0"]
    assert [one.retry_after_seconds for one in verdicts] == [None] * 5 + [5.0]
    time.now += 5
    assert limits.take(*ROUTE, "1").retry_after_seconds is None


def test_channels_have_buckets_of_their_own_under_one_hash() -> None:
    limits = _limits(Time())
    for _ in range(6):
        last = limits.take(*ROUTE, "1")
    other = limits.take(*ROUTE, "2")
    assert other.retry_after_seconds is None
    assert other.headers["X-RateLimit-Bucket"] == last.headers["X-RateLimit-Bucket"]


def test_the_global_limit_spares_interactions() -> None:
    policy = RatePolicy(everything=Limit(requests=1, seconds=1), otherwise=Limit(requests=99, seconds=1))
    limits = _limits(Time(), policy)
    limits.take("GET", "/users/@me", "")
    refused = limits.take("GET", "/users/@me", "")
    assert refused.is_global
    assert refused.scope == "global"
    assert limits.take(*CALLBACK, "").retry_after_seconds is None


def test_the_third_rename_in_ten_minutes_waits() -> None:
    time = Time()
    limits = _limits(time)
    assert [limits.take_rename(1) for _ in range(3)] == [None, None, 600.0]
    assert limits.take_rename(2) is None
    time.now += 600
    assert limits.take_rename(1) is None
