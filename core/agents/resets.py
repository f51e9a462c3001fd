"""When a usage limit ends, by what an agent says of it. Pure, but for the machine's tables of time zones.

    "limit reached|1700000000"   "resets 3pm (Europe/Berlin)"   "try again in 5h 30m"   "Retry-After: 3600"
    "resets Oct 9 at 5pm"   "regain access on 2026-12-01 at 00:00 UTC"   {"resets_in_seconds": 20}

The text is untrusted: whatever it says, the answer is a time within reason, or None.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_LONGEST = timedelta(days=32)  # a month's limit
_PAST = timedelta(days=1)  # what was over before that was not said of this limit
_LOOKED_AT = 4_000  # characters

# A time counts only where it stands behind a word that says what it is the time of.
_LEAD = re.compile(r"limit reached(?=\|)|reset|retry|renew|again|regain|available|until", re.IGNORECASE)
_REST_OF_WORD = re.compile(r"[\w-]*")
_BETWEEN = re.compile(
    r"(?:[^\w]|(?:access|at|on|in|after|is|the|about|again|will|be|it|by|your|limit|quota|approximately)(?!\w))*+",
    re.IGNORECASE,
)
_BETWEEN_LONGEST = 40

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_NAME, _MONTH_NAME = (rf"({'|'.join(names)})[a-z]*\.?" for names in (_DAYS, _MONTHS))
_NUMBER = re.compile(r"(\d{1,16})(?:\.\d+)?(?![\w:/-])")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T|,?\s+(?:at\s+)?|(?!\d))", re.IGNORECASE)
_MONTH_DAY = re.compile(
    rf"(?:{_DAY_NAME},?\s+)?{_MONTH_NAME}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,?\s+(\d{{4}})(?!\d))?"
    r"\s*,?\s*(?:at\s+)?",
    re.IGNORECASE,
)
_DAY_MONTH = re.compile(
    rf"(?:{_DAY_NAME},?\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+{_MONTH_NAME}(?:,?\s+(\d{{4}})(?!\d))?"
    r"\s*,?\s*(?:at\s+)?",
    re.IGNORECASE,
)
_WEEKDAY = re.compile(rf"(?:{_DAY_NAME}|(tomorrow|today))(?!\w),?\s*(?:at\s+)?", re.IGNORECASE)
_HALVED = re.compile(r"(\d{1,2})(?::(\d\d))?(?::\d\d)?\s*([ap])\.?m(?!\w)\.?", re.IGNORECASE)
_WHOLE = re.compile(r"(\d{1,2}):(\d\d)(?::\d\d(?:\.\d+)?)?(?!\d)")
_PIECE = re.compile(
    r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
    r"(?![a-z])(?:[\s,]|and(?!\w))*",
    re.IGNORECASE,
)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_OFFSET = re.compile(r"\s*\(?(?:UTC|GMT)?([+-])(\d{1,2}):?(\d\d)?(?!\d)", re.IGNORECASE)
_ZONE = re.compile(r"\s*\(?([A-Za-z]+(?:[/_+-][A-Za-z0-9]+)*)")
_ABBREVIATED = {
    "Z": 0, "UTC": 0, "GMT": 0, "BST": 1, "CET": 1, "CEST": 2, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5,
    "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip


def reset_time(text: str, now: datetime) -> datetime | None:
    """The first believable end of a limit in `text`, in UTC; None when it says none.

    `now` is aware; a time of day without a zone is in `now`'s. The answer is at most a day before `now`
    (the limit is over already) and at most 32 days after it.
    """
    text = text[:_LOOKED_AT]
    for lead in _LEAD.finditer(text):
        word = _REST_OF_WORD.match(text, lead.end())
        end = word.end() if word else lead.end()
        between = _BETWEEN.match(text, end, end + _BETWEEN_LONGEST)
        if between is None:
            continue
        try:
            found = _value(text, between.end(), text[lead.start() : end].lower(), now)
        except (ValueError, OverflowError, OSError):  # no such day, no such year
            continue
        if found is not None and now - _PAST <= found <= now + _LONGEST:
            return found.astimezone(UTC)
    return None


def _value(text: str, at: int, word: str, now: datetime) -> datetime | None:
    if match := _ISO.match(text, at):
        year, month, day = (int(part) for part in match.groups())
        return _at(text, match.end(), now, [(year, month, day)])
    if match := _MONTH_DAY.match(text, at):
        _, name, day_text, year_text = match.groups()
        return _dated(text, match.end(), now, name, int(day_text), year_text)
    if match := _DAY_MONTH.match(text, at):
        _, day_text, name, year_text = match.groups()
        return _dated(text, match.end(), now, name, int(day_text), year_text)
    if match := _WEEKDAY.match(text, at):
        return _weekday(text, match.end(), now, match.group(1), match.group(2))
    if seconds := _duration(text, at):
        return now + timedelta(seconds=seconds)
    if clock := _clock(text, at):
        hour_minute, end = clock
        zone = _zone(text, end) or _of(now)
        today = now.astimezone(zone).date()
        days = [today + timedelta(days=ahead) for ahead in (0, 1, 2)]
        moments = [datetime.combine(day, hour_minute, zone) for day in days]
        return next((moment for moment in moments if moment > now), None)
    if match := _NUMBER.match(text, at):
        return _number(int(match.group(1)), word, now)
    return None


def _number(number: int, word: str, now: datetime) -> datetime | None:
    """A bare number is an epoch when it is large enough, and else a wait, if the word says so."""
    if "ms" in word or "milli" in word:
        return now + timedelta(milliseconds=number)
    if number >= 10**8:
        return datetime.fromtimestamp(number / 1000 if number >= 10**11 else number, UTC)
    if re.search(r"after|delay|seconds|secs|_in\b", word):
        return now + timedelta(seconds=number)
    return None


def _duration(text: str, at: int) -> float:
    """Seconds of "5h 30m", "1 hour and 5 minutes", "34.07s"; 0 when there is no duration."""
    total = 0.0
    while match := _PIECE.match(text, at):
        unit = match.group(2).lower()
        milli = unit == "ms" or unit.startswith("milli")
        total += float(match.group(1)) * (0.001 if milli else _UNITS[unit[0]])
        at = match.end()
    return total


def _clock(text: str, at: int) -> tuple[time, int] | None:
    if match := _HALVED.match(text, at):
        hour = int(match.group(1))
        if not 1 <= hour <= 12:
            return None
        afternoon = 12 if match.group(3).lower() == "p" else 0
        return time(hour % 12 + afternoon, int(match.group(2) or 0)), match.end()
    if match := _WHOLE.match(text, at):
        return time(int(match.group(1)), int(match.group(2))), match.end()
    return None


def _zone(text: str, at: int) -> tzinfo | None:
    if match := _OFFSET.match(text, at):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-offset if sign == "-" else offset)
    match = _ZONE.match(text, at)
    if match is None:
        return None
    name = match.group(1)
    if name in _ABBREVIATED:
        return timezone(timedelta(hours=_ABBREVIATED[name]))
    if "/" not in name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _of(now: datetime) -> tzinfo:
    return now.tzinfo or UTC


def _at(text: str, at: int, now: datetime, days: list[tuple[int, int, int]]) -> datetime | None:
    """The first of `days` that is not long past, at the time of day that stands there, or at midnight."""
    clock = _clock(text, at)
    hour_minute, end = clock or (time(0, 0), at)
    zone = _zone(text, end) or _of(now)
    for year, month, day in days:
        moment = datetime(year, month, day, hour_minute.hour, hour_minute.minute, tzinfo=zone)
        if moment >= now - _PAST:
            return moment
    return None


def _dated(text: str, at: int, now: datetime, month_name: str, day: int, year: str | None) -> datetime | None:
    month = _MONTHS.index(month_name[:3].lower()) + 1
    years = [int(year)] if year else [now.year - 1, now.year, now.year + 1]
    if month == 2 and day == 29 and not year:
        years = [each for each in years if each % 4 == 0]
    return _at(text, at, now, [(each, month, day) for each in years])


def _weekday(text: str, at: int, now: datetime, name: str | None, near: str | None) -> datetime | None:
    hour_minute, end = _clock(text, at) or (time(0, 0), at)
    zone = _zone(text, end) or _of(now)
    today = now.astimezone(zone).date()
    if name is None:
        ahead = 1 if (near or "").lower() == "tomorrow" else 0
        return datetime.combine(today + timedelta(days=ahead), hour_minute, zone)
    ahead = (_DAYS.index(name[:3].lower()) - today.weekday()) % 7
    moment = datetime.combine(today + timedelta(days=ahead), hour_minute, zone)
    return moment if moment > now else moment + timedelta(days=7)
