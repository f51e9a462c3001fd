"""Since when each piece of work could have started: what patience and the order of those who wait go by."""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime

from core.orchestrator.scheduling.candidates import Candidate
from core.store import load
from core.store.database import Store

_OLDEST_SECONDS = 86400.0  # no wait of an earlier run counts for more


class Ages:
    """Times are seconds of the clock that never jumps. In memory only, but for what `recall` finds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since: dict[str, tuple[int, float]] = {}  # candidate to its generation and when it came
        self._last_seen: datetime | None = None

    def go_on_from(self, last_seen: datetime | None) -> None:
        """By the wall clock, when an earlier run looked last; None: there was none."""
        self._last_seen = last_seen

    def since(self, candidate: Candidate, now: float) -> float:
        known = self._since.get(candidate.id)
        return known[1] if known is not None and known[0] == _generation(candidate) else now

    async def recall(self, offered: Iterable[Candidate], now: float) -> None:
        """Once after a start: how long these had waited when the last run looked last. While Orchard was off
        nobody waited for room; and the two clocks need not agree, so this is bounded."""
        if (until := self._last_seen) is None:
            return
        came = {each.id: _generation(each) for each in offered if each.cycles}
        ages = await self._store.read(
            lambda conn: load.waited(conn, came, until=until, most_seconds=_OLDEST_SECONDS)
        )
        self._since = {name: (came[name], now - age) for name, age in ages.items()} | self._since
        self._last_seen = None

    def keep(
        self,
        offered: Iterable[Candidate],
        now: float,
        *,
        starting: Iterable[Candidate],
        under_way: Container[str],
    ) -> None:
        """Forgets all others. A story that starts keeps its time until it is leased, as the next generation:
        a claim may be lost, and is no new wait."""
        granted = {each.id for each in starting if not each.cycles}
        self._since = {name: known for name, known in self._since.items() if name in under_way} | {
            each.id: (_generation(each), self.since(each, now)) for each in offered if each.id not in granted
        }


def _generation(candidate: Candidate) -> int:
    return candidate.cycles[0].generation if candidate.cycles else 0
