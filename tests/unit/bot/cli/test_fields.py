"""A story's fields as people type them."""

from __future__ import annotations

import pytest

from bot.cli.command import Misused
from bot.cli.fields import arguments, parse_fields, parse_number
from bot.cli.shell import split
from core.domain.story import Priority


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('title "Pay by card"', {"title": "Pay by card"}),
        ("title Pay by card", {"title": "Pay by card"}),
        ("TITLE Pay", {"title": "Pay"}),
        ('text "a b" estimate 3', {"body": "a b", "estimate": 3}),
        ("points 3", {"estimate": 3}),
        ("estimate none", {"clear_estimate": True}),
        ("estimate -", {"clear_estimate": True}),
        ("needs shop-1,lib-2", {"needs": ("shop-1", "lib-2")}),
        ("needs shop-1 lib-2", {"needs": ("shop-1", "lib-2")}),
        ('needs none labels "web shop, pay"', {"needs": (), "labels": ("web shop", "pay")}),
        ('criteria "It pays; It thanks"', {"acceptance_criteria": ("It pays", "It thanks")}),
        ('text ""', {"body": ""}),
        ("priority High", {"priority": Priority.HIGH}),
    ],
)
def test_words_become_what_core_takes(line, expected):
    assert arguments(parse_fields(split(line), more=("priority",))) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("colour red", "'colour' is no field"),
        ("title Pay by card estimate 3", "'by' is no field"),
        ("title Pay estimate", "estimate: nothing was said"),
        ("title a title b", "title was said twice"),
        ("estimate three", "'three' is no estimate"),
        ("estimate -1", "'-1' is no estimate"),
        ("estimate 1001", "'1001' is no estimate"),
        ("priority urgent", "'urgent' is no priority"),
    ],
)
def test_what_does_not_fit_is_told(line, said):
    with pytest.raises(Misused, match=said) as refused:
        arguments(parse_fields(split(line), more=("priority",)))
    assert refused.value.hint or refused.value.why


def test_a_number_has_its_bounds():
    assert parse_number("7", "sprint", least=1, most=9) == 7
    for word in ("0", "10", "1.5", "", "½"):
        with pytest.raises(Misused, match="from 1 to 9"):
            parse_number(word, "sprint", least=1, most=9)
