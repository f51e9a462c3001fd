"""How often we knock at Discord's gateway. PURE.

Discord resets the token of a bot that IDENTIFYs more than 1,000 times in 24 hours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubling pauses between tries; `jitter` is the share that chance adds to each."""

    first_seconds: float = 5.0
    longest_seconds: float = 120.0
    jitter: float = 0.25

    def delay(self, failures: int, chance: float) -> float:
        """Seconds to wait after this many failures in a row (from 1); `chance` is in [0, 1)."""
        doubled = self.first_seconds * 2.0 ** min(max(failures - 1, 0), 30)
        return min(doubled, self.longest_seconds) * (1 + self.jitter * chance)


@dataclass(slots=True, kw_only=True)
class IdentifyBudget:
    """At most `burst` at once and one every `refill_seconds` after that: 40 + 864 = 904 in any 24 hours."""

    burst: int = 40
    refill_seconds: float = 100.0
    _spent: float = 0.0
    _at: float | None = None

    def take(self, now: float) -> float:
        """0.0 when an IDENTIFY may go now (it is counted), else the seconds until one may; monotonic time."""
        if self._at is not None:
            self._spent = max(0.0, self._spent - (now - self._at) / self.refill_seconds)
        self._at = now
        if self._spent + 1 > self.burst:
            return (self._spent + 1 - self.burst) * self.refill_seconds
        self._spent += 1
        return 0.0
