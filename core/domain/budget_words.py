"""Budgets as people type them: `5 dollars`, `120k tokens`, `3 turns`, `90 minutes`, `1.5 h`. PURE."""

from __future__ import annotations

import re
from decimal import Decimal

from core.domain.budget import MOST, Scope, Unit
from core.errors import InvalidInput

UNITS = ("dollars", "tokens", "turns", "minutes")
SCOPES = tuple(str(scope) for scope in Scope)
_NAMES = {
    **dict.fromkeys(("dollars", "dollar", "usd", "$"), (Unit.MICRODOLLARS, 1_000_000)),
    **dict.fromkeys(("tokens", "token"), (Unit.TOKENS, 1)),
    **dict.fromkeys(("turns", "turn"), (Unit.TURNS, 1)),
    **dict.fromkeys(("minutes", "minute", "min"), (Unit.MILLISECONDS, 60_000)),
    **dict.fromkeys(("hours", "hour", "h"), (Unit.MILLISECONDS, 3_600_000)),
}
_AMOUNT = re.compile(r"\$?([0-9][0-9_,]{0,20}(?:\.[0-9]{1,9})?)([km]?)", re.IGNORECASE)
_TIMES = {"": 1, "k": 1000, "m": 1_000_000}


def parse_amount(amount: str, unit: str) -> tuple[Unit, int]:
    """In the unit's whole numbers, rounded down. Raises InvalidInput for what is no amount above nothing."""
    named = _NAMES.get(unit.strip().lower())
    if named is None:
        raise InvalidInput(f"There is no unit '{unit.strip()[:40]}'.", hint=f"Possible: {', '.join(UNITS)}.")
    found = _AMOUNT.fullmatch(amount.strip())
    if found is None:
        raise InvalidInput(
            f"'{amount.strip()[:40]}' is no amount.", hint="Such as 5, 2.50, 120000, 120k; with a dot."
        )
    number = Decimal(re.sub("[_,]", "", found[1])) * _TIMES[found[2].lower()] * named[1]
    if not 1 <= number <= MOST:
        raise InvalidInput(f"{amount.strip()} {unit.strip()} is not possible.", hint="Give more, or less.")
    return named[0], int(number)


def parse_scope(word: str) -> Scope:
    """Raises InvalidInput."""
    try:
        return Scope(word.strip().lower())
    except ValueError:
        raise InvalidInput(
            f"There is no budget of a '{word.strip()[:40]}'.", hint=f"Possible: {', '.join(SCOPES)}."
        ) from None
