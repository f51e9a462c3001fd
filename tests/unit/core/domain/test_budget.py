"""Limits of a story, a project and its day: when people are warned, when agents stop, which day it is."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.domain.budget import (
    MOST,
    Account,
    Amounts,
    Day,
    Level,
    Limits,
    Raise,
    Scope,
    Standing,
    Unit,
    day_of,
    in_force,
    judge,
    worded,
)
from core.errors import InvalidInput

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = Day(date=date(2026, 3, 1), start=NOW - timedelta(hours=12), end=NOW + timedelta(hours=12))
SHOP = Account(project="shop")
TODAY = Account(project="shop", day=DAY)
STORY = Account(project="shop", story_id="shop-12")
USD = 1_000_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Asia/Beirut", "America/Sao_Paulo")
ODD_ZONES = ("Pacific/Apia", "America/St_Johns", "America/Toronto", "Africa/Cairo", "Australia/Lord_Howe")


def money(spent: int, limit: int = 5 * USD, *, account: Account = TODAY, **more: object) -> Standing:
    return judge(
        account,
        spent=Amounts(microdollars=spent),
        limits=Limits(microdollars=limit),
        **more,  # type: ignore[arg-type]
    )


def raised(
    amount: int = USD, *, scope: Scope = Scope.DAY, hours: float | None = 1, unit: Unit = Unit.MICRODOLLARS
) -> Raise:
    return Raise(
        id="click-1",
        project="shop",
        scope=scope,
        story_id="shop-12" if scope is Scope.STORY else None,
        unit=unit,
        amount=amount,
        at=NOW,
        until=None if hours is None else NOW + timedelta(hours=hours),
        by="discord:7",
    )


@pytest.mark.parametrize(
    ("spent", "level", "may_send"),
    [
        (0, Level.FINE, True),
        (3_999_999, Level.FINE, True),
        (4_000_000, Level.NEAR, True),
        (4_999_999, Level.NEAR, True),
        (5_000_000, Level.REACHED, False),
        (9_000_000, Level.REACHED, False),
    ],
)
def test_people_are_warned_at_the_share_and_agents_stop_at_the_limit(spent, level, may_send):
    standing = money(spent)
    assert (standing.level, standing.may_send) == (level, may_send)
    assert bool(standing.stops) is not may_send


@pytest.mark.parametrize(
    ("account", "spent", "sentence"),
    [
        (TODAY, 4_100_000, "shop has used 82 % of its 5.00 USD for today; agents stop at 100 %"),
        (SHOP, 4_100_000, "shop has used 82 % of its 5.00 USD; agents stop at 100 %"),
        (STORY, 4_999_999, "shop-12 has used 99 % of its 5.00 USD; agents stop at 100 %"),
        (STORY, 5 * USD, "shop-12 has used all of its 5.00 USD; agents stop until a person raises it"),
        (
            TODAY,
            5_030_001,
            "shop has used all of its 5.00 USD for today and 0.030001 USD more; agents stop until tomorrow or"
            " until a person raises it",
        ),
    ],
)
def test_a_sentence_says_whose_how_much_of_what_and_what_follows(account, spent, sentence):
    assert [one.sentence for one in money(spent, account=account).units] == [sentence]


def test_nothing_may_be_used_of_a_limit_of_nothing():
    standing = money(0, 0)
    assert (standing.may_send, standing.reached) == (False, True)
    assert standing.stops == ("shop may use no money today",)


def test_without_a_limit_anything_goes():
    standing = judge(SHOP, spent=Amounts(tokens=MOST, microdollars=MOST), limits=Limits())
    assert (standing.units, standing.may_send, standing.level) == ((), True, Level.FINE)


def test_each_unit_is_judged_and_the_worst_decides():
    standing = judge(
        SHOP,
        spent=Amounts(tokens=10, microdollars=1, turns=3, milliseconds=90_000),
        limits=Limits(tokens=100, microdollars=100, turns=3, milliseconds=100_000),
    )
    levels = [one.level for one in standing.units]
    assert levels == [Level.FINE, Level.FINE, Level.REACHED, Level.NEAR]
    assert standing.level is Level.REACHED
    assert standing.stops == ("shop has used all of its 3 turns; agents stop until a person raises it",)


def test_what_is_under_way_holds_back_the_next_call_but_warns_nobody():
    standing = money(3 * USD, reserved=Amounts(microdollars=2 * USD))
    assert (standing.level, standing.may_send, standing.reached) == (Level.FINE, False, False)
    assert standing.stops == (
        "shop has used 60 % of its 5.00 USD for today, and calls under way may use the rest;"
        " the next waits for them",
    )


def test_a_raise_is_on_top_of_the_limit():
    standing = money(5 * USD, raised=[raised(), raised(5 * USD)])
    (one,) = standing.units
    assert (one.limit, one.raised, one.percent, one.may_send) == (11 * USD, 6 * USD, 45, True)


def test_a_raise_of_one_unit_leaves_the_others():
    assert money(5 * USD, raised=[raised(unit=Unit.TOKENS)]).reached


@pytest.mark.parametrize(("after", "counts"), [(-1, False), (0, True), (3599, True), (3600, False)])
def test_a_raise_is_in_force_until_its_time(after, counts):
    found = in_force([raised()], TODAY, NOW + timedelta(seconds=after))
    assert bool(found) is counts


def test_a_raise_is_for_its_own_scope_project_and_story():
    every = [raised(scope=scope, hours=None) for scope in Scope]
    for account in (SHOP, TODAY, STORY):
        assert [one.scope for one in in_force(every, account, NOW)] == [account.scope]
    assert in_force(every, Account(project="depot"), NOW) == ()
    assert in_force(every, Account(project="shop", story_id="shop-13"), NOW) == ()


@pytest.mark.parametrize("wrong", [{"amount": 0}, {"amount": -5}, {"amount": MOST + 1}, {"hours": 0}])
def test_a_raise_of_nothing_or_until_the_past_is_refused(wrong):
    with pytest.raises(InvalidInput) as caught:
        raised(**wrong)
    assert caught.value.hint


def test_a_budget_below_nothing_is_refused():
    with pytest.raises(InvalidInput, match=r"-1\.00 USD"):
        Limits(microdollars=-USD)


@pytest.mark.parametrize("share", [0, 101, -1])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="warning"):
        money(1, warn_percent=share)


@pytest.mark.parametrize(
    ("unit", "amount", "text"),
    [
        (Unit.MICRODOLLARS, 5 * USD, "5.00 USD"),
        (Unit.MICRODOLLARS, 1, "0.000001 USD"),
        (Unit.MICRODOLLARS, 1_234_500_000, "1,234.50 USD"),
        (Unit.TOKENS, 1, "1 token"),
        (Unit.TOKENS, 120_000, "120,000 tokens"),
        (Unit.TURNS, 0, "0 turns"),
        (Unit.MILLISECONDS, 1_500, "1.5 s"),
        (Unit.MILLISECONDS, 5_400_000, "1 h 30 min"),
        (Unit.MILLISECONDS, 0, "0 s"),
    ],
)
def test_amounts_are_said_in_a_persons_units(unit, amount, text):
    assert worded(unit, amount) == text


amounts = st.builds(
    Amounts,
    tokens=st.integers(0, MOST),
    microdollars=st.integers(0, MOST),
    turns=st.integers(0, MOST),
    milliseconds=st.integers(0, MOST),
)


@given(st.lists(amounts, max_size=12), st.randoms(use_true_random=False))
def test_sums_are_the_same_in_any_order(each, random):
    mixed = random.sample(each, len(each))
    total = sum(each, Amounts())
    assert sum(mixed, Amounts()) == total
    assert [total.of(unit) for unit in Unit] == [sum(one.of(unit) for one in each) for unit in Unit]


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 100), st.integers(1, 100))
def test_more_spent_never_frees_and_a_higher_limit_never_binds(spent, limit, more, warn):
    order = list(Level).index
    before = money(spent, limit, warn_percent=warn)
    assert order(money(spent + more, limit, warn_percent=warn).level) >= order(before.level)
    assert order(money(spent, limit + more, warn_percent=warn).level) <= order(before.level)
    assert before.may_send is (spent < limit)


moments = st.integers(0, 47 * 365 * 24 * 60).map(
    lambda minutes: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(moments, st.sampled_from(ZONES + ODD_ZONES))
@example(datetime(2026, 3, 28, 22, tzinfo=UTC), "Asia/Beirut")  # midnight is not shown
@example(datetime(2011, 12, 30, 10, tzinfo=UTC), "Pacific/Apia")  # the 30th was left out
@example(datetime(2010, 11, 7, 2, 45, tzinfo=UTC), "America/St_Johns")  # 00:01 was followed by 23:01
def test_each_moment_is_of_one_day_and_days_follow_each_other_without_a_gap(at, name):
    zone = zoneinfo.ZoneInfo(name)
    day = day_of(at, zone)
    assert day.start <= at < day.end
    assert day_of(day.start, zone) == day_of(day.end - timedelta(microseconds=1), zone) == day
    after = day_of(day.end, zone)
    assert after.start == day.end
    assert after.date > day.date
    assert day.start.astimezone(zone).date() == day.date


@pytest.mark.parametrize(
    ("zone", "at", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 12, tzinfo=UTC), 23),
        ("Europe/Berlin", datetime(2026, 10, 25, 12, tzinfo=UTC), 25),
        ("Europe/Berlin", datetime(2026, 7, 1, 12, tzinfo=UTC), 24),
        ("Asia/Beirut", datetime(2026, 3, 29, 12, tzinfo=UTC), 23),
        ("America/Havana", datetime(2025, 11, 2, 12, tzinfo=UTC), 25),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 20, tzinfo=UTC), 24.5),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(zone, at, hours):
    day = day_of(at, zoneinfo.ZoneInfo(zone))
    assert day.end - day.start == timedelta(hours=hours)


def test_the_day_turns_at_midnight_of_the_zone():
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    midnight = datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert day_of(midnight - timedelta(microseconds=1), berlin).date == date(2026, 6, 30)
    assert day_of(midnight, berlin).date == date(2026, 7, 1)


def test_a_minute_that_was_shown_before_midnight_was_taken_back_is_of_the_new_day():
    zone = zoneinfo.ZoneInfo("America/St_Johns")
    day = day_of(datetime(2010, 11, 7, 2, 45, tzinfo=UTC), zone)  # 23:15 of the 6th, for the second time
    assert (day.date, day.start) == (date(2010, 11, 7), datetime(2010, 11, 7, 2, 30, tzinfo=UTC))
