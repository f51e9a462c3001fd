"""Stops agents whose budget is used up while they work, by parking: at once, and without counting a try."""

from __future__ import annotations

from collections.abc import Mapping

from core.clock import Clock
from core.orchestrator.budgets import Budgets
from core.orchestrator.floor import Floor
from core.orchestrator.parking import Parking
from core.worker.contract import Progress

_AGENT_STEPS = frozenset({"agent", "tool"})


class BudgetStops:
    """`tick` is called on a timer: wall time is used up without anybody saying so."""

    def __init__(
        self,
        budgets: Budgets,
        floor: Floor,
        parking: Parking,
        progress: Mapping[str, Progress],
        clock: Clock,
    ) -> None:
        self._budgets = budgets
        self._floor = floor
        self._parking = parking
        self._progress = progress
        self._clock = clock
        self._since: dict[tuple[str, int], float] = {}  # story or epic, and generation: monotonic seconds
        budgets.on_stop(self.stop)

    async def stop(self, project: str, story_id: str | None, sentence: str) -> None:
        """Parks the story's turn, or all of the project's. Held before the model is a safe point."""
        for name in self._of(project):
            if story_id in (None, name):
                await self._parking.park(project, name, taker="", reason=f"{sentence}.", within_seconds=0.0)

    def _of(self, project: str) -> list[str]:
        at_work = {**self._floor.starting, **self._floor.extra_agents.working}
        return [name for name, owner in at_work.items() if owner == project]

    async def tick(self) -> None:
        now = self._clock.monotonic()
        at_work = {**self._floor.starting, **self._floor.extra_agents.working}
        working = {
            (name, progress.generation): at_work[name]
            for name, progress in self._progress.items()
            if progress.step in _AGENT_STEPS and name in at_work
        }
        self._since = {key: self._since.get(key, now) for key in working}
        under_way = {
            (project, key[0]): round((now - self._since[key]) * 1000) for key, project in working.items()
        }
        await self._budgets.check(under_way)

    def worked(self, name: str, generation: int) -> float | None:
        """Seconds since its agent was first seen at work; None when it was not."""
        since = self._since.get((name, generation))
        return None if since is None else self._clock.monotonic() - since
