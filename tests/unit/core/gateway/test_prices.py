from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.prices import FREE, MILLION, Cost, PriceRow, cost_of, micro_dollars, price_rows
from core.gateway.usage import MOST_TOKENS, NOTHING, UNKNOWN, Usage

ROWS = price_rows(yaml.safe_load((Path(__file__).parents[4] / "config" / "prices.yaml").read_text("utf-8")))
DAY = date(2026, 11, 21)
TOKENS = st.integers(0, MOST_TOKENS)
USAGES = st.builds(
    Usage,
    input_tokens=TOKENS,
    cache_read_tokens=TOKENS,
    cache_write_tokens=TOKENS,
    cache_write_long_tokens=TOKENS,
    output_tokens=TOKENS,
    reasoning_tokens=TOKENS,
    known=st.booleans(),
)


@pytest.mark.parametrize(
    ("model", "day", "usage", "dollars"),
    [
        ("claude-opus-5-5", DAY, Usage(input_tokens=MILLION, output_tokens=MILLION), "24"),
        ("claude-opus-5-20260724", DAY, Usage(input_tokens=MILLION), "5"),
        ("claude-opus-4-1-20250805", DAY, Usage(cache_write_long_tokens=1_000), "0.03"),
        ("claude-opus-4-8", DAY, Usage(cache_write_tokens=1_000), "0.00625"),
        ("claude-sonnet-5-5", date(2026, 10, 6), Usage(cache_read_tokens=MILLION), "0.20"),
        ("claude-sonnet-5-5", date(2026, 10, 7), Usage(cache_read_tokens=MILLION), "0.10"),
        ("claude-haiku-5-5", DAY, Usage(input_tokens=100_000, output_tokens=10), "0.010005"),
        (
            "claude-haiku-5-5",
            DAY,
            Usage(input_tokens=100_000, cache_read_tokens=1, output_tokens=10),
            "0.050026",
        ),
        ("GPT-6-Astra", DAY, Usage(input_tokens=272_001), "5.44002"),
        ("gemini-3.8-flash", date(2026, 12, 31), Usage(input_tokens=MILLION), "0.75"),
        ("gemini-3.8-flash", date(2027, 1, 1), Usage(input_tokens=MILLION), "1.50"),
    ],
)
def test_a_call_costs_what_the_page_says(model: str, day: date, usage: Usage, dollars: str) -> None:
    cost = cost_of(usage, model, day, ROWS)
    assert (cost.micro_dollars, cost.known) == (micro_dollars(dollars), True)


def test_a_cost_that_may_be_higher_is_marked() -> None:
    assert cost_of(Usage(input_tokens=272_000), "gpt-6-sol", DAY, ROWS).known
    longer = cost_of(Usage(input_tokens=272_001), "gpt-6-sol", DAY, ROWS)
    assert (longer.micro_dollars, longer.known) == (544_002, False)
    assert not cost_of(Usage(input_tokens=1, known=False), "gpt-6-sol", DAY, ROWS).known


def test_a_model_without_a_price_costs_an_unknown_sum() -> None:
    assert cost_of(Usage(input_tokens=5), "fake-1", DAY, ROWS) == Cost(micro_dollars=0, known=False)
    assert cost_of(Usage(input_tokens=5), "claude-opus-5-5", date(2020, 1, 1), ROWS).known is False
    assert cost_of(NOTHING, "fake-1", DAY, ROWS).known
    assert not cost_of(UNKNOWN, "fake-1", DAY, ROWS).known


@given(st.lists(USAGES, max_size=6))
def test_usages_and_costs_add_up_exactly(usages: list[Usage]) -> None:
    total = sum(usages, NOTHING)
    for name in (each.name for each in dataclasses.fields(Usage) if each.name != "known"):
        assert getattr(total, name) == sum(getattr(each, name) for each in usages)
    assert total.known is all(each.known for each in usages)
    assert total.total_tokens == sum(each.total_tokens for each in usages)
    costs = [cost_of(each, "claude-opus-4-8", DAY, ROWS) for each in usages]
    exact = sum(
        each.input_tokens * 5_000_000
        + each.cache_read_tokens * 500_000
        + each.cache_write_tokens * 6_250_000
        + each.cache_write_long_tokens * 10_000_000
        + each.output_tokens * 25_000_000
        for each in usages
    )
    assert 0 <= sum(costs, FREE).micro_dollars * MILLION - exact < MILLION * max(len(usages), 1)


@given(st.integers(0, 10**12))
def test_dollars_as_written_are_exact(micro: int) -> None:
    assert micro_dollars(f"{micro // MILLION}.{micro % MILLION:06}") == micro


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e30", "0.0000001", "1,5"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="dollar"):
        micro_dollars(text)


def test_every_row_has_a_source_and_a_price_of_its_own() -> None:
    assert all(row.source.startswith("https://") and row.input_price < row.output_price for row in ROWS)
    assert len({(row.model, row.since, row.above_prompt_tokens) for row in ROWS}) == len(ROWS)


GOOD: dict[str, Any] = {
    "model": "m*",
    "since": "2026-11-01",
    "source": "a contract",
    "input": 1.1,
    "output": 2,
}


def test_a_row_may_be_as_short_as_this() -> None:
    assert price_rows({"prices": [GOOD]}) == (
        PriceRow(
            model="m*",
            since=date(2026, 11, 1),
            source="a contract",
            input_price=1_100_000,
            output_price=2_000_000,
        ),
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"input": None}, "input is missing"),
        ({"input": "dear"}, "no amount of dollars"),
        ({"inptu": 1}, "inptu: no such key"),
        ({"since": "soon"}, "no day"),
        ({"until": "2026-10-01"}, "before `since`"),
        ({"model": "Opus"}, "lower case"),
        ({"above_prompt_tokens": "many"}, "whole number"),
        ({"known_to_prompt_tokens": -1}, "whole number"),
    ],
)
def test_a_wrong_row_is_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"Row 2 of the prices: .*{said}"):
        price_rows({"prices": [GOOD, {**GOOD, **wrong}]})


@pytest.mark.parametrize("document", [None, [], {"prices": None}, {"prices": ["x"]}])
def test_what_is_no_prices_file_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="prices"):
        price_rows(document)
