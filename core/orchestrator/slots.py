"""Which waiting stories may start now, and why the others wait. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.domain.story import Cycle


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSlots:
    max_parallel_agents: int
    max_parallel_cycles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Limits in numbers of phases; one phase uses one agent."""

    max_total_agents: int
    max_concurrent_projects: int
    projects: Mapping[str, ProjectSlots]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    start: tuple[Cycle, ...]
    waits: Mapping[str, str] = field(default_factory=dict)  # story id -> one sentence


def choose(runnable: Sequence[Cycle], running: Mapping[str, int], slots: Slots) -> Choice:
    """Starts as many as fit, one project after the other, the one that runs least first.

    `runnable` is in order of preference within a project; `running` counts the phases a project
    runs now. Projects without slots (not configured) start nothing.
    """
    queues: dict[str, list[Cycle]] = {}
    for cycle in runnable:
        queues.setdefault(cycle.project, []).append(cycle)
    count = Counter({project: n for project, n in running.items() if n})
    start: list[Cycle] = []
    waits: dict[str, str] = {}
    while queues:
        project = min(queues, key=lambda name: (count[name], name))
        if reason := obstacle(project, count, slots):
            waits.update({cycle.story_id: reason for cycle in queues.pop(project)})
            continue
        start.append(queues[project].pop(0))
        count[project] += 1
        if not queues[project]:
            del queues[project]
    return Choice(start=tuple(start), waits=waits)


def obstacle(project: str, count: Counter[str], slots: Slots) -> str:
    """Why the project may not have one more agent, in one sentence; empty when it may."""
    own = slots.projects.get(project)
    if own is None:
        return f"waits: {project} is not configured any more."
    limit = min(own.max_parallel_agents, own.max_parallel_cycles)
    if count[project] >= limit:
        return f"waits: {project} runs {count[project]} of its {limit} parallel stories."
    if sum(count.values()) >= slots.max_total_agents:
        return f"waits: all {slots.max_total_agents} agents are at work (max_total_agents)."
    if not count[project] and len([n for n in count.values() if n]) >= slots.max_concurrent_projects:
        return f"waits: {slots.max_concurrent_projects} projects run already (max_concurrent_projects)."
    return ""
