"""Minutes of gauges on their way into the store, and old points on their way out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from config.monitoring_settings import MonitoringSettings
from core.clock import Clock
from core.domain.metric import Point, Series
from core.errors import OrchardError
from core.store import metric_history
from core.store.database import Store
from core.store.metric_history import Span

log = logging.getLogger(__name__)

_AT_ONCE = 400  # points in one transaction: nobody's write waits long for them
_MOST_PENDING = 120  # minutes that are kept in memory while they cannot be stored
_PRUNE_SECONDS = 3600.0
_PRUNED_AT_ONCE = 5000

Batch = Sequence[tuple[Series, Point]]


class HistoryKeeping:
    """One at a time."""

    def __init__(self, store: Store, clock: Clock, settings: Callable[[], MonitoringSettings]) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._pending: deque[Batch] = deque()
        self._minutes = 0  # of what is pending
        self._next_prune = clock.monotonic() + _PRUNE_SECONDS / 12
        self.lost = 0  # points that had to be given up
        self.trouble = ""  # why nothing can be stored now, in a sentence; empty: it can

    @property
    def pending(self) -> int:
        """Minutes that wait to be stored."""
        return self._minutes

    def put(self, points: Batch) -> None:
        """A minute's. The oldest is given up when there are too many: state comes before its history."""
        if not points:
            return
        self._pending.extend(points[at : at + _AT_ONCE] for at in range(0, len(points), _AT_ONCE))
        self._minutes += 1
        while self._minutes > _MOST_PENDING:
            first = self._pending[0][0][1].at
            while self._pending and self._pending[0][0][1].at == first:
                self.lost += len(self._pending.popleft())
            self._minutes -= 1

    async def store(self) -> None:
        """All that waits. What cannot be stored stays, and `trouble` says why; each point is stored once."""
        while self._pending:
            batch = self._pending[0]
            try:
                await self._store.write(lambda tx, batch=batch: metric_history.merge(tx, batch))  # type: ignore[misc]
            except asyncio.CancelledError:
                self._pending.popleft()  # what was accepted is done, though nobody hears of it
                raise
            except OrchardError as error:
                self._tell(error)
                return
            self._pending.popleft()
        self._minutes = 0
        if self.trouble:
            log.warning("measurements are stored again; %d points were given up", self.lost)
            self.trouble = ""

    def _tell(self, error: OrchardError) -> None:
        if not self.trouble:
            log.error("measurements cannot be stored, and are kept in memory: %s", error)
        self.trouble = f"Measurements cannot be stored, and are kept in memory: {error}"

    async def prune_in_time(self) -> None:
        if self._clock.monotonic() < self._next_prune:
            return
        self._next_prune = self._clock.monotonic() + _PRUNE_SECONDS
        await self.prune()

    async def prune(self) -> int:
        """Removes the points beyond what the settings keep of each span; how many."""
        kept, removed = self._settings(), 0
        days = {
            Span.MINUTE: kept.minutes_kept_days,
            Span.HOUR: kept.hours_kept_days,
            Span.DAY: kept.days_kept_days,
        }
        for span, number in days.items():
            slots = number * Span.DAY // span
            before = await self._store.read(lambda conn, s=span, n=slots: metric_history.border(conn, s, n))  # type: ignore[misc]
            gone = _PRUNED_AT_ONCE if before is not None else 0
            while gone == _PRUNED_AT_ONCE:
                gone = await self._store.write(
                    lambda tx, s=span, b=before: metric_history.prune(tx, s, before=b, limit=_PRUNED_AT_ONCE)  # type: ignore[misc]
                )
                removed += gone
        return removed
