"""Failures that an agent reports as a normal end of its turn, and usage limits. Pure.

Some agents answer an HTTP error of their model with `end_turn` and a sentence of text. That counts
as a failed turn only when nothing else happened: text alone proves nothing. The one exception is a
last line in a provider's own words for a usage limit with its end: that is no way to end a story.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.agents.resets import reset_time
from core.agents.turn import TurnKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`kind`: FAILED, a retry may help; BLOCKED, people must mend it; LIMITED, wait until `until`."""

    error: str  # a sentence
    hint: str
    kind: TurnKind
    until: datetime | None = None  # UTC; None: unsaid


_LIMIT = re.compile(
    r"usage[ _]limit|limit reached\||"
    r"(?:session|hourly|\d+[- ]hour|daily|weekly|monthly|spend(?:ing)?|opus|sonnet) limit "
    r"(?:was |is |has been )?(?:reached|exceeded|hit)|"
    r"(?:hit|reached|exceeded|exhausted) (?:your|the) (?:(?!rate\b)[\w-]+ ){0,3}(?:limit|capacity)\b",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"quota (?:will reset|exceeded|exhausted|limit|has been)|exceeded your (?:current |daily )?quota|"
    r"exhausted your (?:[\w-]+ )?quota|resource_exhausted",
    re.IGNORECASE,
)
_MONEY = re.compile(r"insufficient[_ ]quota|credit balance is too low|billing", re.IGNORECASE)
_LOGIN = re.compile(
    r"(?:last status:?|status(?: code)?:?|API Error:?|HTTP) 40[13]\b|invalid[ _-]api[ _-]key|"
    r"authentication (?:required|failed|error)|unauthori[sz]ed|not logged in|please (?:run )?/?login",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"(?:last status:?|status(?: code)?:?|API Error:?|HTTP) 429\b|rate[ _-]limit|too many requests",
    re.IGNORECASE,
)
_HTTP = re.compile(
    r"(?:last status:?|status(?: code)?:?|API Error:?|HTTP) [45]\d\d\b|exceeded retry limit|"
    r"stream (?:error|disconnected)|overloaded|connection (?:error|refused|reset)|"
    r"^API Error\b|request timed out|error sending request",
    re.IGNORECASE | re.MULTILINE,
)
_PROVIDERS_WORDS = re.compile(
    r"(?:\[replay\] )?(?:(?:Claude|Codex|Gemini|OpenAI)(?: \w+)? usage limit reached|"
    r"You(?:['\u2019]ve| have) (?:hit|reached|exhausted|exceeded) your|"
    r"(?:Session|Weekly|5-hour|Opus weekly) limit reached|API Error: 429)",
)
_ABOUT = 2_000  # an error message is short; a long answer that mentions one is an answer
_LAST_LINE = 400
_LONG = timedelta(minutes=10)  # a wait that long is no matter of a retry


def hidden_fault(agent: str, text: str, now: datetime) -> Fault | None:
    """The failure that a turn's closing words report, or None. Only asked when the turn did nothing."""
    if len(text) > _ABOUT:
        return None
    named = (_LIMIT, _QUOTA, _MONEY, _LOGIN, _RATE, _HTTP)
    return fault_of(agent, text, now) if any(each.search(text) for each in named) else None


def closing_limit(agent: str, text: str, now: datetime) -> Fault | None:
    """The usage limit that ended a turn in its middle: its last line is a provider's, with a time."""
    lines = text.strip().splitlines()
    line = lines[-1] if lines else ""
    if len(line) > _LAST_LINE or not _PROVIDERS_WORDS.match(line):
        return None
    fault = fault_of(agent, line, now)
    return fault if fault.kind is TurnKind.LIMITED and fault.until is not None else None


def fault_of(agent: str, text: str, now: datetime) -> Fault:
    """What an error text of an agent means and what to do about it. `now` is aware, in the machine's zone."""
    said = " ".join(text.split())[:500]
    until = reset_time(text, now)
    if _is_limit(text, until, now):
        hint = "Wait until the limit resets or raise it, then let the story go on."
        error = f"{agent} ran into a usage limit: {said}"
        return Fault(error=error, hint=hint, kind=TurnKind.LIMITED, until=until)
    if _MONEY.search(text):
        hint = "Pay or raise the limit with the provider, then let the story go on."
        return Fault(error=f"{agent} has no credit left: {said}", hint=hint, kind=TurnKind.BLOCKED)
    if _LOGIN.search(text):
        return Fault(error=f"{agent} is not logged in: {said}", hint=_log_in(agent), kind=TurnKind.BLOCKED)
    return Fault(error=f"{agent} reported an error: {said}", hint="See the transcript.", kind=TurnKind.FAILED)


def request_fault(agent: str, code: int, message: str, data: object, now: datetime) -> Fault:
    """The same for a JSON-RPC error; `data` may hold the limit's end too."""
    details = _details(data)
    said = message if not details else f"{message}: {details}"
    whole = f"{said} {_plain(data)}" if isinstance(data, dict | list) else said
    fault = fault_of(agent, whole, now)
    if fault.kind is TurnKind.LIMITED:
        return Fault(
            error=f"{agent} ran into a usage limit: {said[:500]}",
            hint=fault.hint,
            kind=fault.kind,
            until=fault.until,
        )
    if code == -32000:
        return Fault(error=f"{agent} wants a login: {said[:500]}", hint=_log_in(agent), kind=TurnKind.BLOCKED)
    return fault_of(agent, f"{said} (code {code})", now)


def _is_limit(text: str, until: datetime | None, now: datetime) -> bool:
    """A provider's 429 for a minute's requests is none: the agent's next attempt is late enough."""
    if _LIMIT.search(text):
        return True
    if until is not None and until - now >= _LONG:
        return any(each.search(text) for each in (_QUOTA, _MONEY, _RATE))
    return until is None and bool(_QUOTA.search(text)) and not _MONEY.search(text)


def _details(data: object) -> str:
    found = data
    if isinstance(data, dict):
        found = data.get("details") or data.get("message") or data.get("error")
        if isinstance(found, dict):
            found = found.get("message") or found
    return "" if not found else found if isinstance(found, str) else _plain(found)


def _plain(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, default=str)[:_ABOUT]


def _log_in(agent: str) -> str:
    return f"Log in, or set the API key that the agent row {agent!r} names, in Orchard's environment."
