"""What agents used adds up exactly, each call once; people are told of a limit once."""

from __future__ import annotations

import dataclasses
import sqlite3
import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.budget import (
    MOST,
    Account,
    Amounts,
    Limits,
    Raise,
    Scope,
    Unit,
    day_of,
    in_force,
    judge,
)
from core.domain.event import POSTED, EventKind
from core.store import events, ledger
from core.store.ledger import Call, CallStatus, Source, TurnTaken

SHOP = Account(project="shop")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
KINDS = (EventKind.BUDGET_WARNED, EventKind.BUDGET_REACHED, EventKind.BUDGET_RAISED)


@pytest.fixture
def story(tx, new_project, new_story) -> str:
    new_project(tx)
    return new_story(tx).id


def call(call_id: str, story_id: str | None, **more) -> Call:
    base = Call(
        call_id=call_id,
        project="shop",
        story_id=story_id,
        phase="code_green",
        agent="claude",
        run_id="run-1",
        provider="anthropic",
        model="sonnet",
        wire="anthropic-messages",
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        input_tokens=100,
        output_tokens=20,
        cache_read_tokens=3,
        cache_write_tokens=4,
        reasoning_tokens=11,
        microdollars=250,
        source=Source.GATEWAY,
    )
    return dataclasses.replace(base, **more)


def turn(turn_id: str, story_id: str | None, **more) -> TurnTaken:
    base = TurnTaken(
        turn_id=turn_id,
        project="shop",
        story_id=story_id,
        phase="code_green",
        agent="claude",
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        milliseconds=1500,
    )
    return dataclasses.replace(base, **more)


def told(tx) -> list[EventKind]:
    return [event.kind for event in events.latest(tx.conn, kinds=KINDS)]


def standing(tx, spent: int, *, account=SHOP, limit: int = 100, raised=()):
    return judge(
        account,
        spent=Amounts(microdollars=spent),
        limits=Limits(microdollars=limit),
        raised=in_force(raised, account, tx.now),
    )


def raise_of(tx, **more) -> Raise:
    base = Raise(
        id="click-1",
        project="shop",
        scope=Scope.PROJECT,
        unit=Unit.MICRODOLLARS,
        amount=100,
        at=tx.now,
        until=tx.now + timedelta(hours=1),
        by="discord:7",
    )
    return dataclasses.replace(base, **more)


def test_calls_and_turns_add_up_for_story_and_project(tx, story, new_story):
    other = new_story(tx).id
    assert ledger.record(tx, call("a", story))
    assert ledger.record(tx, call("b", other, microdollars=1, status=CallStatus.CUT))
    assert ledger.record(tx, call("c", None, source=Source.AGENT, microdollars=9))
    assert ledger.record_turn(tx, turn("t", story))
    assert ledger.record_turn(tx, turn("u", other))
    mine = ledger.spent(tx.conn, Account(project="shop", story_id=story))
    assert mine.amounts == Amounts(tokens=127, microdollars=250, turns=1, milliseconds=1500)
    assert mine.amounts == call("a", story).took + turn("t", story).took
    every = ledger.spent(tx.conn, SHOP)
    assert every.amounts == Amounts(tokens=381, microdollars=260, turns=2, milliseconds=3000)
    assert (every.calls, every.on_agents_word) == (3, Amounts(tokens=127, microdollars=9))


def test_nothing_used_is_nothing(tx, story):
    assert ledger.spent(tx.conn, Account(project="shop", story_id=story)).amounts == Amounts()
    assert ledger.spent(tx.conn, Account(project="nobody")).amounts == Amounts()


def test_a_call_or_turn_that_is_recorded_twice_counts_once(tx, story):
    assert ledger.record(tx, call("a", story))
    assert not ledger.record(tx, call("a", story, microdollars=999))
    assert ledger.record_turn(tx, turn("t", story))
    assert not ledger.record_turn(tx, turn("t", story, milliseconds=9))
    assert ledger.spent(tx.conn, SHOP).amounts == call("a", story).took + turn("t", story).took


async def test_what_was_recorded_is_there_after_a_restart(store, new_project):
    await store.write(new_project)
    for _ in range(2):  # as after an answer that was lost
        await store.write(lambda tx: ledger.record(tx, call("a", None)))
    assert (await store.read(lambda conn: ledger.spent(conn, SHOP))).amounts == call("a", None).took


@pytest.mark.parametrize("table", ["model_calls", "agent_turns"])
@pytest.mark.parametrize("change", ["UPDATE {} SET at = 'x'", "DELETE FROM {}"])
def test_rows_are_neither_changed_nor_removed(tx, story, table, change):
    ledger.record(tx, call("a", story))
    ledger.record_turn(tx, turn("t", story))
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        tx.conn.execute(change.format(table))


