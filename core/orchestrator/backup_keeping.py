"""Backups of the store, made by themselves: as often as the settings say, proven, and not kept for ever."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from config.global_settings import SecuritySettings
from core.clock import Clock
from core.domain.event import EventKind
from core.errors import OrchardError
from core.security.audit import AuditKind
from core.security.vault import Vault
from core.store.backup import Backup, back_up, newest_backup, prune_backups
from core.store.database import Store

log = logging.getLogger(__name__)

ACTOR = "orchard"
_AGAIN = timedelta(hours=1)  # after one that failed


class BackupKeeping:
    """`tick` is called on a timer. When the last one was made is known by its file, so a restart makes none
    and leaves none out."""

    def __init__(
        self, store: Store, clock: Clock, vault: Vault, settings: Callable[[], SecuritySettings]
    ) -> None:
        self._store = store
        self._clock = clock
        self._vault = vault
        self._settings = settings
        self._not_before: datetime | None = None
        self._at_work = asyncio.Lock()

    async def tick(self) -> None:
        async with self._at_work:
            every = self._settings().backup_interval_hours
            now = self._clock.now()
            if every is None or (self._not_before is not None and now < self._not_before):
                return
            last = await asyncio.to_thread(newest_backup, self._vault.backups)
            if last is not None and last <= now < last + timedelta(hours=every):
                return
            try:
                await make_backup(self._store, self._clock, self._vault, self._settings(), actor=ACTOR)
            except Exception as error:  # edge: whatever it is, people hear of it, and it is tried again
                self._not_before = now + _AGAIN
                await self._tell(error)

    async def settle(self) -> None:
        """Waits for one that is under way."""
        async with self._at_work:
            return

    async def _tell(self, error: Exception) -> None:
        if isinstance(error, OrchardError):
            message, hint = f"{error.message} {error.why}".strip(), error.hint
            log.error("no backup was made: %s", message)
        else:
            incident = secrets.token_hex(4)
            message, hint = f"{type(error).__name__}, incident {incident}", "See Orchard's log."
            log.exception("no backup was made, incident %s", incident)
        data = {"message": message, "hint": hint, "again": "in an hour"}
        await self._store.write(lambda tx: tx.emit(EventKind.BACKUP_FAILED, actor=ACTOR, data=data))


async def make_backup(
    store: Store, clock: Clock, vault: Vault, settings: SecuritySettings, *, actor: str
) -> tuple[Backup, tuple[str, ...]]:
    """A proven one, encrypted as the store is, and the names of the older ones that went for it; a row of the
    audit log says so. Raises Unavailable."""
    made = await asyncio.to_thread(back_up, vault.store_path, vault.backups, vault.key, clock=clock)
    gone = await asyncio.to_thread(
        prune_backups,
        vault.backups,
        keep_days=settings.backup_retention_days,
        keep=settings.backups_kept,
        clock=clock,
    )
    names = tuple(path.name for path in gone)
    data = {"backup": made.path.name, "removed": list(names)}
    await store.write(lambda tx: vault.auditor.record(tx, AuditKind.BACKUP_MADE, actor=actor, data=data))
    return made, names
