"""Budgets beside the ledger: the same sums whatever happens, told once, stopped at once, raised by some."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import ProjectSettings
from core.bus import Bus
from core.domain.access import AccessLevel, Standing
from core.domain.budget import Account, Amounts, Level, Scope, Unit, day_of
from core.domain.event import EventKind
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority, StoryState
from core.errors import InvalidInput, NotAllowed, NotFound
from core.orchestrator.budgets import Budgets
from core.store import events, ledger, projects, stories
from core.store.database import Store
from core.store.ledger import Call, Source, TurnTaken

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = (EventKind.BUDGET_WARNED, EventKind.BUDGET_REACHED, EventKind.BUDGET_RAISED)


def call(call_id: str, story: str | None = "shop-1", **more) -> Call:
    base = Call(
        call_id=call_id,
        project="shop",
        story_id=story,
        phase="code_green",
        agent="claude",
        run_id="run-1",
        provider="anthropic",
        model="sonnet",
        wire="anthropic-messages",
        at=NOON,
        input_tokens=100,
        microdollars=250_000,
        source=Source.GATEWAY,
    )
    return dataclasses.replace(base, **more)


def turn(turn_id: str, story: str | None = "shop-1", **more) -> TurnTaken:
    base = TurnTaken(
        turn_id=turn_id,
        project="shop",
        story_id=story,
        phase="code_green",
        agent="claude",
        at=NOON,
        milliseconds=1500,
    )
    return dataclasses.replace(base, **more)


def shop_settings(**budgets) -> ProjectSettings:
    return ProjectSettings.model_validate({"name": "shop", "path": Path("/srv/shop"), "budgets": budgets})


def fill(tx) -> None:
    """The project shop with two stories at work."""
    projects.add(
        tx,
        Project(
            name="shop",
            path=Path("/srv/shop"),
            main_branch="main",
            status=ProjectStatus.ACTIVE,
            workflow=WorkflowState.SPRINT_ACTIVE,
            registered_at=tx.now,
        ),
    )
    for title in ("Sell", "Buy"):
        story = stories.add(
            tx,
            "shop",
            title=title,
            body="",
            acceptance_criteria=(),
            priority=Priority.NORMAL,
            added_by="cli",
        )
        stories.move(tx, story.id, StoryState.BACKLOG, StoryState.ACTIVE)


class Desk:
    """Budgets over a store; `stopped` and `changed` hold what others were told."""

    def __init__(self, store: Store, clock) -> None:
        self.store, self.clock = store, clock
        self.settings = {"shop": shop_settings()}
        self.stopped: list[tuple[str, str | None]] = []
        self.changed: list[Account] = []
        self.open()

    def open(self) -> None:
        """As after a restart."""
        self.budgets = Budgets(self.store, self.clock, lambda name: self.settings.get(name))

        async def stop(project, story, sentence):
            self.stopped.append((project, story))

        async def tell(accounts):
            self.changed += [one.account for one in accounts]

        self.budgets.on_stop(stop)
        self.budgets.on_changed(tell)

    def limit(self, **budgets) -> None:
        self.settings["shop"] = shop_settings(**budgets)

    async def ready(self) -> None:
        await self.budgets.prepare({"shop": ["shop-1", "shop-2"]})

    async def told(self) -> list[EventKind]:
        found = await self.store.read(lambda conn: events.latest(conn, kinds=KINDS))
        return [event.kind for event in found]

    async def more(self, amount: int = 1, **more):
        facts = {"project": "shop", "scope": Scope.DAY, "unit": Unit.TURNS, "click": "c1", "by": "cli"}
        return await self.budgets.raise_(**{**facts, "amount": amount, **more})


@pytest.fixture
async def desk(store, clock):
    await store.write(fill)
    desk = Desk(store, clock)
    yield desk
    await desk.budgets.close()


# -- the same sums -------------------------------------------------------------------------------------


_STORIES = st.sampled_from(["shop-1", "shop-2", None])
_AT = st.sampled_from([NOON - timedelta(days=1), NOON, NOON + timedelta(hours=11, minutes=59)])
_STEP = st.one_of(
    st.tuples(
        st.just("calls"),
        st.lists(st.tuples(st.integers(0, 9), _STORIES, _AT, st.integers(0, 10**6)), min_size=1, max_size=4),
    ),
    st.tuples(st.just("turn"), st.tuples(st.integers(0, 5), _STORIES, _AT, st.integers(0, 10**6))),
    st.tuples(st.just("given up"), st.tuples(st.integers(0, 9), _STORIES, _AT, st.integers(0, 10**6))),
    st.tuples(st.just("refused"), st.tuples(st.integers(0, 9), _STORIES, _AT, st.integers(0, 10**6))),
    st.tuples(st.just("asked"), _STORIES),
    st.tuples(st.just("crash"), st.none()),
)


class _Refused(Exception):
    pass


class _Clock:
    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


@settings(max_examples=25, deadline=None)
@given(st.lists(_STEP, min_size=1, max_size=14))
def test_tally_ledger_and_calls_add_up_to_the_same(steps):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder) / "orchard.db", steps))


async def _play(path: Path, steps) -> None:
    seen: dict[str, Call | TurnTaken] = {}
    async with Store.open(path, clock=_Clock(), bus=Bus()) as store:
        await store.write(fill)
        desk = Desk(store, _Clock())
        desk.limit(day={"tokens": 10**6, "minutes": 100})
        for kind, what in steps:
            budgets = desk.budgets
            if kind == "calls":
                made = [call(f"c{n}", story, at=at, input_tokens=used) for n, story, at, used in what]
                await budgets.record(made)
                for one in made:
                    seen.setdefault(one.call_id, one)
            elif kind == "turn":
                one = turn(f"t{what[0]}", what[1], at=what[2], milliseconds=what[3])
                assert await budgets.record_turn(one) == (one.turn_id not in seen)
                seen.setdefault(one.turn_id, one)
            elif kind == "given up":  # the waiter is gone, the transaction is not
                one = call(f"c{what[0]}", what[1], at=what[2], input_tokens=what[3])
                task = asyncio.create_task(budgets.record([one]))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await budgets.close()
                seen.setdefault(one.call_id, one)
            elif kind == "refused":  # what it belongs to is undone, and so is it

                def refuse(tx):
                    raise _Refused

                one = call(f"c{what[0]}", what[1], at=what[2], input_tokens=what[3])
                with pytest.raises(_Refused):
                    await budgets.write(refuse, calls=[one])
            elif kind == "asked":
                await budgets.accounts("shop", what)
            else:
                await budgets.close()
                desk.open()
                await desk.budgets.load()
        for story in ("shop-1", "shop-2", None):
            for one in await desk.budgets.accounts("shop", story):
                summed = sum(
                    (each.took for each in seen.values() if _counts(one.account, each)), start=Amounts()
                )
                held = await store.read(lambda conn, account=one.account: ledger.spent(conn, account))
                assert one.spent == held.amounts == summed
        await desk.budgets.close()


def _counts(account: Account, one: Call | TurnTaken) -> bool:
    if account.story_id is not None:
        return one.story_id == account.story_id
    return account.day is None or account.day.start <= one.at < account.day.end


async def test_calls_recorded_at_once_with_a_first_look_are_counted_once(desk):
    desk.limit(project={"tokens": 10**9})
    calls = [call(f"c{number}") for number in range(200)]
    looks = [desk.budgets.accounts("shop", "shop-1") for _ in range(20)]
    await asyncio.gather(*(desk.budgets.record([each]) for each in calls), *looks)
    spent = {one.account.scope: one.spent.tokens for one in await desk.budgets.accounts("shop", "shop-1")}
    assert spent == {Scope.STORY: 20_000, Scope.DAY: 20_000, Scope.PROJECT: 20_000}


async def test_calls_that_are_recorded_at_once_share_a_commit(desk, monkeypatch):
    groups = []
    commit = Store._commit_group

    async def counted(store, jobs):
        groups.append(len(jobs))
        await commit(store, jobs)

    monkeypatch.setattr(Store, "_commit_group", counted)
    await asyncio.gather(
        *(desk.budgets.record([call(f"c{number}", input_tokens=1, output_tokens=0)]) for number in range(60))
    )
    assert len(groups) < 10
    (story, *_) = await desk.budgets.accounts("shop", "shop-1")
    assert story.spent.tokens == 60


async def test_a_call_that_belongs_nowhere_keeps_no_other_from_being_counted(desk):
    strange = [call("a", project="gone"), call("b", "shop-99"), call("c")]
    assert await desk.budgets.record(strange) == 2
    assert await desk.budgets.record(strange) == 0
    story, _, whole = await desk.budgets.accounts("shop", "shop-1")
    assert (story.spent.tokens, whole.spent.tokens) == (100, 200)


# -- bars, stops, words --------------------------------------------------------------------------------


async def test_without_limits_nothing_is_barred_and_nothing_is_said(desk):
    await desk.budgets.record([call("a", microdollars=10**11)])
    await desk.ready()
    assert desk.budgets.why_not("shop", "shop-1") == ""
    assert desk.budgets.minutes_left("shop", "shop-1") is None
    assert (desk.stopped, await desk.told()) == ([], [])


async def test_people_are_warned_and_told_once_and_agents_are_stopped(desk):
    desk.limit(day={"dollars": 1.0})
    for number in range(3):
        await desk.budgets.record([call(f"c{number}")])
    await desk.ready()
    assert await desk.told() == []
    await desk.budgets.record([call("c3", microdollars=60_000)])
    assert await desk.told() == [EventKind.BUDGET_WARNED]
    await desk.budgets.record([call("c4"), call("c5", "shop-2")])
    await desk.budgets.close()
    assert ("shop", None) in desk.stopped
    assert desk.budgets.why_not("shop", "shop-2") == (
        "waits: the budget of shop's day is used up: 1.31 USD of 1.00 USD; next at 00:00 UTC, or raise it "
        "with /budget raise."
    )
    desk.open()
    await desk.budgets.load()
    await desk.budgets.check()
    assert await desk.told() == [EventKind.BUDGET_WARNED, EventKind.BUDGET_REACHED]


async def test_who_was_not_told_before_a_crash_is_told_at_the_next_start(desk):
    await desk.store.write(lambda tx: ledger.record(tx, call("a")))  # and the process died
    desk.limit(story={"tokens": 100})
    desk.open()
    await desk.budgets.load()
    assert await desk.told() == [EventKind.BUDGET_REACHED]


async def test_a_story_s_budget_bars_that_story_alone(desk):
    desk.limit(story={"turns": 1})
    await desk.budgets.record_turn(turn("t1"))
    await desk.ready()
    assert desk.budgets.why_not("shop", "shop-1").startswith("waits: the budget of shop-1 is used up: 1 turn")
    assert desk.budgets.why_not("shop", "shop-2") == ""
    assert desk.budgets.barred_stories() == {"shop": 1}
    await desk.budgets.close()
    assert desk.stopped == [("shop", "shop-1")]


async def test_a_new_day_has_a_new_budget_and_a_late_call_of_the_old_one_stops_nobody(desk, clock):
    desk.limit(day={"tokens": 100})
    clock.at = NOON
    await desk.budgets.record([call("a")])
    await desk.ready()
    assert desk.budgets.why_not("shop", "shop-1")
    clock.at = NOON + timedelta(hours=12)
    await desk.ready()
    assert desk.budgets.why_not("shop", "shop-1") == ""
    await desk.budgets.close()
    desk.stopped.clear()
    await desk.budgets.record([call("b")])
    await desk.budgets.check()
    await desk.budgets.close()
    assert desk.stopped == []
    assert desk.budgets.why_not("shop", "shop-1") == ""


async def test_midnight_gives_turns_that_go_on_the_new_day_s_budget(desk, clock):
    desk.limit(day={"tokens": 100, "minutes": 60})
    await desk.budgets.accounts("shop", "shop-1")  # a run begins, and nothing else
    await desk.budgets.check()
    await desk.budgets.close()
    desk.changed.clear()
    clock.advance(13 * 3600)
    await desk.budgets.check({("shop", "shop-1"): 61 * 60_000})
    await desk.budgets.close()
    assert [account.day.start for account in desk.changed] == [NOON + timedelta(hours=12)]
    assert desk.stopped == [("shop", None)]


async def test_the_turns_that_are_left_are_counted(desk):
    desk.limit(day={"turns": 3})
    await desk.budgets.record_turn(turn("t1"))
    await desk.ready()
    left, said = desk.budgets.turns_left("shop")
    assert left == 2
    assert said.startswith("waits: what runs may use the rest of the budget of shop's day, 1 turn of 3 turns")


async def test_time_under_way_counts_before_it_is_recorded(desk):
    desk.limit(story={"minutes": 1})
    await desk.budgets.record_turn(turn("t1", milliseconds=20_000))
    await desk.ready()
    assert desk.budgets.minutes_left("shop", "shop-1") == pytest.approx(40 / 60)
    await desk.budgets.check({("shop", "shop-1"): 39_999, ("shop", "shop-2"): 59_999})
    await desk.budgets.close()
    assert desk.stopped == []
    await desk.budgets.check({("shop", "shop-1"): 40_000})
    await desk.budgets.close()
    assert desk.stopped == [("shop", "shop-1")]
    assert await desk.told() == []  # it is not recorded yet: its own report says it


async def test_the_gateway_hears_of_what_it_did_not_see(desk):
    desk.limit(story={"tokens": 10**6})
    await desk.budgets.accounts("shop", "shop-1")
    await desk.budgets.record([call("a")])
    await desk.budgets.close()
    assert desk.changed == []
    await desk.budgets.record([call("b", source=Source.AGENT)])
    await desk.budgets.close()
    assert {account.scope for account in desk.changed} >= {Scope.STORY}
    desk.changed.clear()
    desk.limit(story={"tokens": 5})  # somebody edited the settings
    await desk.budgets.check()
    await desk.budgets.close()
    assert Account(project="shop", story_id="shop-1") in desk.changed
    assert desk.stopped[-1] == ("shop", "shop-1")


async def test_what_the_gateway_holds_stops_the_account_s_work(desk):
    desk.limit(day={"tokens": 100})
    await desk.budgets.reached("run-1", Account(project="shop", day=day_of(desk.clock.now(), UTC)))
    await desk.budgets.close()
    assert desk.stopped == [("shop", None)]


# -- more ------------------------------------------------------------------------------------------------


async def test_a_raise_counts_once_for_today_and_lets_work_go_on(desk, clock):
    desk.limit(day={"turns": 2})
    clock.at = NOON
    await desk.budgets.record_turn(turn("t1"))
    await desk.budgets.record_turn(turn("t2"))
    await desk.ready()
    assert desk.budgets.why_not("shop", "shop-1")
    first, again = await desk.more(3), await desk.more(3)
    assert (first.new, first.limit, first.until) == (True, 5, NOON + timedelta(hours=12))
    assert (again.new, again.limit) == (False, 5)
    assert first.sentence == "shop's day may use 3 turns more until the day ends: 5 turns in all."
    assert desk.budgets.why_not("shop", "shop-1") == ""
    assert (await desk.told()).count(EventKind.BUDGET_RAISED) == 1
    clock.at = NOON + timedelta(hours=13)
    assert (await desk.budgets.accounts("shop", None))[0].limits.turns == 2
    for number in range(2):
        await desk.budgets.record_turn(turn(f"n{number}", at=clock.at))
    await desk.ready()
    assert desk.budgets.why_not("shop", "shop-1").startswith("waits: the budget of shop's day")


async def test_after_a_raise_people_hear_of_the_new_limit(desk):
    desk.limit(story={"tokens": 100})
    await desk.budgets.record([call("a")])
    await desk.more(100, scope=Scope.STORY, story_id="shop-1", unit=Unit.TOKENS)
    await desk.budgets.record([call("b")])
    assert await desk.told() == [
        EventKind.BUDGET_REACHED,
        EventKind.BUDGET_RAISED,
        EventKind.BUDGET_REACHED,
    ]


@pytest.mark.parametrize("level", [AccessLevel.VIEWER, AccessLevel.CONTRIBUTOR])
async def test_who_may_not_raise_is_told_who_may(desk, level):
    desk.limit(day={"turns": 2})
    with pytest.raises(NotAllowed) as refused:
        await desk.more(standing=Standing(level=level))
    assert "budgets.raise_level is maintainer" in str(refused.value.why)
    await desk.more(standing=Standing(level=AccessLevel.MAINTAINER))


async def test_what_cannot_be_raised(desk):
    desk.limit(day={"turns": 2, "tokens": 0})
    with pytest.raises(InvalidInput, match="too much at once"):
        await desk.more(21)
    with pytest.raises(InvalidInput, match="may use nothing of it"):
        await desk.more(1, unit=Unit.TOKENS)
    with pytest.raises(InvalidInput, match="has no such limit"):
        await desk.more(1, unit=Unit.MICRODOLLARS)
    with pytest.raises(InvalidInput, match="cannot be raised by"):
        await desk.more(0)
    desk.limit(story={"turns": 2})
    with pytest.raises(NotFound):
        await desk.more(1, scope=Scope.STORY, story_id="shop-99")
    assert await desk.told() == []


# -- looking ---------------------------------------------------------------------------------------------


async def test_the_view_says_what_was_used_of_what_and_by_whom(desk):
    desk.limit(day={"dollars": 1.0}, story={"turns": 4})
    await desk.budgets.record([call("a"), call("b", "shop-2", source=Source.AGENT, model="")])
    await desk.budgets.record_turn(turn("t1"))
    view = await desk.budgets.view("shop")
    (shop,) = view.projects
    assert [(one.scope, one.story_id) for one in shop.budgets] == [
        (Scope.DAY, None),
        (Scope.PROJECT, None),
        (Scope.STORY, "shop-1"),
        (Scope.STORY, "shop-2"),
    ]
    day = shop.budgets[0]
    money = {unit.unit: unit for unit in day.units}[Unit.MICRODOLLARS]
    assert (money.spent, money.on_agents_word, money.limit, money.percent, money.level) == (
        500_000,
        250_000,
        1_000_000,
        50,
        Level.FINE,
    )
    assert (day.day, day.zone, day.calls, day.waits) == ("2026-03-01", "UTC", 2, "")
    assert {(each.story_id, each.on_agents_word, each.calls) for each in day.shares} == {
        ("shop-1", False, 1),
        ("shop-2", True, 1),
    }
    assert view.total == Amounts(tokens=200, microdollars=500_000, turns=1, milliseconds=1500)
    assert (await desk.budgets.view()).projects == view.projects
    with pytest.raises(NotFound):
        await desk.budgets.view("depot")
