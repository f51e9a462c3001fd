"""PURE: what a strategy is: one of ours, or one of the user's.

A strategy of one's own:

    from core.scheduler.strategy import SchedulingStrategy

    class EveryoneTheSame(SchedulingStrategy):
        def calculate_allocation(self, projects, total_resources):
            part = total_resources["agents"] / len(projects)
            return {project["name"]: {"agents": part} for project in projects}

and in orch-config.yaml: `resource_allocation_strategy: mypackage.mymodule:EveryoneTheSame`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from core.scheduler.decision import Decision
from core.scheduler.snapshot import Snapshot


class Strategy(Protocol):
    """Pure: the same snapshot gives the same decision. Raises nothing, whatever the figures are."""

    @property
    def name(self) -> str: ...

    def decide(self, snapshot: Snapshot) -> Decision: ...


class SchedulingStrategy(ABC):
    """Base of strategies of one's own. Plain types in, plain types out; made without arguments, once."""

    @abstractmethod
    def calculate_allocation(
        self, projects: Sequence[Mapping[str, Any]], total_resources: Mapping[str, float]
    ) -> Mapping[str, Mapping[str, float]]:
        """What each project may use until the next call.

        `projects`: one mapping a project, sorted by name:
            name      str
            weight    float, cpu_priority
            priority  "critical", "high", "normal" or "low"
            guaranteed, limit, used, decayed_use, expected   {resource: amount}; no limit: float("inf")
            demand    {resource: amount}, what it holds and what all its waiting tasks ask for
            waiting   int, the number of its waiting tasks
            waited_seconds  float, the longest wait among them
        `total_resources`: {resource: amount}. Resources and units: agents, cycles, cpu (cores), memory_mb,
        disk_mb, tokens_per_minute.

        Returned: {project's name: {resource: amount}}, amounts finite and not below zero, no more than the
        total of each resource over all projects, no more than a project's limit. A resource that is left
        out is not restricted further than by the project's limit; a project that is left out starts
        nothing. What breaks this, raises or takes too long is refused with a message, and the last good
        allocation stays.
        """
