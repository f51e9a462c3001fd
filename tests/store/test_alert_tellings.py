"""What is owed to places: the newest state, once, and not before its time."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from core.domain.alert import Alert, AlertFact, Route, Severity
from core.store import alert_tellings, alerts
from core.store.transaction import Transaction

BOTH = (Route.WEBHOOK, Route.SLACK)


@pytest.fixture
def alert(tx: Transaction) -> Alert:
    begun = alerts.begin(
        tx, rule="cpu_high", project=None, severity=Severity.WARNING, summary="x", hint="", value=1.0,
        count=1, worst="", routes=BOTH,
    )  # fmt: skip
    assert begun is not None
    return alerts.move(tx, begun, AlertFact.BREACHED)


def due(tx: Transaction, seconds: float = 0.0) -> list[Route]:
    at = tx.now + timedelta(seconds=seconds)
    return [each.route for route in BOTH for each in alert_tellings.due(tx.conn, at, route, 10)]


def of(tx: Transaction, alert: Alert, route: Route = Route.WEBHOOK) -> alert_tellings.Telling:
    found = alert_tellings.find(tx.conn, alert.id, route)
    assert found is not None
    return found


def test_each_route_is_owed_once_however_often_it_changes(tx: Transaction, alert: Alert) -> None:
    assert sorted(due(tx)) == sorted(BOTH)
    alerts.move(tx, alert, AlertFact.ACKNOWLEDGED, by="cli")
    assert sorted(due(tx)) == sorted(BOTH)


def test_a_change_that_came_while_it_was_told_is_still_owed(tx: Transaction, alert: Alert) -> None:
    telling = of(tx, alert)
    alerts.move(tx, alert, AlertFact.ACKNOWLEDGED, by="cli")
    alert_tellings.told(tx, telling, alert.seq, told_as="firing warning")
    assert Route.WEBHOOK in due(tx)
    alert_tellings.told(tx, telling, alert.seq + 1, told_as="acknowledged warning")
    assert due(tx) == [Route.SLACK]


def test_a_change_does_not_shorten_the_wait_after_a_failure(tx: Transaction, alert: Alert) -> None:
    alert_tellings.failed(tx, of(tx, alert), "no answer", tx.now + timedelta(seconds=60))
    now = alerts.move(tx, alert, AlertFact.ACKNOWLEDGED, by="cli")
    assert due(tx, 59) == [Route.SLACK]
    assert alert_tellings.troubles(tx.conn) == (
        alert_tellings.Trouble(route=Route.WEBHOOK, waiting=1, error="no answer"),
    )
    alert_tellings.hasten(tx, BOTH)
    assert sorted(due(tx)) == sorted(BOTH)
    alert_tellings.told(tx, of(tx, alert), now.seq)
    assert alert_tellings.troubles(tx.conn) == ()


def test_what_was_given_up_is_told_with_the_next_change(tx: Transaction, alert: Alert) -> None:
    alert_tellings.give_up(tx, of(tx, alert), alert.seq, "status 400")
    assert due(tx, 10**6) == [Route.SLACK]
    alerts.move(tx, alert, AlertFact.CLEARED)
    assert sorted(due(tx)) == sorted(BOTH)
    assert of(tx, alert).last_error == "status 400"


def test_what_is_over_is_told_where_it_was_told_and_nowhere_else(tx: Transaction, alert: Alert) -> None:
    alert_tellings.add_places(tx, alert.id, Route.DIRECT, ["1", "2"])
    alert_tellings.add_places(tx, alert.id, Route.DIRECT, ["2", "3"])
    alerts.move(tx, alert, AlertFact.CLEARED)
    found = alert_tellings.of_alert(tx.conn, alert.id)
    assert sorted((each.route, each.place) for each in found) == sorted(
        [
            (Route.WEBHOOK, ""),
            (Route.SLACK, ""),
            (Route.DIRECT, "1"),
            (Route.DIRECT, "2"),
            (Route.DIRECT, "3"),
        ]
    )


def test_an_older_mark_never_takes_a_newer_one_back(tx: Transaction, alert: Alert) -> None:
    telling = of(tx, alert)
    alert_tellings.told(tx, telling, 9)
    alert_tellings.told(tx, telling, 3)
    assert of(tx, alert).told_seq == 9


def test_looking_for_what_is_due_does_not_read_what_was_told(tx: Transaction) -> None:
    asked: list[str] = []
    tx.conn.set_trace_callback(asked.append)
    alert_tellings.due(tx.conn, tx.now, Route.SLACK, 10)
    alert_tellings.next_due(tx.conn, BOTH)
    tx.conn.set_trace_callback(None)
    for statement in asked:
        plan = tx.conn.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        assert "alert_tellings_due" in plan[0]["detail"], statement


def test_what_waits_by_a_clock_that_was_far_ahead_is_due(tx: Transaction, alert: Alert) -> None:
    for route in BOTH:
        alert_tellings.failed(tx, of(tx, alert, route), "no answer", tx.now + timedelta(minutes=75))
    assert due(tx) == []
    alert_tellings.postpone(tx, [of(tx, alert)], tx.now + timedelta(days=400))
    assert due(tx) == [Route.WEBHOOK]


def test_with_the_alert_its_tellings_go(tx: Transaction, alert: Alert) -> None:
    alerts.move(tx, alert, AlertFact.CLEARED)
    alerts.prune(tx, tx.now + timedelta(days=1))
    assert alert_tellings.of_alert(tx.conn, alert.id) == ()
    with pytest.raises(sqlite3.IntegrityError):
        alert_tellings.add_places(tx, alert.id, Route.DIRECT, ["1"])
