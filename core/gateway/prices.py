"""What a call costs, by dated price rows. PURE.

Money is a whole number of micro-dollars ($0.000001). A price of "$0.125 for a million tokens" is 125,000
micro-dollars a million, so a cost is exact up to the one rounding at its end, and sums of costs are exact.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
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
    costs what input does.
    """

    model: str
    since: date
    source: str
    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_long: int | None = None
    until: date | None = None
    above_prompt_tokens: int = 0

    def of(self, usage: Usage) -> int:
        """The cost of `usage` in millionths of a micro-dollar, exact."""
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        long = write if self.cache_write_long is None else self.cache_write_long
        return (
            usage.input_tokens * self.input
            + usage.cache_read_tokens * read
            + usage.cache_write_tokens * write
            + usage.cache_write_long_tokens * long
            + usage.output_tokens * self.output
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
    """Dollars as written ("0.125") in micro-dollars. Raises ValueError for what is none, or not exact in them."""
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


def row_for(model: str, prompt_tokens: int, day: date, rows: Iterable[PriceRow]) -> PriceRow | None:
    """The price that `model` has on `day`: the closest glob's, the newest of these, the highest step reached."""
    name = model.lower()
    valid = [
        row
        for row in rows
        if row.since <= day
        and (row.until is None or day <= row.until)
        and fnmatch.fnmatchcase(name, row.model)
        and (row.above_prompt_tokens == 0 or prompt_tokens > row.above_prompt_tokens)
    ]
    return max(
        valid, key=lambda row: (_closeness(row.model), row.since, row.above_prompt_tokens), default=None
    )


def cost_of(usage: Usage, model: str, day: date, rows: Iterable[PriceRow]) -> Cost:
    """What a call cost that was made on `day` (UTC). Rounded up to a whole micro-dollar, once."""
    row = row_for(model, usage.prompt_tokens, day, rows)
    if row is None:
        return Cost(micro_dollars=0, known=usage.known and usage.total_tokens == 0)
    return Cost(micro_dollars=-(-row.of(usage) // MILLION), known=usage.known, row=row)


def _closeness(glob: str) -> tuple[bool, int]:
    literal = sum(letter not in "*?" for letter in glob)
    return (literal == len(glob), literal)