@pytest.mark.parametrize("wrong", [{"input_tokens": -1}, {"microdollars": MOST + 1}, {"call_id": ""}])
def test_figures_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="call"):
        dataclasses.replace(call("a", None), **wrong)


def test_a_call_for_no_project_of_ours_is_refused(tx, story):
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        ledger.record(tx, call("a", None, project="nobody"))


def test_text_from_outside_is_kept_as_it_can_be(tx, story):
    ledger.record(tx, call("a", story, model="gpt\ud800"))
    assert [one.model for one in ledger.shares(tx.conn, SHOP)] == ["gpt\\ud800"]


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 29, 10, tzinfo=UTC), datetime(2026, 10, 25, 10, tzinfo=UTC)]
)
def test_a_days_edges_are_those_of_its_zone_also_when_clocks_change(tx, story, day):
    today = day_of(day, BERLIN)
    tick = timedelta(microseconds=1)
    for number, at in enumerate((today.start - tick, today.start, today.end - tick, today.end)):
        ledger.record(tx, call(f"c{number}", story, at=at.astimezone(BERLIN), microdollars=10**number))
        ledger.record_turn(tx, turn(f"t{number}", story, at=at, milliseconds=10**number))
    amounts = ledger.spent(tx.conn, Account(project="shop", day=today)).amounts
    assert (amounts.microdollars, amounts.milliseconds, amounts.turns) == (110, 110, 2)


