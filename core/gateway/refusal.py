"""Why a provider refused a call, by its status, headers and body. PURE.

Sources: platform.claude.com/docs/en/api/errors and /rate-limits,
platform.openai.com/docs/guides/error-codes, ai.google.dev/gemini-api/docs/troubleshooting. The texts are
the provider's or somebody's in between: untrusted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from core.gateway.answer import Object, first, obj, parsed
from core.gateway.wire import WireFormat


class RefusalKind(StrEnum):
    RATE_LIMITED = "rate_limited"  # too many at once: later, soon
    OVERLOADED = "overloaded"  # the provider has too much to do, for all
    QUOTA = "quota"  # what was bought is used up until it resets
    CREDIT = "credit"  # no money left, or its own limit reached: people must act
    AUTH = "auth"  # the key is wrong or may not
    BAD_REQUEST = "bad_request"  # the same call would be refused again
    FAILED = "failed"  # the provider's own error; another try may help


HOLDS = frozenset({RefusalKind.QUOTA, RefusalKind.CREDIT, RefusalKind.AUTH})  # all that depends on the key


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`retry_after_seconds`: what the provider said, None when it did not; `until`: aware UTC, of a quota."""

    kind: RefusalKind
    message: str
    retry_after_seconds: float | None = None
    until: datetime | None = None


LONGEST = timedelta(days=32)  # a month's limit; a provider that says more is not believed
_LONG_SECONDS = 600.0  # a wait this long is a quota's, not a rate's
_MESSAGE = 500
_MOST_BYTES = 64 << 10
_CREDIT = frozenset(
    {"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "billing_error",
     "billing_not_active"}
)  # fmt: skip
_QUOTA = frozenset({"usage_limit_reached", "enforced_spend_limit_reached", "quota_exceeded"})
_KINDS = {
    "rate_limit_error": RefusalKind.RATE_LIMITED,
    "rate_limit_exceeded": RefusalKind.RATE_LIMITED,
    "resource_exhausted": RefusalKind.RATE_LIMITED,
    "overloaded_error": RefusalKind.OVERLOADED,
    "server_is_overloaded": RefusalKind.OVERLOADED,
    "slow_down": RefusalKind.OVERLOADED,
    "unavailable": RefusalKind.OVERLOADED,
    "authentication_error": RefusalKind.AUTH,
    "permission_error": RefusalKind.AUTH,
    "invalid_api_key": RefusalKind.AUTH,
    "unauthenticated": RefusalKind.AUTH,
    "permission_denied": RefusalKind.AUTH,
    "invalid_request_error": RefusalKind.BAD_REQUEST,
    "not_found_error": RefusalKind.BAD_REQUEST,
    "request_too_large": RefusalKind.BAD_REQUEST,
    "invalid_argument": RefusalKind.BAD_REQUEST,
    "context_length_exceeded": RefusalKind.BAD_REQUEST,
    "server_error": RefusalKind.FAILED,
    "api_error": RefusalKind.FAILED,
    "internal": RefusalKind.FAILED,
}
_NO_CREDIT = re.compile(
    r"credit balance is too low|exceeded your current quota, please check your plan", re.I
)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h|d))+")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def refusal_of(
    wire_format: WireFormat, status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> Refusal:
    """What an answer with an error's `status` means. `now` is aware. Never raises, whatever was sent."""
    value = parsed(body[:_MOST_BYTES])
    error = _error_in(value)
    text = body[:_MESSAGE].decode("utf-8", "replace") if not error else ""
    return _refusal(
        wire_format, status, {name.lower(): each for name, each in headers.items()}, error, text, now
    )


def refusal_amid(wire_format: WireFormat, error: Object, now: datetime) -> Refusal:
    """The same of an error object that came amid a stream, where the status was 200 already."""
    return _refusal(wire_format, 0, {}, error, "", now)


def _refusal(
    wire_format: WireFormat, status: int, headers: Mapping[str, str], error: Object, text: str, now: datetime
) -> Refusal:
    names = _names(error)
    message = " ".join(str(error.get("message") or text or f"HTTP {status}").split())[:_MESSAGE]
    wait = _retry_after(headers, error, now)
    kind = _kind(status, names, message)
    until: datetime | None = None
    if kind in (RefusalKind.RATE_LIMITED, RefusalKind.QUOTA):
        until = _reset(wire_format, names, headers, error, now)
        if until is None and wait is not None and wait >= _LONG_SECONDS:
            until = _in(now, wait)
        kind = RefusalKind.QUOTA if until is not None else kind
    return Refusal(kind=kind, message=message, retry_after_seconds=wait, until=until)


