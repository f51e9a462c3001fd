"""How many tokens a minute a project, and all projects together, may use. PURE.

A bucket holds a minute's tokens and fills again evenly. A call may be sent while something is in it that no
call under way has reserved, and takes out at its end what it really used: more than was in it is waited for
afterwards, so that over time no more is used than was said. Times are monotonic seconds of the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL = ""  # in place of a project's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Tokens a minute; None: no limit."""

    together: int | None = None
    projects: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Bucket:
    per_minute: int
    left: float
    at: float
    reserved: int = 0

    def fill(self, now: float) -> None:
        gained = max(now - self.at, 0.0) * self.per_minute / 60
        self.left, self.at = min(self.left + gained, self.per_minute), now

    def wait(self, now: float) -> float:
        """Seconds until enough has come in for one more call; 0: it may be sent. Once one under way ends,
        look again."""
        self.fill(now)
        free = self.left - self.reserved
        return 0.0 if free > 0 else (1 - free) * 60 / self.per_minute


class Buckets:
    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}
        self._calls: dict[str, tuple[str, int]] = {}  # by call: its project, and what it reserved

    def set(self, rates: Rates, now: float) -> None:
        """What was used in the last minute stays used."""
        wanted = dict(rates.projects)
        if rates.together is not None:
            wanted[ALL] = rates.together
        for name in self._buckets.keys() - wanted.keys():
            del self._buckets[name]
        for name, per_minute in wanted.items():
            bucket = self._buckets.get(name)
            if bucket is None:
                reserved = sum(each for project, each in self._calls.values() if name in (ALL, project))
                self._buckets[name] = _Bucket(
                    per_minute=per_minute, left=per_minute, at=now, reserved=reserved
                )
            elif bucket.per_minute != per_minute:
                bucket.fill(now)
                bucket.left = min(bucket.left + per_minute - bucket.per_minute, per_minute)
                bucket.per_minute = per_minute

    def wait(self, project: str, now: float) -> tuple[float, str]:
        """Seconds until a call of the project may be sent, and whose limit that is: see `worded`."""
        waits = [(bucket.wait(now), name) for name, bucket in self._of(project)]
        return max(waits, default=(0.0, ALL))

    def worded(self, project: str) -> str:
        """Of `ALL`, too."""
        who = f"{project} may use" if project else "all projects together may use"
        return f"{who} {self._buckets[project].per_minute:,} tokens a minute"

    def reserve(self, call_id: str, project: str, tokens: int) -> None:
        """Ask `wait` first, in the same step."""
        self._calls[call_id] = (project, tokens)
        for _, bucket in self._of(project):
            bucket.reserved += tokens

    def settle(self, call_id: str, tokens: int, now: float) -> None:
        """What the call really took, once; nothing for one that has reserved nothing."""
        project, reserved = self._calls.pop(call_id, (None, 0))
        for _, bucket in self._of(project) if project is not None else ():
            bucket.fill(now)
            bucket.reserved -= reserved
            bucket.left -= tokens

    def _of(self, project: str) -> list[tuple[str, _Bucket]]:
        return [(name, self._buckets[name]) for name in {project, ALL} if name in self._buckets]
