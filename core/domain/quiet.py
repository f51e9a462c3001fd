"""A person's quiet hours: from when to when nobody calls them. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_NEARBY = range(-2, 4)  # days whose hours can reach now, also where a zone once left a day out


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Wall-clock times of one zone (`Europe/Berlin`), to the minute. An end before the start is the next
    day's; the two are never equal."""

    start: time
    end: time
    time_zone: str


def quiet_until(now: datetime, quiet: QuietHours, zone: tzinfo) -> datetime | None:
    """When the quiet hours end in which `now` (aware) lies, in UTC; None when it lies in none.

    Where clocks are put back and show the end twice, the later one counts; where they are put forward and
    never show it, the moment it would have been by the old time.
    """
    today = now.astimezone(zone).date()
    spans = [_span(today + timedelta(days=days), quiet, zone) for days in _NEARBY]
    end: datetime | None = None
    for start, stop in sorted(spans):
        at = now if end is None else end  # a span may begin before another ends, when clocks are put back
        if start <= at < stop:
            end = stop
    return end


def _span(day: date, quiet: QuietHours, zone: tzinfo) -> tuple[datetime, datetime]:
    last = day if quiet.start < quiet.end else day + timedelta(days=1)
    start = datetime.combine(day, quiet.start, zone).astimezone(UTC)
    ends = (datetime.combine(last, quiet.end.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1))
    return start, max(ends)
