"""Compares what should be with what is, a little at a time, and mends the difference."""

from __future__ import annotations

import logging
import secrets

from core.orchestrator.dispatcher import Dispatcher
from core.store import leases
from core.store.database import Store, Transaction
from core.store.leases import Lease

log = logging.getLogger(__name__)


class Reconciler:
    """`tick` is called on a timer; one at a time."""

    def __init__(self, store: Store, dispatcher: Dispatcher) -> None:
        self._store = store
        self._dispatcher = dispatcher

    async def tick(self) -> None:
        try:
            await self._dispatcher.supervisor.kill_silent()
            await self._end_expired_leases()
        except Exception:
            log.exception("reconciling failed, incident %s", secrets.token_hex(4))

    async def _end_expired_leases(self) -> None:
        """A phase whose worker no longer speaks of it is not running, whatever its row says."""

        def release(tx: Transaction) -> tuple[Lease, ...]:
            expired = leases.expired(tx.conn, tx.now)
            for lease in expired:
                leases.release(tx, lease.story_id, lease.generation)
            return expired

        if not await self._store.read(lambda conn: leases.expired(conn, self._dispatcher.clock.now())):
            return
        for lease in await self._store.write(release):
            log.warning("the lease of %s on %s expired", lease.owner, lease.story_id)
            await self._dispatcher.cancel(lease.project, lease.story_id)
        self._dispatcher.wake()
