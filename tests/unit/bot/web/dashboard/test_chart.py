from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.dashboard.views.chart import HIGH, WIDE, drawing
from bot.web.dashboard.words import tidy
from core.domain.metric import MetricKind, Point, Unit

SINCE = datetime(2026, 5, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(hours=1)


def point(minute: int, mean: float, low: float | None = None, high: float | None = None) -> Point:
    return Point(
        at=SINCE + timedelta(minutes=minute),
        count=2,
        total=2 * mean,
        minimum=mean if low is None else low,
        maximum=mean if high is None else high,
        last=mean,
    )


def drawn(*points: Point, kind: MetricKind = MetricKind.GAUGE, unit: Unit = Unit.RATIO):
    return drawing(points, kind=kind, unit=unit, since=SINCE, until=UNTIL, span=60, said=tidy)


def numbers(path: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", path)]


def test_a_gap_is_a_gap():
    made = drawn(point(0, 1), point(1, 2), point(20, 3), point(21, 4), point(50, 5))
    assert made.path.count("M") == 2
    assert len(made.dots) == 1  # what has no neighbour is seen, too
    assert (made.figure, made.meaning, made.highest) == ("5", "last seen", "5")
    assert drawn(point(0, 1), point(59, 7)).meaning == "now"


def test_nothing_is_no_line():
    made = drawn()
    assert (made.empty, made.path, made.dots, made.figure, made.meaning) == (True, "", (), "", "")


def test_the_lowest_and_highest_are_a_band():
    assert drawn(point(0, 2), point(1, 2)).band == ""
    assert drawn(point(0, 2, 1, 3), point(1, 2, 1, 9)).band.endswith("Z")


def test_a_counter_says_what_was_added_and_has_a_bar_for_each_span_in_which_it_rose():
    made = drawn(point(0, 2), point(1, 3), point(30, 1), kind=MetricKind.COUNTER)
    assert (made.figure, made.meaning, made.highest) == ("12", "in all", "6")
    assert (made.bars.count("M"), made.path, made.dots) == (3, "", ())


def test_of_what_was_observed_each_counts_once():
    often = Point(at=SINCE, count=9, total=9.0, minimum=1, maximum=1, last=1)
    once = Point(at=SINCE + timedelta(minutes=1), count=1, total=11.0, minimum=11, maximum=11, last=11)
    made = drawn(often, once, kind=MetricKind.OBSERVATION)
    assert (made.figure, made.meaning, made.highest) == ("2", "on average", "11")


@pytest.mark.parametrize(
    ("highest", "unit", "ticks"),
    [
        (400, Unit.SECONDS, ["0", "300", "600"]),
        (1, Unit.NONE, ["0", "1", "2"]),
        (0, Unit.NONE, ["0", "1", "2"]),
        (3, Unit.NONE, ["0", "2", "4"]),
        (0.4, Unit.RATIO, ["0", "0.25", "0.5"]),
    ],
)
def test_ticks_are_what_people_would_write(highest, unit, ticks):
    assert [tick.said for tick in drawn(point(0, highest), unit=unit).up] == ticks


@given(
    st.lists(
        st.tuples(st.integers(0, 59), st.floats(0, 1e12)), max_size=40, unique_by=lambda one: one[0]
    ).map(sorted)
)
def test_every_line_stays_in_its_drawing(values):
    points = [point(minute, value) for minute, value in values]
    line, bars = drawn(*points, unit=Unit.SECONDS), drawn(*points, kind=MetricKind.COUNTER, unit=Unit.NONE)
    places = numbers(line.path) + numbers(bars.bars)
    assert all(0 <= x <= WIDE for x in places[0::2])
    assert all(0 <= y <= HIGH for y in places[1::2])
