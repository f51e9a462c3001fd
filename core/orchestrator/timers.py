"""What looks after things every few seconds, be there news or not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from core.orchestrator.audit_keeping import AuditKeeping
from core.orchestrator.backup_keeping import BackupKeeping
from core.orchestrator.reconciler import Reconciler
from core.orchestrator.registry import Registry
from core.orchestrator.scheduling.engine import ResourceEngine
from core.orchestrator.settings_watch import SettingsWatch
from core.orchestrator.transcript_keeping import TranscriptKeeping

_AUDIT_SECONDS = 60.0  # it looks at its clock then
_HEAD_SECONDS = 2.0  # what is recorded can be cut off unseen for so long
_TRANSCRIPTS_SECONDS = 2.0  # what was said can be searched so long after a turn


@asynccontextmanager
async def ticking(
    reconciler: Reconciler,
    watch: SettingsWatch,
    resources: ResourceEngine,
    registry: Registry,
    transcripts: TranscriptKeeping,
    auditing: AuditKeeping,
    backups: BackupKeeping,
    keep_head: Callable[[], Awaitable[None]],
) -> AsyncIterator[None]:
    # It would log each tick, and on a busy machine each that is still under way when the next is due.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = AsyncIOScheduler()
    # One that comes late is run all the same: by default it is left out when it is late by a second.
    one_at_a_time = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    scheduler.add_job(reconciler.tick, "interval", seconds=2, **one_at_a_time)
    scheduler.add_job(watch.tick, "interval", seconds=1, **one_at_a_time)
    scheduler.add_job(transcripts.tick, "interval", seconds=_TRANSCRIPTS_SECONDS, **one_at_a_time)
    scheduler.add_job(auditing.tick, "interval", seconds=_AUDIT_SECONDS, **one_at_a_time)
    scheduler.add_job(backups.tick, "interval", seconds=_AUDIT_SECONDS, **one_at_a_time)
    scheduler.add_job(keep_head, "interval", seconds=_HEAD_SECONDS, **one_at_a_time)
    seconds = _rebalance_seconds(registry)
    job = scheduler.add_job(resources.tick, "interval", seconds=seconds, **one_at_a_time)

    def follow() -> None:
        nonlocal seconds
        if (wanted := _rebalance_seconds(registry)) != seconds:
            seconds = wanted
            job.reschedule("interval", seconds=wanted)

    registry.on_changed(follow)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.pause()
        await watch.settle()
        await reconciler.settle()  # the scheduler would cancel a tick under way, and log that as a failure
        await resources.settle()
        await transcripts.settle()
        await backups.settle()
        scheduler.shutdown(wait=False)


def _rebalance_seconds(registry: Registry) -> float:
    return registry.configuration.settings.global_.resource_rebalance_interval_seconds
