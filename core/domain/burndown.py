"""How what is left of a sprint fell, from when its stories joined and ended. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A story's part of a sprint. `ended_at` is None while it is open, else not before `joined_at`."""

    points: int
    joined_at: datetime
    ended_at: datetime | None = None


def points_of(estimate: int | None) -> int:
    """A story without an estimate counts one."""
    return 1 if estimate is None else estimate


def remaining(
    shares: Sequence[Share], *, start: datetime, until: datetime
) -> tuple[tuple[datetime, int], ...]:
    """Points left after each change, from `start` to `until`: both are in it.

    What joined before `start` counts from it; what changes after `until` does not count yet.
    """
    changes: dict[datetime, int] = {start: 0}
    for share in shares:
        joined = max(share.joined_at, start)
        if joined > until:
            continue
        changes[joined] = changes.get(joined, 0) + share.points
        if share.ended_at is not None and (ended := max(share.ended_at, joined)) <= until:
            changes[ended] = changes.get(ended, 0) - share.points
    left, series = 0, []
    for at in sorted(changes):
        left += changes[at]
        series.append((at, left))
    if series[-1][0] < until:
        series.append((until, left))
    return tuple(series)
