"""Rate limits: buckets a route, the global one, and the headers that tell of them.

Discord does not promise any number; these are what its headers have been seen to say.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_MAX_WINDOWS = 10_000
_FREE_OF_GLOBAL = ("/interactions/", "/webhooks/")  # interaction endpoints do not count


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many requests in a window of so many seconds."""

    requests: int
    seconds: float


OBSERVED: Mapping[str, Limit] = MappingProxyType(
    {
        "POST /channels/{channel_id}/messages": Limit(requests=5, seconds=5),
        "PATCH /channels/{channel_id}/messages/{message_id}": Limit(requests=5, seconds=5),
        "DELETE /channels/{channel_id}/messages/{message_id}": Limit(requests=5, seconds=1),
        "PATCH /channels/{channel_id}": Limit(requests=5, seconds=15),
        "PUT /applications/{application_id}/guilds/{guild_id}/commands": Limit(requests=2, seconds=20),
        "POST /webhooks/{webhook_id}/{webhook_token}": Limit(requests=5, seconds=5),
        "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original": Limit(requests=5, seconds=5),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    routes: Mapping[str, Limit] = field(default_factory=lambda: OBSERVED)
    otherwise: Limit = Limit(requests=10, seconds=10)
    everything: Limit = Limit(requests=50, seconds=1)
    channel_renames: Limit = Limit(requests=2, seconds=600)  # name or topic; hidden from the headers

    @classmethod
    def generous(cls) -> RatePolicy:
        """No waiting but the hidden limit on renames: for tests and demos that measure other things."""
        plenty = Limit(requests=1_000_000, seconds=1)
        return cls(routes={}, otherwise=plenty, everything=plenty)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateVerdict:
    """`retry_after_seconds` is None when the request may pass."""

    headers: Mapping[str, str]
    retry_after_seconds: float | None = None
    is_global: bool = False
    scope: str = "user"


@dataclass(slots=True)
class _Window:
    started: float
    used: int = 0


class RateLimits:
    """Counts requests; `monotonic` and `wall` are clocks in seconds."""

    def __init__(self, policy: RatePolicy, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        self._policy = policy
        self._monotonic = monotonic
        self._wall = wall
        self._windows: dict[tuple[str, str], _Window] = {}
        self._everything: deque[float] = deque()
        self._renames: dict[int, deque[float]] = {}

    def take(self, method: str, template: str, major: str) -> RateVerdict:
        """Count one request on a route; `major` is what splits its bucket (channel, guild, webhook)."""
        now = self._monotonic()
        if not template.startswith(_FREE_OF_GLOBAL):
            wait = _slide(self._everything, self._policy.everything, now)
            if wait is not None:
                headers = {"X-RateLimit-Global": "true"}
                return RateVerdict(headers=headers, retry_after_seconds=wait, is_global=True, scope="global")
        route = f"{method} {template}"
        limit = self._policy.routes.get(route, self._policy.otherwise)
        window = self._windows.get((route, major))
        if len(self._windows) > _MAX_WINDOWS:
            self._forget_old(now)
        if window is None or now >= window.started + limit.seconds:
            window = self._windows[(route, major)] = _Window(now)
        allowed = window.used < limit.requests
        window.used += allowed
        reset_after = max(window.started + limit.seconds - now, 0.001)
        headers = {
            "X-RateLimit-Limit": str(limit.requests),
            "X-RateLimit-Remaining": str(limit.requests - window.used),
            "X-RateLimit-Reset": f"{self._wall() + reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{reset_after:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(route.encode()).hexdigest()[:32],
        }
        return RateVerdict(headers=headers, retry_after_seconds=None if allowed else reset_after)

    def _forget_old(self, now: float) -> None:
        # each interaction's token makes buckets of its own, which would pile up
        longest = max(
            [self._policy.otherwise.seconds, *(one.seconds for one in self._policy.routes.values())]
        )
        self._windows = {key: one for key, one in self._windows.items() if now < one.started + longest}

    def take_rename(self, channel_id: int) -> float | None:
        """Count one change of a channel's name or topic; seconds to wait when that is too many."""
        times = self._renames.setdefault(channel_id, deque())
        return _slide(times, self._policy.channel_renames, self._monotonic())


def _slide(times: deque[float], limit: Limit, now: float) -> float | None:
    while times and times[0] <= now - limit.seconds:
        times.popleft()
    if len(times) >= limit.requests:
        return math.ceil((times[0] + limit.seconds - now) * 1000) / 1000
    times.append(now)
    return None
