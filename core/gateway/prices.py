"""What a call costs, by dated price rows. PURE.

Money is a whole number of micro-dollars ($0.000001). A price of "$0.125 for a million tokens" is 125,000
micro-dollars a million, so a cost is exact up to the one rounding at its end, and sums of costs are exact.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from core.gateway.usage import Usage

MILLION = 1_000_000
_DEAREST = 1_000_000 * MILLION  # a million dollars for a million tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """Micro-dollars for a million tokens, of the models that `model` (a glob, in lower case) names.

    Counts from the day `since` (UTC) and, with `until`, through that day. `above_prompt_tokens`: only calls
    with a longer prompt than that pay these prices, for all of their tokens. A kind of cache without a price
    costs what input does. Calls with a longer prompt than `known_to_prompt_tokens` may cost more than this.
    """

    model: str
    since: date
    source: str
    input_price: int
    output_price: int
    cache_read_price: int | None = None
    cache_write_price: int | None = None
    cache_write_long_price: int | None = None
    until: date | None = None
    above_prompt_tokens: int = 0
    known_to_prompt_tokens: int | None = None

    def of(self, usage: Usage) -> int:
        """The cost of `usage` in millionths of a micro-dollar, exact."""
        read = self.input_price if self.cache_read_price is None else self.cache_read_price
        write = self.input_price if self.cache_write_price is None else self.cache_write_price
        long = write if self.cache_write_long_price is None else self.cache_write_long_price
        return (
            usage.input_tokens * self.input_price
            + usage.cache_read_tokens * read
            + usage.cache_write_tokens * write
            + usage.cache_write_long_tokens * long
            + usage.output_tokens * self.output_price
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """`known` is False without a price for the model, or when the usage is not known: then it may be more."""

    micro_dollars: int
    known: bool
    row: PriceRow | None = None

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            micro_dollars=self.micro_dollars + other.micro_dollars,
            known=self.known and other.known,
            row=self.row if self.row == other.row else None,
        )


FREE = Cost(micro_dollars=0, known=True)


def micro_dollars(dollars: str | int | Decimal) -> int:
    """Dollars as written ("0.125") in micro-dollars. Raises ValueError for what cannot be said in them."""
    with localcontext() as context:
        context.prec = 60
        try:
            exact = Decimal(dollars) * MILLION
        except ArithmeticError as broken:
            raise ValueError(f"{dollars!r} is no amount of dollars.") from broken
    if not exact.is_finite() or not 0 <= exact <= _DEAREST:
        raise ValueError(f"{dollars!r} is no amount of dollars from 0 to a million.")
    if exact != exact.to_integral_value():
        raise ValueError(f"{dollars!r} is finer than a millionth of a dollar.")
    return int(exact)


_PRICES = ("input", "output", "cache_read", "cache_write", "cache_write_long")
_KEYS = frozenset(
    {"model", "since", "until", "source", "above_prompt_tokens", "known_to_prompt_tokens", *_PRICES}
)


def price_rows(document: object) -> tuple[PriceRow, ...]:
    """The rows of a loaded prices file: `prices`, a list of rows in dollars for a million tokens.

    Raises ValueError that names the row and what is wrong with it.
    """
    listed = document.get("prices") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise ValueError("A prices file has a list `prices`.")
    rows = []
    for number, entry in enumerate(listed, start=1):
        try:
            rows.append(_row(entry))
        except ValueError as wrong:
            raise ValueError(f"Row {number} of the prices: {wrong}") from wrong
    return tuple(rows)


def _row(entry: object) -> PriceRow:
    if not isinstance(entry, Mapping):
        raise ValueError("it is no set of keys and values.")
    if unknown := sorted(str(key) for key in entry if key not in _KEYS):
        raise ValueError(f"{', '.join(unknown)}: no such key. There are {', '.join(sorted(_KEYS))}.")
    if missing := sorted(
        key for key in ("model", "since", "source", "input", "output") if entry.get(key) is None
    ):
        raise ValueError(f"{', '.join(missing)} is missing.")
    model = entry["model"]
    above = _tokens(entry, "above_prompt_tokens")
    if not isinstance(model, str) or model != model.lower() or not model.strip():
        raise ValueError("`model` is a glob in lower case.")
    until = None if entry.get("until") is None else _day(entry["until"])
    since = _day(entry["since"])
    if until is not None and until < since:
        raise ValueError("`until` is before `since`.")
    price = {name: None if entry.get(name) is None else micro_dollars(str(entry[name])) for name in _PRICES}
    return PriceRow(
        model=model,
        since=since,
        until=until,
        source=str(entry["source"]),
        above_prompt_tokens=above or 0,
        known_to_prompt_tokens=_tokens(entry, "known_to_prompt_tokens"),
        input_price=price["input"] or 0,
        output_price=price["output"] or 0,
        cache_read_price=price["cache_read"],
        cache_write_price=price["cache_write"],
        cache_write_long_price=price["cache_write_long"],
    )


def _tokens(entry: Mapping[str, object], key: str) -> int | None:
    value = entry.get(key)
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise ValueError(f"`{key}` is a whole number, 0 or more.")
    return value


def _day(value: object) -> date:
    if type(value) is date:
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no day; write it as 2026-11-21.") from None


def rows_of(model: str, day: date, rows: Iterable[PriceRow]) -> tuple[PriceRow, ...]:
    """Those that may price a call to `model` on `day`, whatever its length."""
    name = model.lower()
    return tuple(
        row
        for row in rows
        if row.since <= day
        and (row.until is None or day <= row.until)
        and fnmatch.fnmatchcase(name, row.model)
    )


def row_for(model: str, prompt_tokens: int, day: date, rows: Iterable[PriceRow]) -> PriceRow | None:
    """The price of `model` on `day`: the closest glob's, of these the newest, of these the highest step."""
    valid = [
        row
        for row in rows_of(model, day, rows)
        if row.above_prompt_tokens == 0 or prompt_tokens > row.above_prompt_tokens
    ]
    return max(
        valid, key=lambda row: (_closeness(row.model), row.since, row.above_prompt_tokens), default=None
    )


def cost_of(usage: Usage, model: str, day: date, rows: Iterable[PriceRow]) -> Cost:
    """What a call cost that was made on `day` (UTC). Rounded up to a whole micro-dollar, once."""
    row = row_for(model, usage.prompt_tokens, day, rows)
    if row is None:
        return Cost(micro_dollars=0, known=usage.known and usage.total_tokens == 0)
    beyond = row.known_to_prompt_tokens is not None and usage.prompt_tokens > row.known_to_prompt_tokens
    return Cost(micro_dollars=-(-row.of(usage) // MILLION), known=usage.known and not beyond, row=row)


def _closeness(glob: str) -> tuple[bool, int]:
    literal = sum(letter not in "*?" for letter in glob)
    return (literal == len(glob), literal)
