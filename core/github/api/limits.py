"""GitHub's limits as its answers tell of them, and how long one has to wait. PURE.

Primary: so many requests an hour (x-ratelimit-*). Secondary: too many at once or too fast; said
by `retry-after`, or by words alone. Where it does not say how long: a minute, and longer each time.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.github.api.parsers import obj, parse_json, text_of

_WORDS = ("secondary rate limit", "abuse detection", "api rate limit exceeded", "submitted too quickly")
_SILENT_SECONDS = 60  # where GitHub does not say how long
_MARGIN = timedelta(seconds=1)  # its clock is not ours: who comes too early is sent away for longer
_LONGEST = timedelta(hours=2)  # a clock or a header is wrong that says more


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one answer said. `refused`: by a limit, so that it was not carried out."""

    limit: int | None
    remaining: int | None
    resets_at: datetime | None
    refused: bool
    wait_until: datetime | None  # nothing should be asked before


def hear(status: int, headers: Mapping[str, str], body: str, now: datetime, times: int) -> Heard:
    """`headers` have small letters. `times`: how often in a row it was refused before."""
    of_core = headers.get("x-ratelimit-resource", "core") in ("core", "")
    limit, remaining = (
        (_count(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining"))
        if of_core
        else (None, None)
    )
    reset = _moment(headers.get("x-ratelimit-reset"), now) if of_core else None
    used_up = remaining == 0 and reset is not None and reset > now
    refused = status in (403, 429) and (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or status == 429
        or _says_so(body)
    )
    until = reset + _MARGIN if used_up and reset is not None else None
    if refused:
        until = _refused_until(headers, until, now, times)
    return Heard(limit=limit, remaining=remaining, resets_at=reset, refused=refused, wait_until=until)


def _refused_until(
    headers: Mapping[str, str], used_up_until: datetime | None, now: datetime, times: int
) -> datetime:
    after = _count(headers.get("retry-after"))
    if after is not None:
        return now + min(timedelta(seconds=max(after, 1)), _LONGEST)
    if used_up_until is not None:
        return used_up_until
    return now + min(timedelta(seconds=_SILENT_SECONDS * 2 ** min(times, 6)), _LONGEST)


def _says_so(body: str) -> bool:
    said = text_of(obj(parse_json(body)).get("message")).lower()
    return any(words in said for words in _WORDS)


def _count(text: str | None) -> int | None:
    """PyGithub has met figures with a point in these headers."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return int(found) if 0 <= found < 2**53 else None


def _moment(text: str | None, now: datetime) -> datetime | None:
    seconds = _count(text)
    if seconds is None or seconds > now.timestamp() + _LONGEST.total_seconds():
        return None if seconds is None else now + _LONGEST
    return datetime.fromtimestamp(seconds, UTC)
