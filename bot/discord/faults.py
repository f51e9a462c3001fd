"""What a failed post means: try again, make the place again, or give up. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import aiohttp
import discord

from core.errors import OrchardError

TRIES_WHEN_FORBIDDEN = 6  # about ten minutes, in which somebody may grant the permission
TRIES_WHEN_UNKNOWN = 5
LONGEST_PAUSE_SECONDS = 300.0

_SERVER_FULL = frozenset({30013, 160006})  # channels, active threads


class Remedy(StrEnum):
    RETRY = "retry"
    REMAKE = "remake"  # the channel or thread is gone
    PLAIN = "plain"  # Discord does not take what was rendered
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    remedy: Remedy
    reason: str  # for the log and the outbox
    pause_seconds: float = 0.0
    needs_people: bool = False  # a permission or a limit that only somebody in Discord can mend
    foreseen: bool = True


def judge(error: Exception, attempts: int) -> Fault:
    """`attempts` failed before this one."""
    pause = min(2.0 ** min(attempts, 20), LONGEST_PAUSE_SECONDS)
    if isinstance(error, discord.RateLimited):
        return Fault(remedy=Remedy.RETRY, reason="rate limited", pause_seconds=error.retry_after)
    if isinstance(error, discord.HTTPException):
        return _judge_answer(error, attempts, pause)
    if isinstance(error, aiohttp.ClientError | OSError | TimeoutError | OrchardError):
        reason = f"{type(error).__name__}: {error}"
        return Fault(remedy=Remedy.RETRY, reason=reason, pause_seconds=pause)
    if isinstance(error, RuntimeError) and "closed" in str(error):
        return Fault(remedy=Remedy.RETRY, reason="the connection closed", pause_seconds=1.0)
    remedy = Remedy.RETRY if attempts + 1 < TRIES_WHEN_UNKNOWN else Remedy.DEAD
    return Fault(
        remedy=remedy, reason=f"{type(error).__name__}: {error}", pause_seconds=pause, foreseen=False
    )


def _judge_answer(error: discord.HTTPException, attempts: int, pause: float) -> Fault:
    reason = f"Discord answered {error.status} (code {error.code}): {error.text[:300]}"
    if error.status >= 500 or error.status in (401, 408, 429):
        return Fault(remedy=Remedy.RETRY, reason=reason, pause_seconds=pause)
    if error.status == 404:
        remedy = Remedy.REMAKE if attempts + 1 < TRIES_WHEN_UNKNOWN else Remedy.DEAD
        return Fault(remedy=remedy, reason=reason, pause_seconds=0.0 if attempts == 0 else pause)
    if error.status == 403 or error.code in _SERVER_FULL:
        remedy = Remedy.RETRY if attempts + 1 < TRIES_WHEN_FORBIDDEN else Remedy.DEAD
        longer = min(5.0 * pause, LONGEST_PAUSE_SECONDS)
        return Fault(remedy=remedy, reason=reason, pause_seconds=longer, needs_people=True)
    remedy = Remedy.PLAIN if attempts == 0 else Remedy.DEAD
    return Fault(remedy=remedy, reason=reason)
