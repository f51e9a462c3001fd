"""What the faces show of shares, limits and waits: plain values, made by the engine and the commands.

Amounts are in the units of core.scheduler.resources: agents, cycles, cpu (cores), memory_mb, disk_mb,
tokens_per_minute. None as an amount: there is no limit, or it is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.story import Priority, StoryStatus
from core.scheduler.quota import Quota
from core.scheduler.resources import RESOURCES, Resource

UNITS = {
    Resource.AGENTS: "agents",
    Resource.CYCLES: "stories",
    Resource.CPU: "cores",
    Resource.MEMORY_MB: "MB",
    Resource.DISK_MB: "MB",
    Resource.TOKENS_PER_MINUTE: "tokens a minute",
}
SHOWN = RESOURCES[:-1]  # tokens are not in force yet


def limited(amount: float) -> float | None:
    """The amount, None where there is no limit: JSON knows no infinity."""
    return amount if math.isfinite(amount) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceView:
    """One resource of one project, or of all. Of none of its figures is the sum of the others' made."""

    resource: str  # a core.scheduler.resources.Resource
    unit: str  # for people: "agents", "cores", "MB"
    used: float | None  # measured now, where it can be; agents and cycles are counted
    reserved: float  # what the running tasks were admitted with
    allocated: float | None  # what it may use until the next rebalancing
    limit: float | None  # what its settings say


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectResources:
    project: str
    tier: Priority
    quota: Quota
    running: int  # agents at work
    waiting: int  # stories that could start, were there room
    share: float  # dominant share held, 0 to 1
    entitled: float  # dominant share that it may count on, 0 to 1
    resources: tuple[ResourceView, ...]
    barred: str = ""  # why nothing of it may start now, in one sentence: work hours, disk, ...
    forecast: str = ""  # what it is expected to want soon, and why; empty: not known yet
    problems: tuple[str, ...] = ()  # limits that this machine does not hold, in sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class LockView:
    """A named shared resource and who has a place of it."""

    name: str
    places: int
    holders: tuple[str, ...]  # story ids, the longest first
    waiting: tuple[str, ...]  # story ids


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesView:
    at: datetime
    strategy: str
    total: tuple[ResourceView, ...]  # of all projects; `limit` is the capacity, `used` includes outsiders
    projects: tuple[ProjectResources, ...]  # by name
    locks: tuple[LockView, ...]
    enforcement: tuple[str, ...]  # by what limits are held on this machine, one sentence a resource
    problems: tuple[str, ...]  # figures that make no sense, a strategy that was refused, in sentences
    pressure: str = ""  # why the machine itself holds starts back now; empty: it does not
    rebalanced_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """What a rebalancing changed, or would change. `changes` are sentences as "Increased memory allocation
    for shop by 512 MB"; `before` and `after` are of every project, by name."""

    strategy: str
    dry_run: bool
    seconds: float
    changes: tuple[str, ...]
    before: tuple[Quota, ...]
    after: tuple[Quota, ...]
    starts: tuple[str, ...] = ()  # what would start at once, in sentences; dry runs only
    parks: tuple[str, ...] = ()  # what would be parked, likewise
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyView:
    """Why a story does what it does: one sentence, and what is behind it."""

    story_id: str
    title: str
    project: str
    status: StoryStatus
    sentence: str
    details: tuple[str, ...] = ()  # sentences: shares, who holds what, its place in the queue
    next: str = ""  # what has to happen for it to go on; empty when it runs or is over


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadView:
    """What reading the settings anew changed, in lines such as "global.max_total_agents: 20 → 10"."""

    changed: tuple[str, ...]  # in force now
    later: tuple[str, ...] = ()  # read, but in force after a restart only
    problems: tuple[str, ...] = ()  # projects that keep the settings they had, and why
    taken_up_at: datetime | None = None  # it was by itself, a moment before somebody asked for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The four figures of core.scheduler.metrics, None is "no data"; `parts` are those of the health."""

    resource_efficiency: float | None
    average_cycle_time_hours: float | None
    total_stories_completed: int | None
    system_health_score: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
