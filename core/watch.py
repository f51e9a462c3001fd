"""What looks on: measuring, what is exported of it, alerts, and who is told of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.settings import Settings
from core.background import running
from core.bus import Bus
from core.clock import Clock
from core.monitoring.alerts.service import Alerting
from core.monitoring.delivery.places import Places
from core.monitoring.delivery.service import Delivery
from core.monitoring.export.pushing import Pushing
from core.monitoring.export.status_files import StatusFiles
from core.monitoring.service import Monitoring, Probe, Sources
from core.orchestrator.registry import Registry
from core.security.secrets import Secrets
from core.store.database import Store


@asynccontextmanager
async def open_watch(
    store: Store,
    bus: Bus,
    clock: Clock,
    registry: Registry,
    *,
    secrets: Secrets,
    sources: Sources,
    probes: tuple[Probe, ...],
) -> AsyncIterator[Monitoring]:
    """Runs in the block. None of it is vital: the work goes on without. Settings that change are followed."""

    def settings() -> Settings:
        return registry.configuration.settings

    monitoring = Monitoring(store, clock, lambda: settings().global_.monitoring, sources)
    for probe in probes:
        monitoring.add(probe)
    pushing = Pushing(monitoring, clock, settings)
    files = StatusFiles(monitoring, clock, sources.state_path, lambda: tuple(settings().projects))
    alerting = Alerting(
        store,
        clock,
        monitoring,
        lambda: settings().global_.alerts,
        lambda: settings().global_.monitoring.sample_seconds,
    )
    delivery = Delivery(store=store, bus=bus, clock=clock, places=Places(settings, secrets))
    registry.on_changed(pushing.wake)
    registry.on_changed(delivery.wake)
    async with (
        running(monitoring.run(), "monitoring", vital=False),
        running(pushing.run(), "metrics to elsewhere", vital=False),
        running(files.run(), "the files of the status", vital=False),
        running(alerting.run(), "alerts", vital=False),
        running(delivery.run(), "deliveries of alerts", vital=False),
    ):
        yield monitoring
