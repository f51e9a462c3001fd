"""What agents may use: limits of a story, a project and its day, what was used and what people added. PURE.

Amounts are whole numbers, so that sums are exact in any order: money in millionths of a US dollar, wall time
in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from core.errors import InvalidInput

WARN_PERCENT = 80
MOST = 10**12  # of one call, turn or raise: a sum of millions of them stays within 64 bits
Date = date  # a field of that name hides it from whoever reads the types of fields
_TICK = timedelta(microseconds=1)


class Unit(StrEnum):
    """The name of its field in Amounts and Limits."""

    TOKENS = "tokens"  # read and written, from a cache or not; reasoning is part of what is written
    MICRODOLLARS = "microdollars"
    TURNS = "turns"
    MILLISECONDS = "milliseconds"  # wall time of turns


class Scope(StrEnum):
    STORY = "story"  # all that was ever done for a story
    PROJECT = "project"  # all that was ever done for a project
    DAY = "day"  # a project's day by its time zone


class Level(StrEnum):
    """By what was really used; what is under way does not count."""

    FINE = "fine"
    NEAR = "near"  # the share is reached at which people are warned
    REACHED = "reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    tokens: int = 0
    microdollars: int = 0
    turns: int = 0
    milliseconds: int = 0

    def of(self, unit: Unit) -> int:
        value: int = getattr(self, unit.value)
        return value

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            tokens=self.tokens + other.tokens,
            microdollars=self.microdollars + other.microdollars,
            turns=self.turns + other.turns,
            milliseconds=self.milliseconds + other.milliseconds,
        )

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(
            tokens=self.tokens - other.tokens,
            microdollars=self.microdollars - other.microdollars,
            turns=self.turns - other.turns,
            milliseconds=self.milliseconds - other.milliseconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None: without limit. 0: nothing at all."""

    tokens: int | None = None
    microdollars: int | None = None
    turns: int | None = None
    milliseconds: int | None = None

    def __post_init__(self) -> None:
        for unit in Unit:
            limit = self.of(unit)
            if limit is not None and limit < 0:
                raise InvalidInput(
                    f"A budget of {worded(unit, limit)} is less than nothing.",
                    hint="Set 0 to let agents do nothing, or leave it out for no limit.",
                )

    def of(self, unit: Unit) -> int | None:
        value: int | None = getattr(self, unit.value)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """From `start` until before `end`, both UTC: 23 or 25 hours where clocks are changed."""

    date: Date
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a limit is for: a story, or a project's day, or else a project."""

    project: str
    story_id: str | None = None
    day: Day | None = None

    def __post_init__(self) -> None:
        if self.story_id is not None and self.day is not None:
            raise ValueError("an account is of a story or of a day")

    @property
    def scope(self) -> Scope:
        if self.story_id is not None:
            return Scope.STORY
        return Scope.PROJECT if self.day is None else Scope.DAY

    @property
    def whose(self) -> str:
        return self.project if self.story_id is None else self.story_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """A person's word that more may be used: `amount` on top of the limit from `at` until before `until`
    (None: for good). One for DAY adds to each day that it reaches into."""

    id: str  # of the click or command: twice the same counts once
    project: str
    scope: Scope
    story_id: str | None = None
    unit: Unit
    amount: int
    at: datetime
    until: datetime | None
    by: str

    def __post_init__(self) -> None:
        if not 1 <= self.amount <= MOST:
            raise InvalidInput(
                f"A budget cannot be raised by {worded(self.unit, self.amount)}.",
                hint=f"Give more than nothing and at most {worded(self.unit, MOST)}.",
            )
        if self.until is not None and self.until <= self.at:
            raise InvalidInput(
                "A budget cannot be raised until a time that is over.",
                why=f"{self.until.isoformat()} is not after {self.at.isoformat()}.",
                hint="Give a later time, or none to raise it for good.",
            )
        if (self.scope is Scope.STORY) != (self.story_id is not None):
            raise ValueError("a raise names a story if and only if it is for one")
        if not self.id or not self.by:
            raise ValueError("a raise has an id and a person")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimit:
    """An account as it is now: what counts for it, and its limits with what people added."""

    account: Account
    spent: Amounts
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStanding:
    unit: Unit
    spent: int
    reserved: int  # by calls under way
    limit: int  # with what people added
    raised: int  # of it, what people added
    percent: int  # of the limit that is spent, rounded down; may pass 100
    level: Level
    may_send: bool  # whether one more call may be sent
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One entry a unit that has a limit, in the order of Unit."""

    account: Account
    units: tuple[UnitStanding, ...]

    @property
    def may_send(self) -> bool:
        return all(one.may_send for one in self.units)

    @property
    def level(self) -> Level:
        return max((one.level for one in self.units), key=list(Level).index, default=Level.FINE)

    @property
    def stops(self) -> tuple[str, ...]:
        """Why nothing may be sent now; empty when it may."""
        return tuple(one.sentence for one in self.units if not one.may_send)

    @property
    def reached(self) -> bool:
        """Whether waiting for calls under way cannot help: work is to stop."""
        return self.level is Level.REACHED


def judge(
    account: Account,
    *,
    spent: Amounts,
    reserved: Amounts = Amounts(),
    limits: Limits,
    raised: Iterable[Raise] = (),
    warn_percent: int = WARN_PERCENT,
) -> Standing:
    """`raised`: those in force for this account (see `in_force`).

    One more call may be sent while spent and reserved together are below the limit. As each reserves its
    estimate before it is sent, together they pass the limit by less than one call's estimate, as far as the
    estimates are right.
    """
    if not 1 <= warn_percent <= 100:
        raise ValueError(f"a warning at {warn_percent} % is none")
    extra = dict.fromkeys(Unit, 0)
    for one in raised:
        extra[one.unit] += one.amount
    units = []
    for unit in Unit:
        limit = limits.of(unit)
        if limit is not None:
            limit += extra[unit]
            used, held = spent.of(unit), reserved.of(unit)
            level = _level(used, limit, warn_percent)
            percent = used * 100 // limit if limit else 100
            units.append(
                UnitStanding(
                    unit=unit,
                    spent=used,
                    reserved=held,
                    limit=limit,
                    raised=extra[unit],
                    percent=percent,
                    level=level,
                    may_send=used + held < limit,
                    sentence=_sentence(account, unit, used, held, limit, percent),
                )
            )
    return Standing(account=account, units=tuple(units))


def in_force(raises: Iterable[Raise], account: Account, now: datetime) -> tuple[Raise, ...]:
    return tuple(
        one
        for one in raises
        if (one.project, one.scope, one.story_id) == (account.project, account.scope, account.story_id)
        and one.at <= now
        and (one.until is None or now < one.until)
    )


def day_of(now: datetime, zone: tzinfo) -> Day:
    """The day of the zone in which `now` (aware) lies. Each moment is of exactly one day: a day begins when
    its date is first shown, also where clocks are put back behind midnight afterwards."""
    shown = now.astimezone(zone).date()
    after = shown + timedelta(days=1)
    # Behind a midnight that clocks were put back over, the day before is shown once more.
    today = after if _start(after, zone) <= now else shown
    end = today + timedelta(days=1)
    while _start(end, zone) <= _start(today, zone):  # a date that the zone left out
        end += timedelta(days=1)
    return Day(date=today, start=_start(today, zone), end=_start(end, zone))


def _start(day: date, zone: tzinfo) -> datetime:
    by_old, by_new = (datetime.combine(day, time(fold=fold), zone).astimezone(UTC) for fold in (0, 1))
    if by_old <= by_new:  # midnight is shown once, or twice
        return by_old
    before, after = by_new - _TICK, by_old  # never shown: the change lies between
    while after - before > _TICK:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).date() < day:
            before = middle
        else:
            after = middle
    return after


def worded(unit: Unit, amount: int) -> str:
    """`5.00 USD`, `120,000 tokens`, `1 turn`, `1 h 30 min`."""
    if unit is Unit.MICRODOLLARS:
        return _dollars(amount)
    if unit is Unit.MILLISECONDS:
        return _duration(amount)
    return f"{amount:,} {unit.value.removesuffix('s') if amount == 1 else unit.value}"


def _dollars(amount: int) -> str:
    """To the cent, and as exact as it is where it is no whole number of cents."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    fraction = f"{amount % 1_000_000:06}"
    return f"{sign}{amount // 1_000_000:,}.{fraction[:2]}{fraction[2:].rstrip('0')} USD"


