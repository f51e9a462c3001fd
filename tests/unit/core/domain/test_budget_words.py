"""What people type for an amount means one thing, or is refused with what would do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.budget import MOST, Scope, Unit
from core.domain.budget_words import parse_amount, parse_scope
from core.errors import InvalidInput


@pytest.mark.parametrize(
    ("amount", "unit", "meant"),
    [
        ("5", "dollars", (Unit.MICRODOLLARS, 5_000_000)),
        ("$2.50", "USD", (Unit.MICRODOLLARS, 2_500_000)),
        ("120k", "tokens", (Unit.TOKENS, 120_000)),
        ("1.5M", "tokens", (Unit.TOKENS, 1_500_000)),
        ("120,000", "token", (Unit.TOKENS, 120_000)),
        ("1", "turn", (Unit.TURNS, 1)),
        ("1.5", "h", (Unit.MILLISECONDS, 5_400_000)),
        (" 90 ", " Minutes ", (Unit.MILLISECONDS, 5_400_000)),
    ],
)
def test_an_amount_means_this(amount, unit, meant):
    assert parse_amount(amount, unit) == meant


@pytest.mark.parametrize(
    ("amount", "unit"),
    [
        ("0", "turns"),
        ("-5", "dollars"),
        ("0.4", "turns"),
        ("1e9", "tokens"),
        ("nan", "dollars"),
        ("٣", "turns"),
        ("5", "euros"),
        ("", "turns"),
        ("9" * 20, "tokens"),
        ("1.2.3", "dollars"),
    ],
)
def test_what_is_no_amount_is_refused(amount, unit):
    with pytest.raises(InvalidInput) as refused:
        parse_amount(amount, unit)
    assert refused.value.hint


@given(st.text(max_size=30), st.text(max_size=10))
def test_no_text_does_anything_else_than_that(amount, unit):
    try:
        _, number = parse_amount(amount, unit)
    except InvalidInput:
        return
    assert 1 <= number <= MOST


def test_scopes_are_words():
    assert parse_scope(" Day ") is Scope.DAY
    with pytest.raises(InvalidInput, match="no budget of a 'week'"):
        parse_scope("week")
