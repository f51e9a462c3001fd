"""The buttons under a budget that is used up: what they say, what they carry."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogs.message import LABEL_LIMIT
from cogs.outgoing import CUSTOM_ID, custom_id
from cogs.raises import Asked, asked_of, half, more, raise_buttons, target, typed
from core.domain.budget import MOST, Scope, Unit
from core.errors import InvalidInput

DAY = Asked(scope=Scope.DAY, unit=Unit.MICRODOLLARS, name="shop", day=date(2026, 11, 21))
STORY = Asked(scope=Scope.STORY, unit=Unit.TOKENS, name="shop-1")


@pytest.mark.parametrize(
    ("unit", "limit", "amount", "words"),
    [
        (Unit.MICRODOLLARS, 5_000_000, 2_500_000, "+$2.50"),
        (Unit.MICRODOLLARS, 5_010_000, 2_510_000, "+$2.51"),  # to the cent
        (Unit.MICRODOLLARS, 3, 2, "+$0.000002"),
        (Unit.TOKENS, 100_001, 50_001, "+50,001 tokens"),
        (Unit.TURNS, 1, 1, "+1 turn"),
        (Unit.MILLISECONDS, 5 * 60_000, 3 * 60_000, "+3 min"),
        (Unit.MILLISECONDS, 3 * 3_600_000, 90 * 60_000, "+1 h 30 min"),
    ],
)
def test_half_is_a_round_amount_and_reads_like_one(unit: Unit, limit: int, amount: int, words: str) -> None:
    assert half(unit, limit) == amount
    assert more(unit, amount) == words


def test_what_is_used_beyond_half_more_is_made_up_for_so_that_agents_can_go_on() -> None:
    [button, form] = raise_buttons(DAY, 5_000_000, 9_350_000)
    assert button.label == "Raise: +$6.85 for today"
    assert asked_of(button.target).amount + 5_000_000 > 9_350_000
    assert (form.label, asked_of(form.target).amount) == ("Raise by … for today", 0)


def test_nothing_is_offered_where_only_the_settings_help() -> None:
    assert raise_buttons(DAY, 0, 5) == ()
    assert raise_buttons(DAY, MOST, 4 * MOST) == ()


@given(
    scope=st.sampled_from(Scope),
    unit=st.sampled_from(Unit),
    name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,39}", fullmatch=True),
    day=st.none() | st.dates(date(1000, 1, 1)),
    limit=st.integers(1, MOST),
)
def test_any_button_is_read_back_and_fits_discord(
    scope: Scope, unit: Unit, name: str, day: date | None, limit: int
) -> None:
    whose = f"{name}-12345" if scope is Scope.STORY else name
    asked = Asked(scope=scope, unit=unit, name=whose, day=day if scope is Scope.DAY else None)
    [button, form] = raise_buttons(asked, limit, limit)
    for one in (button, form):
        match = CUSTOM_ID.fullmatch(custom_id(one.verb, one.target))
        assert match is not None
        assert match["target"] == one.target
        found = asked_of(one.target)
        assert (found.scope, found.unit, found.name, found.day) == (scope, unit, whose, asked.day)
    assert asked_of(button.target).amount == half(unit, limit)
    assert len(form.label) <= LABEL_LIMIT


@pytest.mark.parametrize(
    "text", ["", "shop-1", "💥", "x:$:5::shop", "d:?:5::shop", "d:$:²::shop", "d:$:5:20261399:shop", "a" * 70]
)
def test_what_is_no_target_is_said(text: str) -> None:
    with pytest.raises(InvalidInput, match="another version"):
        asked_of(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2.50", (Unit.TOKENS, None)),
        ("120k", (Unit.TOKENS, 120_000)),
        ("$5 dollars", (Unit.MICRODOLLARS, 5_000_000)),
        ("1.5 h", (Unit.MILLISECONDS, 5_400_000)),
        (" 3\nturns ", (Unit.TURNS, 3)),
    ],
)
def test_a_typed_amount_is_of_the_button_unless_it_says_otherwise(
    text: str, found: tuple[Unit, int | None]
) -> None:
    unit, amount = typed(text, Unit.TOKENS)
    assert unit is found[0]
    assert amount == (2 if found[1] is None else found[1])


@pytest.mark.parametrize("text", ["", "lots", "5 apples", "1 2 3", "-5", "0"])
def test_what_is_no_amount_is_said(text: str) -> None:
    with pytest.raises(InvalidInput):
        typed(text, STORY.unit)


def test_a_target_is_short_and_plain() -> None:
    assert target(DAY) == "d:$:0:20261121:shop"
