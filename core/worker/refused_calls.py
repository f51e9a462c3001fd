"""What one turn's agent was not let do: counted, and told in portions, since it may ask in a loop."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from core.domain.lifecycles import Phase
from core.domain.refused_call import RefusedCall
from core.worker.contract import CallsRefused
from core.worker.workshop import Tell

_SECONDS = 10.0  # between two portions


@dataclass(slots=True, kw_only=True)
class RefusedCalls:
    tell: Tell
    story_id: str
    phase: Phase
    generation: int
    _untold: Counter[str] = field(default_factory=Counter, init=False)
    _told: float = field(default_factory=time.monotonic, init=False)

    async def add(self, refused: RefusedCall) -> None:
        self._untold[refused.value] += 1
        if time.monotonic() - self._told >= _SECONDS:
            await self.end()

    async def end(self) -> None:
        """Tells what was not told yet."""
        counts, self._untold, self._told = dict(self._untold), Counter(), time.monotonic()
        if counts:
            await self.tell.calls_refused(
                CallsRefused(
                    story_id=self.story_id, phase=self.phase, generation=self.generation, refused=counts
                )
            )
