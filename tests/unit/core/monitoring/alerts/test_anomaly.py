"""What is normal is not moved by what is not, and has its hours; a new level is told from a spike."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.metric import Unit
from core.monitoring.alerts.anomaly import LEAST, Normal, Values, learn, shift

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = 168


def hours(count: int, value, begin: datetime = MONDAY) -> Values:
    return [(begin + timedelta(hours=hour), float(value(hour))) for hour in range(count)]


def noisy(level: float, spread: float, seed: int = 1):
    chance = random.Random(seed)
    return lambda _: level + chance.gauss(0, spread)


def test_the_scale_is_the_deviation_of_normal_noise() -> None:
    normal = learn(hours(8 * WEEK, noisy(1000, 10)), Unit.NONE)
    assert normal is not None
    assert normal.usual == pytest.approx(1000, abs=2)
    assert normal.scale == pytest.approx(50, rel=1e-3)  # its floor: 5 % of what is usual
    normal = learn(hours(8 * WEEK, noisy(10, 2)), Unit.NONE)
    assert normal is not None
    assert normal.scale == pytest.approx(2, rel=0.15)
    # The published worked value: 0.6745 (x - median) / MAD is (x - median) / (1.4826 MAD).
    plain = learn(hours(60, lambda hour: 9 if hour % 2 else 1), Unit.NONE)
    assert plain is not None
    assert plain.deviations(MONDAY, 25) == pytest.approx(0.6745 * (25 - 5) / 4, rel=1e-3)


def test_too_little_is_not_known() -> None:
    assert learn(hours(LEAST - 1, noisy(1, 1)), Unit.NONE) is None
    assert learn(hours(LEAST, noisy(1, 1)), Unit.NONE) is not None


@given(st.integers(0, 2**32), st.floats(100, 1e6))
def test_a_third_that_is_odd_does_not_hide_the_odd(seed: int, odd: float) -> None:
    chance = random.Random(seed)
    values = hours(400, lambda _: odd if chance.random() < 0.33 else 10 + chance.gauss(0, 1))
    normal = learn(values, Unit.NONE)
    assert normal is not None
    assert normal.usual < 14
    assert (10 + odd - normal.usual) / normal.scale > 6


@given(st.floats(-1e9, 1e9), st.sampled_from(list(Unit)))
def test_what_never_moved_has_a_scale_all_the_same(level: float, unit: Unit) -> None:
    normal = learn(hours(LEAST, lambda _: level), unit)
    assert normal is not None
    assert normal.scale > 0
    assert normal.deviations(MONDAY, level) == pytest.approx(0)


def office(hour: int) -> float:
    at = MONDAY + timedelta(hours=hour)
    return 100.0 if at.weekday() < 5 and 9 <= at.hour < 17 else 1.0


def test_office_hours_are_normal_in_office_hours_only() -> None:
    normal = learn(hours(6 * WEEK, office), Unit.NONE)
    assert normal is not None
    monday, sunday = MONDAY + timedelta(hours=10), MONDAY + timedelta(days=6, hours=10)
    assert abs(normal.deviations(monday, 100)) < 1
    assert normal.deviations(sunday, 100) > 6
    assert normal.deviations(monday, 1) < -6
    known_two_weeks = learn(hours(2 * WEEK, office), Unit.NONE)  # a week is not known: days are
    assert known_two_weeks is not None
    assert known_two_weeks.season == {}
    assert abs(known_two_weeks.deviations(monday, 100)) < 1


NORMAL = Normal(usual=10.0, scale=1.0)


def shifted(values: list[float]) -> float:
    found = shift(NORMAL, hours(len(values), lambda hour: values[hour]))
    return 0.0 if found is None else found.score


@pytest.mark.parametrize("sign", [1, -1])
def test_a_level_that_stays_is_found_with_when_it_began(sign: int) -> None:
    values = [10.0] * 40 + [10.0 + 3 * sign] * 20
    found = shift(NORMAL, hours(60, lambda hour: values[hour]))
    assert found is not None
    assert sign * found.score == pytest.approx(20 * 2.5)
    assert found.since == MONDAY + timedelta(hours=40)
    assert (found.level, found.usual) == (10 + 3 * sign, 10.0)


@pytest.mark.parametrize("values", [
    [10.0] * 60,
    [10.0] * 59 + [1000.0],  # a spike
    [10.0] * 30 + [1000.0] + [10.0] * 29,
    [10.0] * 55 + [13.0] * 5,  # not yet for long enough
    [10.0] * 20 + [13.0] * 20 + [10.0] * 20,  # it is back
    [10.4] * 60,  # within the slack
    [13.0] * 5,
    [],
])  # fmt: skip
def test_what_is_no_change_of_the_level(values: list[float]) -> None:
    assert shifted(values) == 0.0


def test_noise_is_rarely_taken_for_a_change() -> None:
    """Page's sum at a threshold of 8 with a slack of a half: a false alarm in tens of thousands of hours."""
    wrong = 0
    for seed in range(200):
        draw = noisy(10, 1, seed)
        wrong += abs(shifted([draw(0) for _ in range(72)])) > 8
    assert wrong == 0


@given(st.lists(st.floats(-1e6, 1e6), max_size=80))
def test_a_score_is_a_number_and_no_value_counts_for_more_than_a_spike(values: list[float]) -> None:
    score = shifted(values)
    assert math.isfinite(score)
    assert abs(score) <= 3.5 * len(values)
