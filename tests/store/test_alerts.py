"""Alerts as rows: each change one event and owed to its places, none twice; people's answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from core.domain.alert import ALERT, Alert, AlertFact, AlertState, Route, Severity
from core.domain.event import EventKind
from core.errors import InvalidInput, InvalidTransition, LostRace, NotAllowed, NotFound
from core.orchestrator.commands.alerts import Alerts
from core.store import alert_tellings, alerts, events
from core.store.database import Store
from core.store.transaction import Transaction

F, S = AlertFact, AlertState
WAYS = {  # by which facts each state is reached
    S.PENDING: (),
    S.FIRING: (F.BREACHED,),
    S.ACKNOWLEDGED: (F.BREACHED, F.ACKNOWLEDGED),
    S.SILENCED: (F.BREACHED, F.SILENCED),
    S.RESOLVED: (F.BREACHED, F.CLEARED),
}
MISSING = [pair for pair in itertools.product(S, F) if pair not in ALERT]


def begin(tx: Transaction, rule: str = "machine-disk", project: str | None = None) -> Alert:
    made = alerts.begin(
        tx,
        rule=rule,
        project=project,
        severity=Severity.WARNING,
        summary="Only 1 GB is free.",
        hint="Free some.",
        value=1e9,
        count=1,
        worst="",
        routes=(Route.GUILD, Route.WEBHOOK),
    )
    assert made is not None
    return made


def brought_to(tx: Transaction, state: AlertState, rule: str = "machine-disk") -> Alert:
    alert = begin(tx, rule)
    for fact in WAYS[state]:
        alert = alerts.move(tx, alert, fact, by="cli", until=_until(tx, fact))
    return alert


def _until(tx: Transaction, fact: AlertFact) -> datetime | None:
    return tx.now + timedelta(hours=1) if fact is F.SILENCED else None


def told(tx: Transaction) -> list[Alert]:
    return [alerts.from_data(dict(event.data)) for event in changes(tx)]


def changes(tx: Transaction):
    return events.since(tx.conn, 0, kinds=(EventKind.ALERT_CHANGED,))


def owed(tx: Transaction, alert: Alert) -> set[Route]:
    return {
        route
        for route in Route
        for one in alert_tellings.due(tx.conn, tx.now, route, 100)
        if one.alert == alert.id
    }


@pytest.mark.parametrize(("state", "fact"), sorted(ALERT))
def test_each_arrow_is_one_event_with_the_whole_alert(tx, state: AlertState, fact: AlertFact) -> None:
    alert = brought_to(tx, state)
    before = len(changes(tx))
    moved = alerts.move(tx, alert, fact, by="cli", until=_until(tx, fact))
    assert (moved.state, moved.seq) == (ALERT[state, fact], alert.seq + 1)
    if (state, moved.state) == (S.PENDING, S.RESOLVED):  # nobody had heard of it
        assert len(changes(tx)) == before
        assert alerts.find(tx.conn, alert.id) is None
        return
    assert told(tx)[before:] == [moved] == [alerts.get(tx.conn, alert.id)]
    assert (moved.until is not None) == (
        moved.state is S.SILENCED or (state, fact) == (S.SILENCED, F.CLEARED)
    )


@pytest.mark.parametrize(("state", "fact"), MISSING)
def test_what_the_table_does_not_have_changes_nothing(tx, state: AlertState, fact: AlertFact) -> None:
    alert = brought_to(tx, state)
    before = len(changes(tx))
    with pytest.raises(InvalidTransition):
        alerts.move(tx, alert, fact, by="cli")
    assert alerts.get(tx.conn, alert.id) == alert
    assert len(changes(tx)) == before


def test_who_saw_an_older_state_moves_nothing(tx) -> None:
    old = brought_to(tx, S.FIRING)
    new = alerts.move(tx, old, F.ACKNOWLEDGED, by="discord:1")
    for change in (
        lambda: alerts.move(tx, old, F.CLEARED),
        lambda: alerts.aggravate(tx, old, Severity.CRITICAL, ()),
        lambda: alerts.prolong(tx, old, tx.now, by="x"),
    ):
        with pytest.raises(LostRace):
            change()
    assert alerts.get(tx.conn, old.id) == new


def test_a_rule_has_one_open_alert_a_project(tx, new_project) -> None:
    new_project(tx)
    begin(tx)
    begin(tx, project="shop")
    for project in (None, "shop"):
        with pytest.raises(LostRace):
            begin(tx, project=project)
    assert len(alerts.unresolved(tx.conn)) == 2


def test_nothing_begins_for_a_project_that_is_not_there(tx) -> None:
    values = {"rule": "r", "severity": Severity.INFO, "summary": "s", "hint": "", "value": 1.0}
    assert alerts.begin(tx, project="gone", count=1, worst="", routes=(), **values) is None
    assert alerts.unresolved(tx.conn) == ()


def test_places_are_owed_once_it_fires_and_silence_begins_nowhere(tx) -> None:
    pending = begin(tx)
    assert owed(tx, pending) == set()
    silent = alerts.move(tx, pending, F.SILENCED, by="cli", until=tx.now + timedelta(hours=1))
    assert owed(tx, silent) == set()
    firing = alerts.move(tx, silent, F.SILENCE_OVER)
    assert owed(tx, firing) == {Route.GUILD, Route.WEBHOOK}
    for one in alert_tellings.of_alert(tx.conn, firing.id):
        alert_tellings.told(tx, one, firing.seq)
    assert owed(tx, firing) == set()
    alerts.refresh(tx, firing, value=2.0, count=7, worst="x", summary="other")
    assert owed(tx, firing) == set()
    graver = alerts.aggravate(tx, alerts.get(tx.conn, firing.id), Severity.CRITICAL, (Route.DIRECT,))
    assert owed(tx, graver) == {Route.GUILD, Route.WEBHOOK, Route.DIRECT}
    assert (graver.severity, graver.count, graver.summary) == (Severity.CRITICAL, 7, "other")
    resolved = alerts.move(tx, graver, F.CLEARED)
    assert owed(tx, resolved) == {Route.GUILD, Route.WEBHOOK, Route.DIRECT}


def test_a_silence_is_found_again_for_the_next_one(tx, later: Callable[[float], Transaction]) -> None:
    silenced = brought_to(tx, S.SILENCED)
    assert alerts.silence_of(tx.conn, "machine-disk", None, tx.now) is None  # it is open
    alerts.move(tx, silenced, F.CLEARED)
    found = alerts.silence_of(tx.conn, "machine-disk", None, tx.now)
    assert found is not None
    assert (found.until, found.by) == (silenced.until, "cli")
    assert alerts.silence_of(tx.conn, "other", None, tx.now) is None
    on = later(3601)
    assert alerts.silence_of(on.conn, "machine-disk", None, on.now) is None


def test_pages_go_on_where_the_last_ended(tx, new_project) -> None:
    new_project(tx)
    for number in range(7):
        brought_to(tx, S.RESOLVED if number % 2 else S.FIRING, f"rule-{number}")
    begin(tx, "pending", "shop")
    every = alerts.listed(tx.conn, open_only=False)
    assert [alert.rule for alert in every] == [f"rule-{number}" for number in range(6, -1, -1)]
    pages, before = [], None
    while page := alerts.listed(tx.conn, open_only=False, limit=3, before=before):
        pages += page
        before = page[-1].id
    assert tuple(pages) == every
    assert {alert.state for alert in alerts.listed(tx.conn)} == {S.FIRING}
    assert [alert.rule for alert in alerts.listed(tx.conn, project="shop", pending=True)] == ["pending"]
    with pytest.raises(NotFound):
        alerts.listed(tx.conn, before="alert_none")


def test_only_what_is_over_for_long_is_forgotten_with_where_it_was_told(
    tx, later: Callable[[float], Transaction]
) -> None:
    old = brought_to(tx, S.RESOLVED, "old")
    still = brought_to(tx, S.FIRING, "open")
    on = later(86400)
    new = brought_to(on, S.RESOLVED, "new")
    assert alerts.prune(on, on.now - timedelta(hours=1)) == 1
    assert alerts.find(on.conn, old.id) is None
    assert alert_tellings.of_alert(on.conn, old.id) == ()
    assert alerts.get(on.conn, still.id) == still
    assert alerts.get(on.conn, new.id) == new


# -- what people answer --------------------------------------------------------------------------------


@pytest.fixture
def commands(store: Store) -> Alerts:
    return Alerts(store, None, None)  # type: ignore[arg-type] - an answer needs the store only


async def test_an_answer_stands_in_the_alert_and_twice_is_once(store, commands) -> None:
    alert = await store.write(lambda tx: brought_to(tx, S.FIRING))
    first = await commands.acknowledge_alert(alert.id, actor="discord:1")
    assert (first.state, first.by) == (S.ACKNOWLEDGED, "discord:1")
    assert await commands.acknowledge_alert(alert.id, actor="discord:2") == first
    assert (await commands.alert(alert.id)) == first


async def test_a_silence_is_begun_moved_and_ended(store, commands) -> None:
    alert = await store.write(lambda tx: brought_to(tx, S.FIRING))
    now = datetime.now().astimezone()
    silent = await commands.silence_alert(alert.id, now + timedelta(hours=1), actor="cli")
    longer = await commands.silence_alert(alert.id, now + timedelta(hours=2), actor="user:ann")
    assert longer.until - silent.until == timedelta(hours=1)
    assert (longer.seq, longer.by) == (silent.seq + 1, "user:ann")
    loud = await commands.unsilence_alert(alert.id, actor="cli")
    assert (loud.state, loud.until, loud.by) == (S.FIRING, None, "")
    with pytest.raises(NotAllowed, match="is firing"):
        await commands.unsilence_alert(alert.id, actor="cli")


async def test_the_silence_of_one_that_is_over_can_be_ended(store, commands, clock) -> None:
    clock.at = datetime.now().astimezone()
    alert = await store.write(lambda tx: brought_to(tx, S.SILENCED))
    await store.write(lambda tx: alerts.move(tx, alert, F.CLEARED))
    assert (await commands.unsilence_alert(alert.id, actor="cli")).until is None
    with pytest.raises(NotAllowed, match="is resolved"):
        await commands.unsilence_alert(alert.id, actor="cli")


@pytest.mark.parametrize("hours", [-1, 24 * 31, None])
async def test_a_silence_ends_ahead_and_within_a_month(store, commands, hours: int | None) -> None:
    alert = await store.write(lambda tx: brought_to(tx, S.FIRING))
    naive = datetime(2999, 1, 1)  # noqa: DTZ001
    until = naive if hours is None else datetime.now().astimezone() + timedelta(hours=hours)
    with pytest.raises(InvalidInput, match="within 30 days"):
        await commands.silence_alert(alert.id, until, actor="cli")
    assert (await commands.alert(alert.id)).state is S.FIRING


async def test_what_is_over_or_not_there_is_said(store, commands) -> None:
    alert = await store.write(lambda tx: brought_to(tx, S.RESOLVED))
    until = datetime.now().astimezone() + timedelta(hours=1)
    with pytest.raises(NotAllowed, match="is resolved: it cannot be acknowledged"):
        await commands.acknowledge_alert(alert.id, actor="cli")
    with pytest.raises(NotAllowed, match="is resolved: it cannot be silenced"):
        await commands.silence_alert(alert.id, until, actor="cli")
    with pytest.raises(NotFound, match="no alert 'x'"):
        await commands.acknowledge_alert("x", actor="cli")
    with pytest.raises(NotFound):
        await commands.alerts(project="nowhere")
