"""Calls at the same time cannot pass a limit by more than one call's estimate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.budget import Account, Amounts, Limits, judge
from core.domain.tally import Tally

SHOP = Account(project="shop")
STORY = Account(project="shop", story_id="shop-1")
TEN = Amounts(microdollars=10)


@pytest.fixture
def tally() -> Tally:
    tally = Tally()
    tally.begin(SHOP, Amounts(microdollars=100))
    tally.begin(STORY, Amounts())
    return tally


def test_a_call_reserves_its_estimate_and_settles_with_what_it_took(tally):
    tally.reserve("a", (SHOP, STORY), TEN)
    assert (tally.reserved(SHOP), tally.reserved(STORY), tally.under_way) == (TEN, TEN, 1)
    tally.settle("a", Amounts(microdollars=7, tokens=3))
    assert (tally.reserved(SHOP), tally.under_way) == (Amounts(), 0)
    assert tally.spent(SHOP) == Amounts(microdollars=107, tokens=3)
    assert tally.spent(STORY) == Amounts(microdollars=7, tokens=3)


def test_a_call_settles_once(tally):
    tally.reserve("a", (SHOP,), TEN)
    tally.settle("a", TEN)
    tally.settle("a", TEN)
    tally.settle("never reserved", TEN)
    assert tally.spent(SHOP) == Amounts(microdollars=110)


def test_a_call_that_reserved_already_is_refused(tally):
    tally.reserve("a", (SHOP,), TEN)
    with pytest.raises(ValueError, match="reserved already"):
        tally.reserve("a", (SHOP,), TEN)
    assert tally.reserved(SHOP) == TEN


def test_nothing_is_reserved_where_one_account_has_not_begun(tally):
    with pytest.raises(KeyError):
        tally.reserve("a", (SHOP, Account(project="depot")), TEN)
    assert (tally.reserved(SHOP), tally.under_way) == (Amounts(), 0)


def test_an_account_begins_once(tally):
    tally.add((SHOP, SHOP), TEN)
    tally.begin(SHOP, Amounts(microdollars=100))
    assert tally.spent(SHOP) == Amounts(microdollars=110)


def test_a_call_that_ends_after_its_day_still_counts_where_it_can(tally):
    tally.reserve("a", (SHOP, STORY), TEN)
    tally.forget(STORY)
    tally.settle("a", TEN)
    assert tally.spent(SHOP) == Amounts(microdollars=110)
    assert not tally.knows(STORY)


def test_what_is_forgotten_with_calls_under_way_begins_anew_with_them(tally):
    tally.reserve("a", (STORY,), TEN)
    tally.forget(STORY)
    tally.begin(STORY, Amounts())
    assert tally.reserved(STORY) == TEN
    tally.settle("a", TEN)
    assert tally.reserved(STORY) == Amounts()
    assert tally.spent(STORY) == TEN


steps = st.lists(st.tuples(st.booleans(), st.integers(1, 30), st.integers(0, 100)), max_size=80)


@given(steps, st.integers(0, 200))
def test_calls_at_once_never_pass_the_limit_by_a_whole_estimate(moves, limit):
    """Calls that take at most their estimate start and end in any order."""
    tally, limits = Tally(), Limits(microdollars=limit)
    tally.begin(SHOP, Amounts())
    under_way: list[tuple[str, int]] = []
    took_in_all = largest = 0
    for number, (starts, estimate, share) in enumerate(moves):
        if starts:
            standing = judge(SHOP, spent=tally.spent(SHOP), reserved=tally.reserved(SHOP), limits=limits)
            if standing.may_send:
                largest = max(largest, estimate)
                tally.reserve(str(number), (SHOP,), Amounts(microdollars=estimate))
                under_way.append((str(number), estimate))
        elif under_way:
            call, most = under_way.pop(share % len(under_way))
            took_in_all += most * share // 100
            tally.settle(call, Amounts(microdollars=most * share // 100))
        assert tally.spent(SHOP).microdollars == took_in_all
        assert tally.reserved(SHOP).microdollars == sum(most for _, most in under_way)
        held = took_in_all + tally.reserved(SHOP).microdollars
        assert held == 0 or held < limit + largest