def _error_in(value: object) -> Object:
    if isinstance(value, list):  # Gemini, when the stream was not asked for as events
        value = first(value)
    found = obj(value).get("error")
    if isinstance(found, str):
        return {"message": found, **{name: each for name, each in obj(value).items() if name != "error"}}
    return obj(found) or ({} if not obj(value).get("message") else obj(value))


def _names(error: Object) -> frozenset[str]:
    """Every name that the provider gives the error, in lower case."""
    given = [
        error.get("type"),
        error.get("code"),
        error.get("status"),
        obj(error.get("details")).get("error_code"),
    ]
    return frozenset(each.lower() for each in given if isinstance(each, str))


def _kind(status: int, names: frozenset[str], message: str) -> RefusalKind:
    if names & _CREDIT or status == 402 or _NO_CREDIT.search(message):
        return RefusalKind.CREDIT
    if names & _QUOTA:
        return RefusalKind.QUOTA
    if status == 429:
        return RefusalKind.RATE_LIMITED
    if status in (503, 529):
        return RefusalKind.OVERLOADED
    if status in (401, 403):
        return RefusalKind.AUTH
    named = sorted({_KINDS[name] for name in names if name in _KINDS})
    if named:
        return RefusalKind.AUTH if RefusalKind.AUTH in named else named[-1]
    return RefusalKind.BAD_REQUEST if 400 <= status < 500 and status not in (408, 409) else RefusalKind.FAILED


def _reset(
    wire_format: WireFormat, names: frozenset[str], headers: Mapping[str, str], error: Object, now: datetime
) -> datetime | None:
    now = now.astimezone(UTC)
    if "enforced_spend_limit_reached" in names:  # of a calendar month, in UTC
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return (month + timedelta(days=32)).replace(day=1)
    if "usage_limit_reached" in names:  # OpenAI, of a plan
        return _at(now, error.get("resets_at")) or _in(now, _seconds(error.get("resets_in_seconds")))
    if (
        wire_format is WireFormat.ANTHROPIC
        and headers.get("anthropic-ratelimit-unified-status") == "rejected"
    ):
        return _at(now, headers.get("anthropic-ratelimit-unified-reset"))
    if wire_format is WireFormat.GEMINI and _is_daily(error):
        # Days end at midnight in California: 08:00 UTC, and an hour before that in summer.
        end = now.replace(hour=8, minute=0, second=0, microsecond=0)
        return end if end > now else end + timedelta(days=1)
    return None


def _details(error: Object) -> list[Object]:
    found = error.get("details")
    return [obj(each) for each in found[:20]] if isinstance(found, list) else []


def _is_daily(error: Object) -> bool:
    return any(
        "PerDay" in str(obj(each).get("quotaId", ""))
        for detail in _details(error)
        for each in (detail.get("violations") if isinstance(detail.get("violations"), list) else ())  # type: ignore[union-attr]
    )


def _retry_after(headers: Mapping[str, str], error: Object, now: datetime) -> float | None:
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    said = headers.get("retry-after", "").strip()
    seconds = _seconds(said)
    if seconds is None and said:
        try:
            seconds = (datetime.strptime(said, _DATE).replace(tzinfo=UTC) - now).total_seconds()
        except ValueError:
            seconds = None
    if seconds is None:
        delays = (detail.get("retryDelay") for detail in _details(error))  # Gemini's RetryInfo: "34.07s"
        seconds = next((each for each in map(_duration, delays) if each is not None), None)
    return None if seconds is None else _bounded(seconds)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST.total_seconds())


def _seconds(value: Any) -> float | None:
    """A number, also as text; None for anything else and for what is no duration."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value[:40] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _duration(value: object) -> float | None:
    if not isinstance(value, str) or len(value) > 80 or not _WHOLE.fullmatch(value):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(value))


def _in(now: datetime, seconds: float | None) -> datetime | None:
    if seconds is None or seconds > LONGEST.total_seconds():
        return None
    return now.astimezone(UTC) + timedelta(seconds=seconds)


def _at(now: datetime, epoch: object) -> datetime | None:
    """A Unix time within reason, in the future."""
    seconds = _seconds(epoch)
    if seconds is None or seconds > 10**11:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment if now < moment <= now + LONGEST else None
