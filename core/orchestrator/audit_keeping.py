"""The audit log is kept as long as the settings say; what is older goes under a signed checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from core.clock import Clock
from core.errors import OrchardError
from core.store.auditor import Auditor
from core.store.database import Store

log = logging.getLogger(__name__)

_EVERY = timedelta(hours=6)
_ACTOR = "orchard"


class AuditKeeping:
    """`tick` is called every few seconds. A log that is not sound is left whole, and that is logged."""

    def __init__(
        self, store: Store, clock: Clock, auditor: Auditor, retention_days: Callable[[], int]
    ) -> None:
        self._store = store
        self._clock = clock
        self._auditor = auditor
        self._retention_days = retention_days
        self._next: datetime | None = None

    async def tick(self) -> None:
        now = self._clock.now()
        if self._next is not None and now < self._next:
            return
        self._next = now + _EVERY
        days = self._retention_days()
        try:
            gone = await self._store.write(lambda tx: self._auditor.prune(tx, keep_days=days, actor=_ACTOR))
        except OrchardError as error:
            log.error("the audit log is not pruned: %s", error)
        else:
            if gone:
                log.info("pruned %d rows of the audit log that are older than %d days", gone, days)
