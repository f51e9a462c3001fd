from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.counting import Rise
from core.domain.metric import Point
from core.errors import LostRace
from core.store import metric_history
from core.store.metric_history import Span
from core.store.transaction import Transaction

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CPU = ("project_cpu", (("project", "shop"),))
MEMORY = ("project_memory", (("project", "shop"),))
VALUES = st.lists(st.floats(0, 1e12), min_size=1, max_size=6)


def point(at: datetime, *values: float) -> Point:
    return Point(
        at=at,
        count=len(values),
        total=sum(values),
        minimum=min(values),
        maximum=max(values),
        last=values[-1],
    )


def read(
    conn: sqlite3.Connection, series: tuple[str, object], span: Span, hours: int = 24
) -> tuple[Point, ...]:
    since, until = NOON - timedelta(hours=hours), NOON + timedelta(hours=hours)
    ids = metric_history.find_series(conn, series[0], labels=dict(series[1]))  # type: ignore[call-overload]
    return tuple(
        one for each in ids for one in metric_history.points(conn, each, since=since, until=until, span=span)
    )


def test_a_minute_is_in_its_hour_and_its_day(tx: Transaction) -> None:
    for minute in (0, 1, 59, 60):
        metric_history.merge(tx, [(CPU, point(NOON + timedelta(minutes=minute), 1.0, 3.0))])

    hours, days = read(tx.conn, CPU, Span.HOUR), read(tx.conn, CPU, Span.DAY)

    assert [one.count for one in read(tx.conn, CPU, Span.MINUTE)] == [2, 2, 2, 2]
    assert [(one.at.hour, one.count, one.mean) for one in hours] == [(12, 6, 2.0), (13, 2, 2.0)]
    assert [(one.count, one.minimum, one.maximum, one.last) for one in days] == [(8, 1.0, 3.0, 3.0)]


