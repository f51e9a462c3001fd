"""PURE: weeks of load made of a seed, each one a situation that a user knows.

Stories have the five phases of a cycle, with lengths that vary as those of real work do; most of a cycle is
writing code. The week is Monday to Sunday; its length in days may be another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, timezone
from enum import StrEnum

from core.domain.story import Priority
from core.errors import InvalidInput
from core.scheduler.resources import Resources
from core.scheduler.simulation.chance import Chance
from core.scheduler.simulation.workload import (
    DAY_SECONDS,
    LoadPhase,
    LoadProject,
    LoadStory,
    Week,
    in_order,
)
from core.scheduler.workhours import Hours


class Scenario(StrEnum):
    MIXED = "mixed"
    OFFICE = "office"
    FLOOD = "flood"
    NIGHT = "night"
    HOG = "hog"


MEANINGS = {
    Scenario.MIXED: "some of everything: offices, work around the clock, a flood, a big batch at night",
    Scenario.OFFICE: "teams at office hours in five time zones",
    Scenario.FLOOD: "one project submits more than everyone else together, at once",
    Scenario.NIGHT: "steady work by day and big batches of low priority every night",
    Scenario.HOG: "one project whose phases need a third of the machine's memory",
}

MONDAY = datetime(2025, 6, 2, tzinfo=UTC).timestamp()
MOST_PROJECTS = 10_000
MOST_DAYS = 366
_FULL_TIME = frozenset(range(5))
_ZONES = (-8.0, -5.0, 1.0, 5.5, 9.0)  # hours from UTC: two Americas, Europe, India, Japan
# Minutes in the median; a merge needs no agent.
_PHASES = (("design", 5.0), ("test_red", 9.0), ("code_green", 18.0), ("refactor", 8.0), ("commit", 3.0))
_SPREAD = 0.5
_STORY_SECONDS = 60.0 * sum(minutes for _, minutes in _PHASES) * math.exp(_SPREAD**2 / 2)
_AGENT_MB = 1024.0
_AGENT_CPU = 0.1

Arrival = Callable[[Chance], float]  # seconds from the start of the week


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One project and where its stories come from. `work`: seconds of agents in the whole stretch."""

    project: LoadProject
    work: float
    arrival: Arrival
    demand: Resources
    urgent: float = 0.05  # the part of its stories that is critical


def synthetic(
    scenario: Scenario,
    *,
    projects: int = 40,
    days: float = 7.0,
    seed: int = 1,
    capacity: Resources | None = None,
    max_concurrent_projects: float = math.inf,
) -> Week:
    """The same for the same arguments. `capacity` None: an agent for each four projects, at least four, with
    1.5 GB and half a core each. The load follows the capacity, so that there is something to decide.
    InvalidInput: figures that make no week.
    """
    if not 2 <= projects <= MOST_PROJECTS:
        raise InvalidInput(f"There have to be 2 to {MOST_PROJECTS:,} projects, not {projects}.")
    if not 0.1 <= days <= MOST_DAYS:
        raise InvalidInput(f"There have to be 0.1 to {MOST_DAYS} days, not {days:g}.")
    there = _room(projects) if capacity is None else capacity
    chance = Chance(seed, scenario, str(projects), f"{days:g}")
    sources = _SCENARIOS[scenario](_Plan(projects, days, there), chance)
    stories = (story for source in sources for story in _stories(source, seed, days))
    return Week(
        name=str(scenario),
        starts_at=MONDAY,
        seconds=days * DAY_SECONDS,
        capacity=there,
        projects=tuple(source.project for source in sources),
        stories=in_order(stories),
        max_concurrent_projects=max_concurrent_projects,
    )


