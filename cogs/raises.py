"""The buttons under a budget that is used up, and what they carry. PURE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from cogs.message import Button, Look
from core.domain.budget import MOST, Scope, Unit, worded
from core.domain.budget_words import parse_amount
from core.errors import InvalidInput
from core.ids import project_of

_SCOPES = {"s": Scope.STORY, "p": Scope.PROJECT, "d": Scope.DAY}
_UNITS = dict(zip("$tnm", (Unit.MICRODOLLARS, Unit.TOKENS, Unit.TURNS, Unit.MILLISECONDS), strict=True))
_WORDS = {
    Unit.MICRODOLLARS: "dollars",
    Unit.TOKENS: "tokens",
    Unit.TURNS: "turns",
    Unit.MILLISECONDS: "minutes",
}
_WHOLE = {Unit.MICRODOLLARS: 10_000, Unit.MILLISECONDS: 60_000}  # a cent, a minute: half of it is rounded up
_TARGET_LIMIT = 70  # characters, of what a button can carry


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """More of one unit, in its whole numbers. `name`: the project's; for a story the story's.
    `day`: the date that was used up, for Scope.DAY; `amount` 0: it is still to be said."""

    scope: Scope
    unit: Unit
    name: str
    day: date | None = None
    amount: int = 0

    @property
    def project(self) -> str:
        return project_of(self.name) if self.scope is Scope.STORY else self.name

    @property
    def whose(self) -> str:
        """`today`, or what it is for."""
        return "today" if self.scope is Scope.DAY else self.name


def half(unit: Unit, limit: int) -> int:
    """Half of a limit, rounded up: to the cent or the minute where it has as many. 0 where it is 0."""
    return _rounded(unit, -(-limit // 2))


def more(unit: Unit, amount: int) -> str:
    """`+$2.50`, `+60,000 tokens`, `+1 h 30 min`."""
    words = worded(unit, amount)
    return f"+${words.removesuffix(' USD')}" if unit is Unit.MICRODOLLARS else f"+{words}"


def raise_buttons(asked: Asked, limit: int, spent: int) -> tuple[Button, ...]:
    """Half as much again; where more than that was used already, so much that half is left. None for a limit
    of nothing, which only the settings change."""
    amount, words = half(asked.unit, limit), "Raise by half"
    if limit + amount <= spent:
        amount, words = _rounded(asked.unit, spent - limit + amount), "Raise"
    if limit <= 0 or amount > MOST:
        return ()
    buttons = (
        Button(
            label=f"{words}: {more(asked.unit, amount)} for {asked.whose}",
            verb="raise",
            target=target(replace(asked, amount=amount)),
            look=Look.PRIMARY,
        ),
        Button(
            label=f"Raise by … for {asked.whose}", verb="raise_by", target=target(replace(asked, amount=0))
        ),
    )
    return buttons if all(0 < len(button.target) <= _TARGET_LIMIT for button in buttons) else ()


def target(asked: Asked) -> str:
    unit = next(letter for letter, unit in _UNITS.items() if unit is asked.unit)
    day = "" if asked.day is None else asked.day.strftime("%Y%m%d")
    return f"{asked.scope.value[0]}:{unit}:{asked.amount}:{day}:{asked.name}"


def asked_of(text: str) -> Asked:
    """Of a button's or form's target. Raises InvalidInput for what is none."""
    try:
        scope, unit, amount, day, name = text.split(":")
        asked = Asked(
            scope=_SCOPES[scope],
            unit=_UNITS[unit],
            name=name,
            amount=int(amount),
            day=date(int(day[:4]), int(day[4:6]), int(day[6:])) if day else None,
        )
    except (ValueError, KeyError):
        raise InvalidInput(
            "This button is of another version.", hint="/budget show tells what may be used."
        ) from None
    return asked


def _rounded(unit: Unit, amount: int) -> int:
    whole = _WHOLE.get(unit, 1)
    return -(-amount // whole) * whole if amount >= whole else amount


def typed(text: str, unit: Unit) -> tuple[Unit, int]:
    """`2.50`, `2.50 dollars`, `$5`, `120k tokens`; without a word for the unit, `unit`. Raises
    InvalidInput."""
    words = text.split()
    if not 1 <= len(words) <= 2:
        raise InvalidInput(
            "That is no amount.", hint="Such as 2.50 dollars, 120k tokens, 3 turns, 90 minutes."
        )
    return parse_amount(words[0], words[1] if len(words) == 2 else _WORDS[unit])