def _duration(amount: int) -> str:
    if amount < 60_000:
        return f"{amount / 1000:g} s"
    minutes, seconds = divmod(amount // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{number} {name}" for number, name in parts if number)


def _level(spent: int, limit: int, warn_percent: int) -> Level:
    if spent >= limit:
        return Level.REACHED
    return Level.NEAR if spent * 100 >= limit * warn_percent else Level.FINE


def _sentence(account: Account, unit: Unit, spent: int, reserved: int, limit: int, percent: int) -> str:
    budget = worded(unit, limit) + (" for today" if account.scope is Scope.DAY else "")
    if limit == 0:
        return f"{account.whose} may use no {_NOUNS[unit]}{' today' if account.scope is Scope.DAY else ''}"
    if spent >= limit:
        over = f" and {worded(unit, spent - limit)} more" if spent > limit else ""
        ends = (
            "until tomorrow or until a person raises it"
            if account.scope is Scope.DAY
            else ("until a person raises it")
        )
        return f"{account.whose} has used all of its {budget}{over}; agents stop {ends}"
    if spent + reserved >= limit:
        return (
            f"{account.whose} has used {percent} % of its {budget}, and calls under way may use the rest;"
            " the next waits for them"
        )
    return f"{account.whose} has used {percent} % of its {budget}; agents stop at 100 %"


_NOUNS = {
    Unit.TOKENS: "tokens",
    Unit.MICRODOLLARS: "money",
    Unit.TURNS: "turns",
    Unit.MILLISECONDS: "time of agents",
}
