"""PURE: what a project's settings say of its share, and what one piece of its work asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from core.domain.story import Priority
from core.scheduler.resources import Resources
from core.scheduler.workhours import Hours

MOST_AGENT_MEMORY_MB = 1024  # of an agent for which nothing is said
WORK_DISK_MB = 1.0  # so that a full disk starts nothing; what work really takes is measured


class Limits(Protocol):
    """Of config.settings.ResourceLimits, what is read here."""

    @property
    def max_parallel_agents(self) -> int: ...
    @property
    def max_parallel_cycles(self) -> int: ...
    @property
    def max_memory_mb(self) -> int: ...
    @property
    def max_disk_mb(self) -> int: ...
    @property
    def cpu_priority(self) -> float: ...
    @property
    def max_cpu_cores(self) -> float | None: ...
    @property
    def agent_memory_mb(self) -> int | None: ...
    @property
    def agent_cpu_cores(self) -> float: ...
    @property
    def guaranteed_agents(self) -> float: ...
    @property
    def lends(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A project's settings as the scheduler counts. `shared`: places of named resources, a story at work."""

    name: str
    weight: float = 1.0
    tier: Priority = Priority.NORMAL
    phase: Resources  # one agent at one story
    merge: Resources  # a batch that goes onto the main branch: tests run, no agent does
    design: Resources  # one agent that splits an epic
    limit: Resources
    guaranteed: Resources
    lends: float = 1.0
    hours: Hours | None = None
    shared: Mapping[str, int] = field(default_factory=dict)

    @property
    def cycles(self) -> int:
        """Stories at work at once, at most."""
        return int(self.limit.cycles)

    @property
    def agents(self) -> int:
        return int(self.limit.agents)


def terms_of(
    name: str,
    limits: Limits,
    *,
    tier: Priority = Priority.NORMAL,
    hours: Hours | None = None,
    shared: Mapping[str, int] | None = None,
) -> Terms:
    """Memory in MB, CPU in cores. An agent for which no memory is named gets an even part of the project's,
    at most MOST_AGENT_MEMORY_MB."""
    at_once = min(limits.max_parallel_agents, limits.max_parallel_cycles)
    memory_mb: float = limits.agent_memory_mb or min(MOST_AGENT_MEMORY_MB, limits.max_memory_mb / at_once)
    merge = Resources(cycles=1.0, cpu=limits.agent_cpu_cores, memory_mb=memory_mb, disk_mb=WORK_DISK_MB)
    phase = merge._replace(agents=1.0)
    return Terms(
        name=name,
        weight=limits.cpu_priority,
        tier=tier,
        phase=phase,
        merge=merge,
        design=phase._replace(cycles=0.0),
        limit=Resources(
            agents=limits.max_parallel_agents,
            cycles=limits.max_parallel_cycles,
            cpu=limits.max_cpu_cores if limits.max_cpu_cores is not None else math.inf,
            memory_mb=limits.max_memory_mb,
            disk_mb=limits.max_disk_mb,
            tokens_per_minute=math.inf,
        ),
        guaranteed=phase.times(limits.guaranteed_agents),
        lends=limits.lends,
        hours=hours,
        shared=shared or {},
    )
