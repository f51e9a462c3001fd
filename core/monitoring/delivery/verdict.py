"""What an answer to a delivery means: told, later, slowly, or never as it is. PURE.

429 and 503 may say in Retry-After when to come again (RFC 9110, 10.2.3). Statuses of Slack's incoming
webhooks: 400 invalid_payload, 403 action_prohibited, 404 channel_not_found, 410 channel_is_archived.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import urlsplit

from core.domain.untrusted import one_line
from core.monitoring.delivery.answer import Answer, origin_of

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 600.0
MENDING_SECONDS = 300.0  # the first pause where the settings have to be corrected
LONGEST_ASKED_SECONDS = 3600.0  # whatever Retry-After says
_SHORTEST_SECRET = 8  # characters of a part of an address that is not repeated
JITTER = 0.25  # the share that chance adds, so that those who failed together do not come again together

_OF_THE_BODY = frozenset({400, 413, 415, 422})
_PASSING = frozenset({408, 423, 425, 429})


class Remedy(StrEnum):
    NONE = "none"  # it was taken
    WAIT = "wait"  # the other side has trouble
    MEND = "mend"  # somebody has to correct an address or a secret, here or there
    DROP = "drop"  # this body will never be taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`pause_seconds`: so long nothing more is sent to this address. `reason` is for people."""

    remedy: Remedy
    reason: str = ""
    pause_seconds: float = 0.0


TAKEN = Verdict(remedy=Remedy.NONE)


def judge(answer: Answer, url: str, failures: int, chance: float, now: datetime) -> Verdict:
    """`failures` in a row before this; `chance` in [0, 1)."""
    status, where = answer.status, origin_of(url)
    if 200 <= status < 300:
        return TAKEN
    said = one_line(_without(answer.words, url), 200)
    words = f"{where} answered {status}" + (f": {said}" if said else "")
    if 300 <= status < 400:
        place = answer.headers.get("location", "")
        to = f" to {origin_of(place)}" if "://" in place else ""
        reason = f"{where} redirects{to} (status {status}), which is not followed: name the right address"
        return Verdict(remedy=Remedy.MEND, reason=reason, pause_seconds=mending(failures, chance))
    if status in _OF_THE_BODY:
        return Verdict(remedy=Remedy.DROP, reason=words)
    if status >= 500 or status in _PASSING:
        asked = retry_after(answer.headers.get("retry-after", ""), now)
        return Verdict(remedy=Remedy.WAIT, reason=words, pause_seconds=max(asked, waiting(failures, chance)))
    return Verdict(remedy=Remedy.MEND, reason=words, pause_seconds=mending(failures, chance))


def _without(words: str, url: str) -> str:
    """Some repeat the address that was asked, and whoever has that may write there."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return words.replace(url, "…")
    named = (url, f"{parts.path}?{parts.query}", parts.path, parts.query, *parts.path.split("/"))
    for secret in sorted(filter(lambda one: len(one) >= _SHORTEST_SECRET, named), key=len, reverse=True):
        words = words.replace(secret, "…")
    return words


def unanswered(reason: str, failures: int, chance: float) -> Verdict:
    return Verdict(remedy=Remedy.WAIT, reason=reason, pause_seconds=waiting(failures, chance))


def waiting(failures: int, chance: float) -> float:
    """1 s, 2 s, 4 s and so on."""
    pause = FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 30)
    return min(pause, LONGEST_PAUSE_SECONDS) * (1 + JITTER * chance)


def mending(failures: int, chance: float) -> float:
    pause = MENDING_SECONDS * 2.0 ** min(failures, 30)
    return min(pause, LONGEST_ASKED_SECONDS) * (1 + JITTER * chance)


def retry_after(text: str, now: datetime) -> float:
    """Seconds to wait, of a number or a date (IMF-fixdate); 0 for what is neither. Raises nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_ASKED_SECONDS)
    try:
        at = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return min(max(0.0, (at - now).total_seconds()), LONGEST_ASKED_SECONDS)
