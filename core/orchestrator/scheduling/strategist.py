"""The strategy in force: asked in a thread, replaced when the setting changes, never trusted to be right."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.scheduler.decision import Decision
from core.scheduler.snapshot import Snapshot

if TYPE_CHECKING:
    from core.scheduler.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A decision; why the strategy that was asked for did not make it, and what decides meanwhile."""

    decision: Decision
    refused: str = ""
    kept: str = ""


class Strategist:
    """One decision at a time, so that a strategy needs no lock of its own. `folder`: where a strategy of the
    user's stands, the configuration's."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._name = name
        self._folder = folder
        self._strategy: Strategy | None = None
        self._at_work = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._name

    async def decide(self, name: str, snapshot: Snapshot) -> Verdict:
        """By the strategy of that name, which is made anew when it is another than the last. Raises nothing
        for what the strategy does, or for what the snapshot holds."""
        async with self._at_work:
            return await asyncio.to_thread(self._decide, name, snapshot)

    async def close(self) -> None:
        async with self._at_work:
            await asyncio.to_thread(self._close)

    def _decide(self, name: str, snapshot: Snapshot) -> Verdict:
        from core.orchestrator.scheduling import deciding  # see there

        if name != self._name or self._strategy is None:
            self._close()
            self._name, self._strategy = name, deciding.strategy_named(name, self._folder)
        return deciding.asked(self._strategy, snapshot)

    def _close(self) -> None:
        strategy, self._strategy = self._strategy, None
        if strategy is not None:
            from core.orchestrator.scheduling import deciding

            deciding.close(strategy)


def asked_once(name: str, snapshot: Snapshot, folder: Path | None = None) -> Verdict:
    """By a strategy that is made for this question alone. Blocks."""
    from core.orchestrator.scheduling import deciding

    return deciding.asked_once(name, snapshot, folder)
