"""Means and rises of the last while."""

from __future__ import annotations

import pytest

from core.domain.metric import MetricKind
from core.monitoring.alerts.windows import Window

GAUGE, COUNTER, OBSERVATION = MetricKind.GAUGE, MetricKind.COUNTER, MetricKind.OBSERVATION


def filled(kind: MetricKind, over: float, values: dict[float, float]) -> Window:
    window = Window(kind, over)
    for at, value in values.items():
        window.add(at, value)
    return window


def test_a_mean_is_none_before_half_of_its_span_was_seen() -> None:
    window = filled(GAUGE, 600, dict.fromkeys(range(0, 290, 10), 4.0))
    assert window.value(290) is None
    window.add(300, 4.0)
    assert window.value(300) == 4.0


def test_what_is_older_than_the_span_counts_no_more() -> None:
    window = filled(GAUGE, 300, {at: 100.0 if at < 1000 else 2.0 for at in range(0, 1400, 10)})
    assert window.value(1390) == 2.0
    assert window.value(1390 + 301) is None


def test_a_rise_is_what_was_counted_within_the_span() -> None:
    counts = {at: at // 100 for at in range(0, 2000, 10)}  # one more every 100 s
    window = filled(COUNTER, 600, counts)
    assert window.value(1990) == pytest.approx(6, abs=1)
    assert window.value(1990 + 700) == 0  # nothing came: it did not rise


def test_the_first_count_is_no_rise_and_one_that_fell_began_anew() -> None:
    window = filled(COUNTER, 600, {0: 1000.0})
    assert window.value(0) == 0
    for at, count in ((10, 1003.0), (20, 2.0), (30, 5.0)):
        window.add(at, count)
    assert window.value(30) == 3 + 2 + 3


def test_an_observation_needs_one_only() -> None:
    window = Window(OBSERVATION, 3600)
    assert window.value(0) is None
    window.add(5, 40.0)
    window.add(6, 20.0)
    assert window.value(7) == 30.0


def test_what_was_stored_before_counts_with_it() -> None:
    window = Window(COUNTER, 600)
    for minute in range(8):
        window.seed(minute * 60.0, 1, 2.0, 100.0 + 2 * minute)
    window.add(490, 120.0)  # six more than the last that was stored
    assert window.value(490) == 8 * 2 + 6
    assert window.value(700) == 6 * 2 + 6