def _room(projects: int) -> Resources:
    agents = float(max(projects // 4, 4))
    return Resources(math.inf, math.inf, agents / 2, agents * 1536.0, math.inf, math.inf)._replace(
        agents=agents
    )


class _Plan:
    def __init__(self, projects: int, days: float, capacity: Resources) -> None:
        self.projects = projects
        self.days = days
        self.capacity = capacity
        self.slots = _slots(capacity)
        self.seconds = days * DAY_SECONDS

    def work(self, part: float) -> float:
        """Seconds of agents that fill that part of the whole machine for the whole stretch."""
        return part * self.slots * self.seconds

    def usual(self, chance: Chance, count: int, part: float, first: int = 1) -> list[_Source]:
        """Projects of different sizes that work around the clock and together fill `part`."""
        sizes = [chance.around(1.0, 0.7) for _ in range(count)]
        width = len(str(self.projects))
        return [
            _Source(
                project=_project(f"project-{first + at:0{width}}", chance),
                work=self.work(part) * size / sum(sizes),
                arrival=self._any_time,
                demand=_demand(chance.one_of((512.0, _AGENT_MB, _AGENT_MB))),
            )
            for at, size in enumerate(sizes)
        ]

    def _any_time(self, chance: Chance) -> float:
        return chance.part() * self.seconds

    def in_offices(self, source: _Source, chance: Chance) -> _Source:
        offset = chance.one_of(_ZONES)
        hours = Hours(start=time(9), end=time(18), days=_FULL_TIME, zone=timezone(timedelta(hours=offset)))
        days = max(math.ceil(self.days), 1)

        def arrival(draw: Chance) -> float:
            day = draw.one_of([day for day in range(days) if day % 7 < 5])
            return day * DAY_SECONDS + (draw.between(8.5, 17.0) - offset) * 3600.0

        return replace(source, project=replace(source.project, hours=hours), arrival=arrival)

    def guaranteed(self, sources: list[_Source]) -> list[_Source]:
        """Some have a guarantee of one phase, a quarter of the machine in all; they lend it unused."""
        some = min(max(int(self.slots * 0.25), 1), len(sources))
        return [
            replace(source, project=replace(source.project, guaranteed=source.demand))
            if at < some
            else source
            for at, source in enumerate(sources)
        ]

    def at_once(self, draw: Chance, *, day: int, hour: float) -> float:
        """Within a quarter of an hour."""
        last = max(math.ceil(self.days) - 1, 0)
        return min(day, last) * DAY_SECONDS % self.seconds + hour * 3600.0 + draw.part() * 900.0

    def every_night(self, draw: Chance) -> float:
        return self.at_once(draw, day=int(draw.part() * max(math.ceil(self.days), 1)), hour=21.0)


def _slots(capacity: Resources) -> float:
    """Phases of the usual size that run at once."""
    return max(min(capacity.agents, capacity.memory_mb / _AGENT_MB, capacity.cpu / _AGENT_CPU, 10_000.0), 1.0)


def _demand(memory_mb: float, cpu: float = _AGENT_CPU) -> Resources:
    return Resources(agents=1.0, cycles=1.0, cpu=cpu, memory_mb=memory_mb)


def _project(name: str, chance: Chance) -> LoadProject:
    weight = chance.one_of((1.0, 1.0, 1.0, 2.0, 2.0, 4.0))
    tier = chance.one_of((Priority.HIGH, Priority.NORMAL, Priority.NORMAL, Priority.NORMAL, Priority.LOW))
    parallel = chance.one_of((2, 2, 2, 3, 4))
    limit = Resources(*[math.inf] * 6)._replace(agents=parallel + 1.0, cycles=float(parallel))
    return LoadProject(name=name, weight=weight, tier=tier, limit=limit, parallel=parallel)


def _wide(project: LoadProject, name: str, parallel: float, **changes: object) -> LoadProject:
    """With room for as many stories as there may ever be."""
    at_once = max(int(parallel), 2)
    limit = Resources(*[math.inf] * 6)._replace(agents=float(at_once), cycles=float(at_once))
    return replace(project, name=name, parallel=at_once, limit=limit, **changes)  # type: ignore[arg-type]


# -- scenarios ---------------------------------------------------------------------------------


def _office(plan: _Plan, chance: Chance) -> list[_Source]:
    return [plan.in_offices(source, chance) for source in plan.usual(chance, plan.projects, 0.55)]


def _flood(plan: _Plan, chance: Chance) -> list[_Source]:
    usual = plan.usual(chance, plan.projects - 1, 0.6)
    flood = _Source(
        project=_wide(_project("flood", chance), "flood", plan.slots, weight=1.0, tier=Priority.NORMAL),
        work=plan.work(0.5),
        arrival=lambda draw: plan.at_once(draw, day=1, hour=10.0),
        demand=_demand(_AGENT_MB),
    )
    return [*usual, flood]


def _night(plan: _Plan, chance: Chance) -> list[_Source]:
    batches = max(plan.projects // 10, 1)
    usual = plan.guaranteed(plan.usual(chance, plan.projects - batches, 0.5))
    width = len(str(batches))
    night = [
        _Source(
            project=_wide(
                _project("night", chance), f"night-{at + 1:0{width}}", plan.slots / batches * 2.0,
                weight=1.0, tier=Priority.LOW,
            ),
            work=plan.work(0.35) / batches,
            arrival=plan.every_night,
            demand=_demand(_AGENT_MB),
            urgent=0.0,
        )
        for at in range(batches)
    ]  # fmt: skip
    return [*usual, *night]


def _hog(plan: _Plan, chance: Chance) -> list[_Source]:
    usual = plan.usual(chance, plan.projects - 1, 0.65)
    memory = plan.capacity.memory_mb
    large = memory / 3 if math.isfinite(memory) else 8 * _AGENT_MB
    hog = _Source(
        project=_wide(_project("hog", chance), "hog", 3.0, weight=2.0, tier=Priority.NORMAL),
        work=plan.seconds * 0.8,
        arrival=plan._any_time,
        demand=_demand(large, min(4.0, plan.capacity.cpu / 4)),
        urgent=0.0,
    )
    return [*usual, hog]


def _mixed(plan: _Plan, chance: Chance) -> list[_Source]:
    usual = plan.usual(chance, plan.projects - 2, 0.55)
    half = len(usual) // 2
    usual[:half] = [plan.in_offices(source, chance) for source in usual[:half]]
    usual[half:] = plan.guaranteed(usual[half:])
    flood = _Source(
        project=_wide(_project("flood", chance), "flood", plan.slots / 2, weight=1.0, tier=Priority.NORMAL),
        work=plan.work(0.15),
        arrival=lambda draw: plan.at_once(draw, day=2, hour=10.0),
        demand=_demand(_AGENT_MB),
    )
    night = _Source(
        project=_wide(_project("night", chance), "night", plan.slots, weight=1.0, tier=Priority.LOW),
        work=plan.work(0.15),
        arrival=plan.every_night,
        demand=_demand(_AGENT_MB),
        urgent=0.0,
    )
    return [*usual, flood, night]


_SCENARIOS: dict[Scenario, Callable[[_Plan, Chance], list[_Source]]] = {
    Scenario.MIXED: _mixed,
    Scenario.OFFICE: _office,
    Scenario.FLOOD: _flood,
    Scenario.NIGHT: _night,
    Scenario.HOG: _hog,
}


def _stories(source: _Source, seed: int, days: float) -> Iterator[LoadStory]:
    name = source.project.name
    chance = Chance(seed, "stories", name)
    count = source.work / _STORY_SECONDS
    whole = int(count) + (chance.part() < count % 1.0)
    for number in range(1, whole + 1):
        at = min(max(source.arrival(chance), 0.0), days * DAY_SECONDS - 1.0)
        urgent = chance.part() < source.urgent
        yield LoadStory(
            id=f"{name}-{number}",
            project=name,
            arrives_at=MONDAY + math.floor(at),
            phases=tuple(_phases(source.demand, chance)),
            priority=Priority.CRITICAL if urgent else Priority.NORMAL,
        )


def _phases(demand: Resources, chance: Chance) -> Iterator[LoadPhase]:
    for name, minutes in _PHASES:
        needs = demand._replace(agents=0.0) if name == "commit" else demand
        yield LoadPhase(demand=needs, seconds=float(math.ceil(chance.around(60.0 * minutes, _SPREAD))))
