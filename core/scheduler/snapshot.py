"""PURE: what a scheduling decision is made from, as one value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from core.domain.story import Priority
from core.scheduler.resources import NOTHING, UNLIMITED, Resources

TIERS = {Priority.CRITICAL: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


class Task(NamedTuple):
    """A phase of a story that could start at once. Times are seconds of one clock, the snapshot's.

    `id` is unique among all tasks of a snapshot. Work hours, dependencies and budgets have been looked
    at: what may not run now is no task. A tuple, since ten thousand may come at once.
    """

    id: str
    demand: Resources
    submitted_at: float = 0.0
    priority: Priority = Priority.NORMAL  # the story's, among the project's own
    may_preempt: bool = False
    reserved: bool = False  # promised by a person: goes before tiers and priorities


class RunningTask(NamedTuple):
    """What a project holds. `preemptible`: it can be parked at a safe point without losing work; `parking`:
    it was told to and has not come to one yet."""

    id: str
    demand: Resources
    started_at: float = 0.0
    priority: Priority = Priority.NORMAL
    preemptible: bool = True
    parking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectShare:
    """One project. `used` is what it holds now, `running` the part of it that may be told apart by task.

    guaranteed   may always be had back from those who borrowed it
    limit        never exceeded; `inf` where there is none
    lends        the part of an unused guarantee that others may borrow meanwhile, 0 to 1
    decayed_use  the use of the past, halved every half-life (core.scheduler.usage), in the same units
    expected     what it will hold soon (core.scheduler.forecast); nothing when there is no history
    """

    name: str
    weight: float = 1.0  # cpu_priority
    tier: Priority = Priority.NORMAL
    guaranteed: Resources = NOTHING
    limit: Resources = UNLIMITED
    used: Resources = NOTHING
    waiting: tuple[Task, ...] = ()
    running: tuple[RunningTask, ...] = ()
    lends: float = 1.0
    decayed_use: Resources = NOTHING
    expected: Resources = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaimed:
    """A pre-emption that happened: `taker` got back what `victim` had borrowed."""

    taker: str
    victim: str
    at: float  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`capacity` is what all projects share; `outside` the part of it that others on the machine take now."""

    now: float  # seconds, of the clock of all times in it
    capacity: Resources
    projects: tuple[ProjectShare, ...] = ()
    outside: Resources = NOTHING
    max_concurrent_projects: float = math.inf
    reclaimed: tuple[Reclaimed, ...] = ()  # lately, any order
