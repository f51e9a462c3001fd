"""PURE: what was decided, each part with its reason in words.

A reason is kept as its numbers; the sentence is made when it is read, so that a pass over thousands of
projects does not write ten thousand sentences that nobody reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from core.scheduler.resources import (
    NOTHING,
    Resource,
    Resources,
    called,
    come_free,
    is_or_are,
    percent,
    worded,
)


class Rule(StrEnum):
    """What put a task first."""

    GUARANTEE = "it is below its guarantee"
    SHARE = "it holds the smallest share for its weight"
    PRIORITY = "it has the highest priority"
    OVERDUE = "it has waited longest and goes before all others"
    RECENT_USE = "it used least lately"
    ALLOCATION = "the strategy allocated it"


class Start(NamedTuple):
    """`share` is the project's dominant share once it has started, `entitled` what it may count on."""

    project: str
    task_id: str
    demand: Resources
    share: float
    entitled: float
    rule: Rule
    detail: str = ""

    @property
    def reason(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        borrowed = " It borrows what others do not use." if self.share > self.entitled + 1e-9 else ""
        return (
            f"starts: {self.project} holds {percent(self.share)} with it, is entitled to "
            f"{percent(self.entitled)}; {self.rule}{detail}.{borrowed}"
        )


class Obstacle(StrEnum):
    CAPACITY = "capacity"  # the machine is full
    LIMIT = "limit"  # the project is at its own limit
    KEPT = "kept"  # what is free is kept for a guarantee or for one that waited longer
    PROJECTS = "projects"  # max_concurrent_projects
    DRAINING = "draining"  # the project makes place for one that waited longer
    TOO_LARGE = "too_large"  # it can never fit
    BROKEN = "broken"  # the figures make no sense


class Wait(NamedTuple):
    """Tasks of one project that wait for the same thing."""

    project: str
    task_ids: tuple[str, ...]
    obstacle: Obstacle
    short: Resource | None = None
    needed: float = 0.0  # of it, by one of the tasks
    free: float = 0.0  # of it: on the machine, or below the project's limit
    capacity: float = 0.0  # of it: the machine's, or the project's limit
    share: float = 0.0
    entitled: float = 0.0
    holder: str = ""  # who holds more of it than anybody else
    held: float = 0.0
    detail: str = ""

    @property
    def reason(self) -> str:
        return f"waits: {_OBSTACLES[self.obstacle](self)}"

    @property
    def holds(self) -> str:
        return f"{self.project} holds {percent(self.share)}, is entitled to {percent(self.entitled)}"


def _of(wait: Wait, amount: float) -> str:
    return worded(wait.short, amount) if wait.short else f"{amount:g}"


def _capacity(wait: Wait) -> str:
    holder = f"; {wait.holder} holds the most ({_of(wait, wait.held)})" if wait.holder else ""
    free = max(wait.free, 0.0)
    assert wait.short is not None  # of something there is too little
    return (
        f"needs {_of(wait, wait.needed)}, {free:,.6g} of {wait.capacity:,.6g} {is_or_are(free)} free. "
        f"{wait.holds}. Next when {come_free(wait.short, wait.needed - wait.free)}{holder}."
    )


def _limit(wait: Wait) -> str:
    left = max(wait.free, 0.0)
    return (
        f"{wait.project} is at its own limit: needs {_of(wait, wait.needed)}, "
        f"{left:,.6g} of its {wait.capacity:,.6g} {is_or_are(left)} left. {wait.holds}. Next when a task of "
        f"its own ends or the limit is raised."
    )


def _kept(wait: Wait) -> str:
    until = "that has started or more comes free" if wait.holder else "more comes free"
    return (
        f"{_of(wait, wait.needed)} would be free, but {is_or_are(wait.needed)} kept for "
        f"{wait.holder or 'others'} ({wait.detail}). {wait.holds}. Next when {until}."
    )


def _projects(wait: Wait) -> str:
    if wait.capacity == 1:
        at_work, until = "1 project is", "it"
    else:
        at_work, until = f"{wait.capacity:g} projects are", "one of them"
    return f"{at_work} at work already (max_concurrent_projects). Next when {until} has nothing more to do."


def _draining(wait: Wait) -> str:
    return (
        f"as many projects are at work as may be, and another one's task has waited too long: {wait.project} "
        f"ends what it runs and makes place. Next when that one has had its turn."
    )


def _too_large(wait: Wait) -> str:
    return (
        f"needs {_of(wait, wait.needed)}, but {wait.detail} {wait.capacity:,.6g}: it can never start. "
        f"Next when that is raised or the task made smaller."
    )


def _broken(wait: Wait) -> str:
    return f"{wait.detail} Next when that is put right."


_OBSTACLES = {
    Obstacle.CAPACITY: _capacity,
    Obstacle.LIMIT: _limit,
    Obstacle.KEPT: _kept,
    Obstacle.PROJECTS: _projects,
    Obstacle.DRAINING: _draining,
    Obstacle.TOO_LARGE: _too_large,
    Obstacle.BROKEN: _broken,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption:
    """A running task that is to be parked at its next safe point."""

    task_id: str
    victim: str  # project
    taker: str  # project
    frees: Resources
    victim_share: float  # before
    victim_entitled: float
    taker_share: float  # before
    taker_entitled: float
    short: Resource
    by_guarantee: bool = False  # then what they are entitled to is what their guarantees say

    @property
    def reason(self) -> str:
        due, of_its = ("is guaranteed", "guaranteed ") if self.by_guarantee else ("is entitled to", "")
        return (
            f"parks: {self.victim} holds {percent(self.victim_share)}, {due} "
            f"{percent(self.victim_entitled)}; {self.taker} holds {percent(self.taker_share)} of its "
            f"{of_its}{percent(self.taker_entitled)} and waits for {called(self.short)}. "
            f"This gives back {worded(self.short, self.frees.get(self.short))}."
        )


class Allocation(NamedTuple):
    """What a project may use until the next pass: what it holds now and its part of what is left."""

    project: str
    amounts: Resources
    held: Resources
    share: float  # dominant, of what it holds
    entitled: float
    weight: float
    detail: str = ""

    @property
    def reason(self) -> str:
        detail = f" {self.detail}" if self.detail else ""
        borrows = ""
        if self.share > self.entitled + 1e-9:
            borrows = f", borrows {percent(self.share - self.entitled)}"
        return (
            f"{self.project} holds {percent(self.share)}, is entitled to {percent(self.entitled)} by weight "
            f"{self.weight:g}{borrows}; it may use {worded(Resource.AGENTS, self.amounts.agents)}.{detail}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Starts are in the order in which they were chosen. `problems` are sentences on figures that make no
    sense and what was done about them. `strategy` is the name of the one that decided."""

    strategy: str
    starts: tuple[Start, ...] = ()
    waits: Sequence[Wait] = ()
    preemptions: tuple[Preemption, ...] = ()
    allocations: Sequence[Allocation] = ()
    problems: tuple[str, ...] = ()
    free: Resources = field(default=NOTHING)  # what is left

    def why(self, task_id: str) -> str:
        """The sentence on one task; empty when the snapshot did not have it."""
        for start in self.starts:
            if start.task_id == task_id:
                return start.reason
        for wait in self.waits:
            if task_id in wait.task_ids:
                return wait.reason
        return next((gone.reason for gone in self.preemptions if gone.task_id == task_id), "")
