"""Which time a caller means, and in which spans: `24h`, or a beginning and an end as ISO 8601. PURE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from core.errors import InvalidInput

_BACK = re.compile(r"([1-9][0-9]{0,4})([mhdw])", re.ASCII)
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
LONGEST = timedelta(days=5 * 366)
MOST_POINTS = 2000  # of one series
_SHOWN = 750  # more of them no picture shows
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HINT = "Such as 24h, 7d, or 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z."


class Granularity(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        return {"minute": 60, "hour": 3600, "day": 86400}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """From `since` to before `until`, both in UTC. What was said as so far back from now is whole spans of
    the granularity: who asks twice within one is told the same, and has the same ETag."""

    since: datetime
    until: datetime
    granularity: Granularity


def read_range(text: str, granularity: Granularity | None, now: datetime) -> TimeRange:
    """Without a granularity the finest that a picture can show. Raises InvalidInput."""
    since, until = _ends(text.strip(), now)
    if not timedelta() < until - since <= LONGEST:
        raise InvalidInput(
            "This is no time range that can be looked at.", why=_length(since, until), hint=_HINT
        )
    finest = (one for one in Granularity if _points(since, until, one) <= _SHOWN)
    chosen = granularity or next(finest, Granularity.DAY)
    if (points := _points(since, until, chosen)) > MOST_POINTS:
        raise InvalidInput(
            f"That would be {points:.0f} points of each series; at most {MOST_POINTS} are told.",
            hint="Take a shorter time range, or a coarser granularity.",
        )
    if "/" not in text:
        since, until = _whole(since, chosen.seconds), _whole(until, chosen.seconds, up=True)
    return TimeRange(since=since, until=until, granularity=chosen)


def _ends(text: str, now: datetime) -> tuple[datetime, datetime]:
    if match := _BACK.fullmatch(text):
        try:
            return now - int(match[1]) * _UNITS[match[2]], now
        except OverflowError:
            raise InvalidInput("This time range begins before all time.", hint=_HINT) from None
    first, slash, last = text.partition("/")
    if not slash:
        raise InvalidInput("This is no time range.", hint=_HINT)
    return _time(first), _time(last)


def _whole(at: datetime, seconds: int, *, up: bool = False) -> datetime:
    over = (at - _EPOCH) % timedelta(seconds=seconds)
    return at - over + (timedelta(seconds=seconds) if up and over else timedelta())


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("This is no time.", hint=_HINT) from None


def _points(since: datetime, until: datetime, granularity: Granularity) -> float:
    return (until - since).total_seconds() / granularity.seconds


def _length(since: datetime, until: datetime) -> str:
    return "It ends before it begins." if until <= since else f"It is longer than {LONGEST.days} days."