@given(pieces=st.lists(VALUES, min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_pieces_of_a_minute_make_the_point_of_all_of_it(tx: Transaction, pieces: list[list[float]]) -> None:
    tx.conn.execute("DELETE FROM metric_points")
    for values in pieces:
        metric_history.merge(tx, [(CPU, point(NOON, *values))])

    (found,) = read(tx.conn, CPU, Span.MINUTE)
    every = [value for values in pieces for value in values]

    assert (found.count, found.last) == (len(every), every[-1])
    assert found.total == pytest.approx(sum(every), rel=1e-9)
    assert (found.minimum, found.maximum) == pytest.approx((min(every), max(every)), rel=1e-9)


def test_what_equals_the_mean_takes_no_room(tx: Transaction) -> None:
    metric_history.merge(tx, [(CPU, point(NOON, 2.0, 2.0, 2.0))])

    rows = tx.conn.execute("SELECT minimum, maximum, last FROM metric_points").fetchall()

    assert {tuple(row) for row in rows} == {(None, None, None)}
    assert read(tx.conn, CPU, Span.MINUTE) == (point(NOON, 2.0, 2.0, 2.0),)


def test_series_are_kept_apart_and_found_by_their_labels(tx: Transaction) -> None:
    passed = [("gates_passed", (("project", "shop"), ("phase", phase))) for phase in ("design", "commit")]
    metric_history.merge(tx, [(CPU, point(NOON, 1.0)), (MEMORY, point(NOON, 2.0))])
    metric_history.merge(tx, [(series, point(NOON, 1.0)) for series in passed])

    assert [one.last for one in read(tx.conn, MEMORY, Span.MINUTE)] == [2.0]
    assert len(metric_history.find_series(tx.conn, "gates_passed", project="shop")) == 2
    assert list(metric_history.find_series(tx.conn, "gates_passed", labels={"phase": "commit"}).values()) == [
        passed[1][1]
    ]
    assert metric_history.find_series(tx.conn, "gates_passed", project="other") == {}
    with pytest.raises(KeyError):
        metric_history.find_series(tx.conn, "no_such_metric")


def test_reading_ends_before_the_end_and_begins_with_the_span(tx: Transaction) -> None:
    for minute in range(5):
        metric_history.merge(tx, [(CPU, point(NOON + timedelta(minutes=minute), float(minute)))])
    (series,) = metric_history.find_series(tx.conn, "project_cpu")
    since, until = NOON + timedelta(seconds=90), NOON + timedelta(minutes=3)

    found = metric_history.points(tx.conn, series, since=since, until=until, span=Span.MINUTE)

    assert [one.last for one in found] == [1.0, 2.0]
    assert metric_history.points(tx.conn, series, since=until, until=since, span=Span.MINUTE) == ()


def test_a_question_over_all_time_looks_only_where_data_are(tx: Transaction) -> None:
    metric_history.merge(tx, [(CPU, point(NOON, 1.0))])
    (series,) = metric_history.find_series(tx.conn, "project_cpu")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    tx.conn.set_progress_handler(count, 1000)
    forever = {"since": datetime(1, 1, 2, tzinfo=UTC), "until": datetime(9999, 1, 1, tzinfo=UTC)}

    assert len(metric_history.points(tx.conn, series, **forever, span=Span.MINUTE)) == 1
    assert steps < 5


def test_pruning_keeps_the_newest_spans_that_have_data(tx: Transaction) -> None:
    for minute in range(10):
        metric_history.merge(tx, [(CPU, point(NOON + timedelta(minutes=minute), float(minute)))])

    border = metric_history.border(tx.conn, Span.MINUTE, 3)
    assert border is not None
    removed = metric_history.prune(tx, Span.MINUTE, before=border, limit=100)

    assert removed == 7
    assert [one.last for one in read(tx.conn, CPU, Span.MINUTE)] == [7.0, 8.0, 9.0]
    assert len(read(tx.conn, CPU, Span.HOUR)) == 1
    assert metric_history.border(tx.conn, Span.MINUTE, 4) is None


def test_a_clock_that_ran_ahead_costs_none_of_the_past(tx: Transaction) -> None:
    far = NOON + timedelta(days=4000)
    for at in (NOON, NOON + timedelta(minutes=1), far):
        metric_history.merge(tx, [(CPU, point(at, 1.0))])

    border = metric_history.border(tx.conn, Span.MINUTE, 3)
    assert border is not None

    assert metric_history.prune(tx, Span.MINUTE, before=border, limit=100) == 0
    assert len(read(tx.conn, CPU, Span.MINUTE)) == 2


def rise(value: float, metric: str = "cost") -> Rise:
    return Rise(metric=metric, labels=(("project", "shop"),), at=NOON, value=value)


def test_a_counters_point_says_how_it_rose_and_where_to(tx: Transaction) -> None:
    metric_history.add(tx, [rise(5.0)])
    found = metric_history.add(tx, [rise(1.0), rise(2.0)])

    ((_, count),) = found.items()
    (one,) = read(tx.conn, ("cost", (("project", "shop"),)), Span.MINUTE)

    assert (count.count, count.total) == (3, 8.0)
    assert (one.total, one.count, one.last) == (pytest.approx(8.0), 3, 8.0)
    assert metric_history.counts(tx.conn) == found


def test_an_observations_point_says_how_long_things_took(tx: Transaction) -> None:
    metric_history.add(tx, [rise(5.0, "cycle_time"), rise(3.0, "cycle_time")])

    (one,) = read(tx.conn, ("cycle_time", (("project", "shop"),)), Span.MINUTE)

    assert (one.count, one.mean, one.minimum, one.maximum, one.last) == (2, 4.0, 3.0, 5.0, 3.0)


def test_an_observation_is_counted_by_how_long_it_took(tx: Transaction) -> None:
    for seconds in (0.2, 1.0, 1.1, 10.0, 1e6):
        added = metric_history.add(tx, [rise(seconds, "queue_time")])

    ((_, count),) = added.items()
    assert (count.count, count.buckets) == (5, {1.0: 2, 5.0: 1, 15.0: 1})
    assert metric_history.counts(tx.conn) == added


def test_a_cursor_moves_only_from_where_it_was_read(tx: Transaction) -> None:
    metric_history.move_cursor(tx, "events", 0, 7)
    metric_history.move_cursor(tx, "events", 7, 9)

    for stale in (0, 7):
        with pytest.raises(LostRace):
            metric_history.move_cursor(tx, "events", stale, 12)
    assert metric_history.cursor(tx.conn, "events") == 9
    assert metric_history.cursor(tx.conn, "audit") == 0


def test_what_rose_lately_is_found_by_project_and_hour(tx: Transaction) -> None:
    metric_history.add(tx, [rise(2.0), rise(3.0, "tokens"), rise(1.0, "cycle_time")])

    found = list(metric_history.rises_since(tx.conn, ("cost", "tokens"), NOON))

    assert sorted(found) == [("cost", "shop", NOON, 2.0), ("tokens", "shop", NOON, 3.0)]
    assert list(metric_history.rises_since(tx.conn, ("cost",), NOON + timedelta(hours=1))) == []
