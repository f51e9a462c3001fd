"""Stories and epics that wait for a moment: a back-off, an agent's limit. In memory only: after a restart
each may be tried a little early, which is what a restart is often for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from core.clock import Clock

log = logging.getLogger(__name__)

_SHORTEST_SECONDS = 0.01
_PUT_OFF_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pause:
    until: float  # monotonic seconds
    reason: str


class Pauses:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pauses: dict[str, _Pause] = {}  # by story or epic

    def begin(self, name: str, seconds: float, reason: str) -> None:
        self._pauses[name] = _Pause(until=self._clock.monotonic() + seconds, reason=reason)

    def put_off(self, names: Collection[str], error: Exception) -> None:
        """What keeps them from starting is no fault of theirs: they are looked at again soon."""
        log.warning("%s cannot start: %s", ", ".join(names), error)
        for name in names:
            self.begin(name, _PUT_OFF_SECONDS, str(error))

    def why(self, name: str) -> str:
        """What it waits for, in one sentence; empty when it waits no longer."""
        pause = self._pauses.get(name)
        if pause is None:
            return ""
        if (left := pause.until - self._clock.monotonic()) <= 0:
            del self._pauses[name]
            return ""
        return wait_sentence(pause.reason, left)

    def end(self, name: str) -> None:
        self._pauses.pop(name, None)

    def end_all_of(self, project: str) -> None:
        for name in [name for name in self._pauses if name.rpartition("-")[0] == project]:
            del self._pauses[name]

    def count_by_project(self) -> Counter[str]:
        """How many names of each project have a pause. Forgets those that are over."""
        now = self._clock.monotonic()
        self._pauses = {name: pause for name, pause in self._pauses.items() if pause.until > now}
        return Counter(name.rpartition("-")[0] for name in self._pauses)

    def next_end(self, most: float) -> float:
        """Seconds until the first of them is over, at most `most`."""
        now = self._clock.monotonic()
        left = [pause.until - now for pause in self._pauses.values() if pause.until > now]
        return max(_SHORTEST_SECONDS, min([most, *left]))


def wait_sentence(reason: str, seconds: float) -> str:
    """For so long."""
    return f"waits: {reason.rstrip('.')}; next in {max(seconds, 1.0):.0f} s."
