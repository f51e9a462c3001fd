"""How long a story waits before it is tried again. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from core.worker.contract import PhaseEnd

# Before the first attempt, the second, and so on; the last one for all after it.
RETRY_AFTER_AGENT_FAILURE_SECONDS = (0.0, 2.0, 10.0, 30.0)  # its program or its provider has a problem
RETRY_AFTER_REFUSAL_SECONDS = (0.0, 0.0, 2.0, 10.0, 30.0)  # the agent knows more now: the second try is free


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    after_failure: tuple[float, ...] = RETRY_AFTER_AGENT_FAILURE_SECONDS
    after_refusal: tuple[float, ...] = RETRY_AFTER_REFUSAL_SECONDS

    def seconds(self, end: PhaseEnd, attempt: int) -> float:
        """What `attempt` (from 1) waits after one that came to `end`; 0 for ends that cost no attempt."""
        steps = {PhaseEnd.REFUSED: self.after_refusal, PhaseEnd.AGENT_FAILED: self.after_failure}.get(end)
        return steps[min(attempt, len(steps)) - 1] if steps else 0.0
