"""Minutes, recent hours, and how old batches are given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.domain.metric import Sample
from core.monitoring.minutes import Minutes
from core.monitoring.recent import Recent

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def sample(value: float, metric: str = "machine_load") -> Sample:
    return Sample(metric=metric, value=value, at=NOON, source="psutil")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_minute_is_a_point_once_it_is_over() -> None:
    minutes = Minutes()
    assert [minutes.add([sample(value)], at(10 * value)) for value in (1, 2, 5)] == [(), (), ()]

    ((series, point),) = minutes.add([sample(9)], at(61))

    assert series == ("machine_load", ())
    assert (point.at, point.count, point.total) == (NOON, 3, 8)
    assert (point.minimum, point.maximum, point.last) == (1, 5, 5)


def test_a_clock_that_is_put_back_ends_the_minute_too() -> None:
    minutes = Minutes()
    minutes.add([sample(1)], at(0))

    ((_, ahead),) = minutes.add([sample(2)], at(-86_400))
    ((_, back),) = minutes.take()

    assert (ahead.at, ahead.last) == (NOON, 1)
    assert (back.at, back.last) == (at(-86_400), 2)
    assert minutes.take() == ()


@given(st.lists(st.tuples(st.integers(0, 600), st.floats(-1e9, 1e9)), min_size=1, max_size=60))
def test_no_sample_is_lost_or_counted_twice(given_: list[tuple[int, float]]) -> None:
    minutes, found = Minutes(), []
    for seconds, value in given_:
        found += minutes.add([sample(value)], at(seconds))
    found += minutes.take()

    assert sum(point.count for _, point in found) == len(given_)
    assert all(point.minimum <= point.last <= point.maximum for _, point in found)


def test_a_share_is_of_the_last_hours_only() -> None:
    recent = Recent(hours=168)
    for hours, failed, passed in ((0, 1, 3), (23, 1, 0), (24, 50, 0), (-5, 100, 0)):
        recent.add("gate_failures", "shop", NOON - timedelta(hours=hours), failed)
        recent.add("gates_passed", "shop", NOON - timedelta(hours=hours), passed)

    assert recent.share(("gate_failures",), ("gates_passed",), "shop", NOON, hours=24) == 2 / 5
    assert recent.share(("gate_failures",), ("gates_passed",), "blog", NOON, hours=24) is None


def test_what_is_too_old_is_forgotten() -> None:
    recent = Recent(hours=24)
    for hour in range(1000):
        recent.add("gates_passed", "shop", NOON + timedelta(hours=hour), 1)

    kept = recent.sum(("gates_passed",), "shop", NOON + timedelta(hours=999), hours=1000)

    assert 24 <= kept <= 48
