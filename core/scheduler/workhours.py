"""Work hours: may a project's agents work at an instant, and when does that change next. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from core.errors import InvalidInput

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Days around now whose hours can reach it, also where a zone once left a day out or had one twice; and on
# to the second week, for the only day of work may be the one that a zone left out.
_BEFORE, _AFTER = 3, 16
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """From `start` to `end` (not included) by the wall clocks of `zone`, beginning on each of `days` (0:
    Monday). An end before the start is the next day's; the two are never equal."""

    start: time
    end: time
    days: frozenset[int]
    zone: tzinfo

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise InvalidInput("Work hours that start and end at the same time are none.")
        if not self.days or not self.days <= set(range(7)):
            raise InvalidInput(f"{sorted(self.days)} are no days to work on: 0 is Monday, 6 Sunday.")

    @classmethod
    def named(cls, *, start: time, end: time, days: Iterable[str], zone: tzinfo) -> Hours:
        """With days as the configuration writes them (`monday`). Raises InvalidInput for no day of a week."""
        named = frozenset(days)
        if unknown := sorted(named.difference(_DAYS)):
            raise InvalidInput(f"There is no day {unknown[0]!r} to work on.")
        return cls(start=start, end=end, days=frozenset(map(_DAYS.index, named)), zone=zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkTime:
    """`until`: the UTC instant at which `allowed` is no longer so; None: not within two weeks."""

    allowed: bool
    until: datetime | None


def work_time(now: datetime, hours: Hours | None) -> WorkTime:
    """Whether work is allowed at `now` (aware), and until when that holds. No hours: always.

    Where clocks are put back and show a time twice, work starts at the first and ends at the second. A time
    that clocks never show, as they are put forward over it, stands for the moment at which they are.
    """
    if now.tzinfo is None:
        raise InvalidInput(f"{now} has no time zone.")
    if hours is None:
        return WorkTime(allowed=True, until=None)
    until: datetime | None = None
    for start, stop in _spans(now, hours):
        if until is not None and start > until:
            break
        if until is None and now < start:
            return WorkTime(allowed=False, until=start)
        if until is not None or now < stop:  # a span may begin before another ends, when clocks are put back
            until = stop if until is None else max(until, stop)
    return WorkTime(allowed=until is not None, until=until)


def may_work(now: datetime, hours: Hours | None) -> bool:
    return work_time(now, hours).allowed


def _spans(now: datetime, hours: Hours) -> Iterator[tuple[datetime, datetime]]:
    """By their starts: the first moment at which clocks show so late a time. Made as they are asked for,
    since the scheduler asks for every project at each pass."""
    today = now.astimezone(hours.zone).date()
    for away in range(-_BEFORE, _AFTER):
        day = today + timedelta(days=away)
        if day.weekday() in hours.days:
            last = day if hours.start < hours.end else day + timedelta(days=1)
            start = _moment(day, hours.start, hours.zone, last=False)
            stop = _moment(last, hours.end, hours.zone, last=True)
            if start < stop:
                yield start, stop


def _moment(day: date, at: time, zone: tzinfo, *, last: bool) -> datetime:
    """The UTC instant of a wall-clock time: the first or the last of two, and of none the change itself."""
    by_old, by_new = (datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1))
    if by_old <= by_new:
        return by_new if last else by_old
    before, after = by_new, by_old  # never shown: the change lies between what the two offsets make of it
    old = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
