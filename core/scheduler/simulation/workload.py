"""PURE: what a week of load is made of. Times are seconds since the epoch, UTC; lengths are seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from core.domain.story import Priority
from core.errors import InvalidInput
from core.scheduler.resources import NOTHING, UNLIMITED, Resources
from core.scheduler.workhours import Hours

DAY_SECONDS = 86400.0
AN_AGENT = Resources(agents=1.0, cycles=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPhase:
    """`demand` is held for `seconds`. It is ready `after_seconds` after the phase before it ended: people
    answer, or a story waits for another."""

    demand: Resources
    seconds: float
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStory:
    """Its phases run one after the other; the first is ready when it arrives."""

    id: str
    project: str
    arrives_at: float
    phases: tuple[LoadPhase, ...]
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProject:
    """As its settings say. `parallel`: stories at work at once; `each`: what one phase of them asks for."""

    name: str
    weight: float = 1.0
    tier: Priority = Priority.NORMAL
    guaranteed: Resources = NOTHING
    limit: Resources = UNLIMITED
    lends: float = 1.0
    parallel: int = 2
    each: Resources = AN_AGENT
    hours: Hours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A stretch of any length. `stories` are in the order in which they arrive. InvalidInput: what it holds
    does not fit together."""

    name: str
    starts_at: float
    seconds: float
    capacity: Resources
    projects: tuple[LoadProject, ...]
    stories: tuple[LoadStory, ...]
    max_concurrent_projects: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.starts_at) and 0.0 < self.seconds < math.inf):
            raise InvalidInput(f"{self.name} lasts {self.seconds:g} seconds: nothing can be played in that.")
        names = {project.name for project in self.projects}
        if len(names) != len(self.projects):
            raise InvalidInput(f"{self.name} has two projects of one name.")
        if any(project.parallel < 1 for project in self.projects):
            raise InvalidInput(f"{self.name} has a project that may run no story at all.")
        if len({story.id for story in self.stories}) != len(self.stories):
            raise InvalidInput(f"{self.name} has two stories of one id.")
        for story in self.stories:
            if story.project not in names:
                raise InvalidInput(f"{story.id} is of {story.project}, which is no project of {self.name}.")
            if not story.phases or not all(0.0 < phase.seconds < math.inf for phase in story.phases):
                raise InvalidInput(f"{story.id} has no phase, or one that takes no time or no end of it.")

    @property
    def ends_at(self) -> float:
        return self.starts_at + self.seconds


def in_order(stories: Iterable[LoadStory]) -> tuple[LoadStory, ...]:
    return tuple(sorted(stories, key=lambda story: (story.arrives_at, story.id)))
