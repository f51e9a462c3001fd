"""The four figures of how well all projects do, from facts given as values. PURE. None is "no data"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

_FULL_FROM = 0.8  # a resource used more than this is short: its part of the health falls from 1 to 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One resource (agents, cores, memory, ...) of one project, both in the resource's own unit, or in its
    unit times hours of a span."""

    resource: str
    allocated: float
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleFact:
    """A story's way through the cycle. `finished_at` None: it is still on the way."""

    begun_at: datetime
    finished_at: datetime | None = None
    done: bool = False  # merged; a finished cycle that is not done was aborted


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    """None: not known. Counts are of now, but for `gates_...`: of the span that is judged."""

    workers_wanted: int | None = None
    workers_alive: int | None = None
    stories_open: int | None = None
    stories_blocked: int | None = None
    cycles_done: int | None = None
    cycles_aborted: int | None = None
    memory_used_share: float | None = None  # of the limit, 0 to 1 and above
    disk_used_share: float | None = None


def resource_efficiency(uses: Iterable[Use]) -> float | None:
    """How much of what was given is used, 0 to 1.

        mean over resources r of   sum of min(used, allocated) over projects / sum of allocated

    What a project uses above its allocation is another's, so it counts for nothing. A resource of which
    nothing is allocated is left out; None when that leaves none. A figure below zero, infinite or NaN is a
    failed measurement: its row is left out.
    """
    given: dict[str, float] = {}
    taken: dict[str, float] = {}
    for use in uses:
        if _sound(use.allocated) and _sound(use.used) and use.allocated > 0:
            given[use.resource] = given.get(use.resource, 0.0) + use.allocated
            taken[use.resource] = taken.get(use.resource, 0.0) + min(use.used, use.allocated)
    shares = [min(1.0, taken[resource] / total) for resource, total in given.items() if math.isfinite(total)]
    return _mean(shares)


def average_cycle_time_hours(cycles: Iterable[CycleFact]) -> float | None:
    """Mean hours from a cycle's begin to its merge.

        sum of (finished_at - begun_at) / 3600 s / number, over done cycles

    Aborted cycles and those on the way say nothing of how long one takes. A cycle that ended before it began
    (the machine's clock was put back) is left out.
    """
    hours = [
        (cycle.finished_at - cycle.begun_at).total_seconds() / 3600
        for cycle in cycles
        if cycle.done and cycle.finished_at is not None and cycle.finished_at >= cycle.begun_at
    ]
    return _mean(hours)


def total_stories_completed(cycles: Sequence[CycleFact]) -> int | None:
    """The number of done cycles; None when no cycle ever began."""
    return sum(cycle.done for cycle in cycles) if cycles else None


def health_parts(facts: HealthFacts) -> dict[str, float]:
    """What the health is made of, each part 0 (broken) to 1; parts without data are left out.

    workers    alive / wanted                 flow      1 - blocked / open stories
    outcomes   done / (done + aborted)        memory, disk   1 up to 80 % of the limit, 0 from 100 % on
    """
    parts = {
        "workers": _share(facts.workers_alive, facts.workers_wanted),
        "flow": _rest(_share(facts.stories_blocked, facts.stories_open)),
        "outcomes": _share(facts.cycles_done, _sum(facts.cycles_done, facts.cycles_aborted)),
        "memory": _headroom(facts.memory_used_share),
        "disk": _headroom(facts.disk_used_share),
    }
    return {name: part for name, part in parts.items() if part is not None}


def system_health_score(facts: HealthFacts) -> float | None:
    """How well the system is, 0 to 1; None without any part (see `health_parts`).

        (mean of the parts + smallest part) / 2

    The mean alone would hide one broken part behind four sound ones.
    """
    parts = list(health_parts(facts).values())
    mean = _mean(parts)
    return None if mean is None else (mean + min(parts)) / 2


def _mean(values: Sequence[float]) -> float | None:
    return min(max(values), math.fsum(values) / len(values)) if values else None


def _sound(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _share(part: int | None, whole: int | None) -> float | None:
    if part is None or whole is None or whole <= 0 or part < 0:
        return None
    return min(1.0, part / whole)


def _rest(share: float | None) -> float | None:
    return None if share is None else 1.0 - share


def _headroom(used: float | None) -> float | None:
    if used is None or not _sound(used):
        return None
    return min(1.0, max(0.0, (1.0 - used) / (1.0 - _FULL_FROM)))
