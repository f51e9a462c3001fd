"""PURE: how a strategy is asked while time passes.

One that can be kept live is told each event and says who starts in microseconds; its ranks, what people's
patience makes of them, and what is reclaimed are made anew every so often, as a rebalancing does. One that
cannot, such as a strategy of the user's own, is asked for a whole pass when something has changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from core.scheduler.decision import Preemption
from core.scheduler.ledger import Ledger
from core.scheduler.reclaim import ReclaimRules, plan_reclaims
from core.scheduler.resources import Resources
from core.scheduler.snapshot import Snapshot, Task
from core.scheduler.strategy import Strategy

Take = Callable[[], Snapshot]
Started = list[tuple[str, str]]  # project, task


@runtime_checkable
class LiveStrategy(Strategy, Protocol):
    @property
    def reclaim(self) -> ReclaimRules: ...

    def live(self, snapshot: Snapshot) -> Ledger: ...


class Book(Protocol):
    """Told of each event, then asked. `problems` are sentences on what was refused."""

    problems: tuple[str, ...]

    def submit(self, project: str, task: Task) -> None: ...
    def withdraw(self, project: str, task_id: str) -> None: ...
    def release(self, project: str, demand: Resources) -> None: ...
    def starts(self) -> Started: ...
    def anew(self, now: float, take: Take) -> tuple[Started, tuple[Preemption, ...]]:
        """For what still waits once nothing more starts."""
        ...


class LiveBook:
    def __init__(self, strategy: LiveStrategy, snapshot: Snapshot, *, every_seconds: float) -> None:
        self.problems: tuple[str, ...] = ()
        self._strategy = strategy
        self._ledger = strategy.live(snapshot)
        self._every_seconds = every_seconds
        self._next_at = -math.inf

    def submit(self, project: str, task: Task) -> None:
        self._ledger.submit(project, task)

    def withdraw(self, project: str, task_id: str) -> None:
        self._ledger.withdraw(project, task_id)

    def release(self, project: str, demand: Resources) -> None:
        self._ledger.release(project, demand)

    def starts(self) -> Started:
        return [(start.project, start.task_id) for start in self._ledger.starts()]

    def anew(self, now: float, take: Take) -> tuple[Started, tuple[Preemption, ...]]:
        if now < self._next_at:
            return [], ()
        self._next_at = now + self._every_seconds
        self._ledger = self._strategy.live(take())
        return self.starts(), plan_reclaims(self._ledger, self._strategy.reclaim)


class PassBook:
    """`every_seconds`: no more than one pass in that time."""

    def __init__(self, strategy: Strategy, *, every_seconds: float) -> None:
        self.problems: tuple[str, ...] = ()
        self._strategy = strategy
        self._every_seconds = every_seconds
        self._next_at = -math.inf

    def submit(self, project: str, task: Task) -> None:
        pass

    def withdraw(self, project: str, task_id: str) -> None:
        pass

    def release(self, project: str, demand: Resources) -> None:
        pass

    def starts(self) -> Started:
        return []

    def anew(self, now: float, take: Take) -> tuple[Started, tuple[Preemption, ...]]:
        if now < self._next_at:
            return [], ()
        self._next_at = now + self._every_seconds
        decision = self._strategy.decide(take())
        self.problems = tuple(dict.fromkeys((*self.problems, *decision.problems)))[:5]
        return [(start.project, start.task_id) for start in decision.starts], decision.preemptions