@pytest.mark.parametrize(
    ("account", "index"),
    [
        (Account(project="shop", story_id="shop-1"), "by_story"),
        (Account(project="shop", day=day_of(datetime(2026, 3, 1, tzinfo=UTC), UTC)), "by_project"),
        (SHOP, "by_project"),
    ],
)
def test_sums_read_an_index_and_nothing_else(conn, account, index):
    asked: list[str] = []
    conn.set_trace_callback(asked.append)
    ledger.spent(conn, account)
    conn.set_trace_callback(None)
    for statement in asked:
        plan = " ".join(row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert (
            f"USING COVERING INDEX {'model_calls' if 'model_calls' in plan else 'agent_turns'}_{index}"
            in plan
        )
    assert len(asked) == 2


def test_shares_say_who_used_it_the_dearest_first(tx, story):
    ledger.record(tx, call("a", story))
    ledger.record(tx, call("b", story))
    ledger.record(tx, call("c", None, phase="design", microdollars=501))
    first, second = ledger.shares(tx.conn, SHOP)
    assert (first.phase, first.story_id, first.calls, first.amounts.microdollars) == ("design", None, 1, 501)
    assert (second.story_id, second.calls, second.amounts) == (
        story,
        2,
        Amounts(tokens=254, microdollars=500),
    )
    assert ledger.shares(tx.conn, SHOP, limit=1) == (first,)


def test_a_warning_and_a_stop_are_told_once(tx, story):
    for spent in (10, 80, 81, 99, 100, 150):
        ledger.tell(tx, standing(tx, spent))
    assert told(tx) == [EventKind.BUDGET_WARNED, EventKind.BUDGET_REACHED]
    warned = events.latest(tx.conn, kinds=KINDS)[0].data
    assert warned["text"] == "shop has used 80 % of its 0.0001 USD; agents stop at 100 %"
    assert (warned["scope"], warned["unit"], warned["spent"], warned["limit"]) == (
        "project",
        "microdollars",
        80,
        100,
    )


def test_an_old_standing_does_not_warn_after_the_stop(tx, story):
    assert ledger.tell(tx, standing(tx, 100)) == (EventKind.BUDGET_REACHED,)
    assert ledger.tell(tx, standing(tx, 90)) == ()


def test_each_day_and_each_story_is_told_of_its_own(tx, story):
    first = day_of(tx.now, UTC)
    days = (first, day_of(first.end, UTC))
    accounts = (SHOP, *(Account(project="shop", day=day) for day in days))
    accounts += (Account(project="shop", story_id=story),)
    for account in accounts * 2:
        ledger.tell(tx, standing(tx, 85, account=account))
    found = events.latest(tx.conn, kinds=KINDS)
    assert [event.data["day"] for event in found] == [None, "2026-03-01", "2026-03-02", None]
    assert [event.story_id for event in found] == [None, None, None, story]


async def test_what_is_told_is_undone_with_its_transaction(store, new_project):
    await store.write(new_project)

    def broken(tx):
        ledger.tell(tx, standing(tx, 90))
        raise RuntimeError("the work failed")

    with pytest.raises(RuntimeError):
        await store.write(broken)
    assert await store.write(lambda tx: ledger.tell(tx, standing(tx, 90))) == (EventKind.BUDGET_WARNED,)


def test_a_raise_is_kept_once_and_told_with_who_and_until_when(tx, story):
    assert ledger.add_raise(tx, raise_of(tx))
    assert not ledger.add_raise(tx, raise_of(tx, amount=900))
    (event,) = events.latest(tx.conn, kinds=KINDS)
    assert (event.kind, event.actor, event.data["text"]) == (
        EventKind.BUDGET_RAISED,
        "discord:7",
        "shop may use 0.0001 USD more",
    )
    assert event.data["until"] == (tx.now + timedelta(hours=1)).isoformat()
    assert ledger.raises(tx.conn, "shop", tx.now) == (raise_of(tx),)


def test_raises_that_are_over_and_those_of_others_are_left_out(tx, story, later, new_project):
    new_project(tx, "depot")
    kept = raise_of(tx, id="b", scope=Scope.STORY, story_id=story, until=None)
    for one in (raise_of(tx), kept, raise_of(tx, id="c", project="depot")):
        ledger.add_raise(tx, one)
    after = later(3600)
    assert ledger.raises(after.conn, "shop", after.now) == (kept,)


def test_after_a_raise_people_are_told_anew_and_again_when_it_is_over(tx, story, later):
    assert ledger.tell(tx, standing(tx, 100)) == (EventKind.BUDGET_REACHED,)
    ledger.add_raise(tx, raise_of(tx))
    raised = ledger.raises(tx.conn, "shop", tx.now)
    assert standing(tx, 100, raised=raised).may_send
    assert ledger.tell(tx, standing(tx, 160, raised=raised)) == (EventKind.BUDGET_WARNED,)
    after = later(3600)
    raised = ledger.raises(after.conn, "shop", after.now)
    assert ledger.tell(after, standing(after, 160, raised=raised)) == (EventKind.BUDGET_REACHED,)


def test_a_raise_of_one_scope_repeats_nothing_of_another(tx, story):
    mine = Account(project="shop", story_id=story)
    ledger.tell(tx, standing(tx, 100, account=mine))
    ledger.add_raise(tx, raise_of(tx))
    assert ledger.tell(tx, standing(tx, 100, account=mine)) == ()


def test_people_are_told_of_each_budget_event():
    assert set(KINDS) <= POSTED


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 15), st.integers(0, MOST), st.integers(0, 47), st.booleans()), max_size=30
    ),
    st.randoms(use_true_random=False),
)
def test_any_calls_in_any_order_with_repeats_add_up_and_warn_once(tx, story, drawn, random):
    tx.conn.execute("SAVEPOINT example")
    try:
        start = datetime(2026, 3, 28, 23, tzinfo=UTC)  # midnight in Berlin before the clocks change
        firsts: dict[int, Call] = {}
        limit = sum(money for _, money, _, _ in drawn) // 2
        kinds: list[EventKind] = []
        for number, money, hours, of_story in drawn:
            made = call(
                f"c{number}",
                story if of_story else None,
                at=start + timedelta(hours=hours),
                microdollars=money,
            )
            assert ledger.record(tx, made) is (number not in firsts)
            firsts.setdefault(number, made)
            total = ledger.spent(tx.conn, SHOP).amounts.microdollars
            kinds += ledger.tell(tx, standing(tx, total, limit=limit))
        for again in random.sample(list(firsts.values()), len(firsts)):
            assert not ledger.record(tx, again)
        _adds_up(tx, story, list(firsts.values()), start)
        assert len(kinds) == len(set(kinds))
    finally:
        tx.conn.execute("ROLLBACK TO example")
        tx.conn.execute("RELEASE example")


def _adds_up(tx, story: str, calls: list[Call], start: datetime) -> None:
    def total(chosen: list[Call]) -> Amounts:
        return sum((one.took for one in chosen), Amounts())

    assert ledger.spent(tx.conn, SHOP).amounts == total(calls)
    of_story = Account(project="shop", story_id=story)
    assert ledger.spent(tx.conn, of_story).amounts == total([one for one in calls if one.story_id])
    assert sum((one.amounts for one in ledger.shares(tx.conn, SHOP)), Amounts()) == total(calls)
    in_days, at = Amounts(), start
    for _ in range(3):
        day = day_of(at, BERLIN)
        found = ledger.spent(tx.conn, Account(project="shop", day=day)).amounts
        assert found == total([one for one in calls if one.at.astimezone(BERLIN).date() == day.date])
        in_days, at = in_days + found, day.end
    assert in_days == total(calls)
