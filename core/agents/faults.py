"""Failures that an agent reports as a normal end of its turn. Pure.

Some agents answer an HTTP error of their model with `end_turn` and a sentence of text. That counts
as a failed turn only when nothing else happened: text alone proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    error: str  # a sentence
    hint: str
    blocked: bool  # people must mend it, a retry will not


_LIMIT = re.compile(
    r"usage limit|quota (?:exceeded|exhausted)|insufficient[_ ]quota|credit balance is too low|billing",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"(?:last status:?|status(?: code)?:?|API Error:?|HTTP) 40[13]\b|invalid[ _-]api[ _-]key|"
    r"authentication (?:required|failed|error)|unauthori[sz]ed|not logged in|please (?:run )?/?login",
    re.IGNORECASE,
)
_HTTP = re.compile(
    r"(?:last status:?|status(?: code)?:?|API Error:?|HTTP) [45]\d\d\b|exceeded retry limit|"
    r"stream (?:error|disconnected)|rate[ _-]limit|overloaded|connection (?:error|refused|reset)",
    re.IGNORECASE,
)
_ABOUT = 2_000  # an error message is short; a long answer that mentions one is an answer


def hidden_fault(agent: str, text: str) -> Fault | None:
    """The failure that a turn's closing words report, or None. Only asked when the turn did nothing."""
    if len(text) > _ABOUT:
        return None
    return fault_of(agent, text) if _HTTP.search(text) or _LOGIN.search(text) or _LIMIT.search(text) else None


def fault_of(agent: str, text: str) -> Fault:
    """What an error text of an agent means and what to do about it."""
    said = " ".join(text.split())[:500]
    if _LIMIT.search(text):
        hint = "Wait until the limit resets or raise it, then let the story go on."
        return Fault(error=f"{agent} ran into a usage limit: {said}", hint=hint, blocked=True)
    if _LOGIN.search(text):
        hint = f"Log in, or set the API key that the agent row {agent!r} names, in Orchard's environment."
        return Fault(error=f"{agent} is not logged in: {said}", hint=hint, blocked=True)
    return Fault(error=f"{agent} reported an error: {said}", hint="See the transcript.", blocked=False)


def request_fault(agent: str, code: int, message: str, data: object) -> Fault:
    """The same for a JSON-RPC error."""
    details = (
        data.get("details") or data.get("message") or data.get("error") if isinstance(data, Mapping) else data
    )
    said = message if not details else f"{message}: {details}"
    if code == -32000:
        hint = f"Log in, or set the API key that the agent row {agent!r} names, in Orchard's environment."
        return Fault(error=f"{agent} wants a login: {said[:500]}", hint=hint, blocked=True)
    return fault_of(agent, f"{said} (code {code})")
