"""Child of test_alert_kill: watches a value that comes and goes, says each change on stdout, until killed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from config.alert_settings import AlertSettings
from core.bus import Bus
from core.domain.metric import Labels, Point, Sample
from core.monitoring.alerts.service import Alerting
from core.monitoring.readings import Readings
from core.store.database import Store

STEP = 4000.0  # seconds a look: longer than anything waits


class Clock:
    """Hours pass between looks; each life begins now again, which is long before the last one's end."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


class Measured:
    def __init__(self) -> None:
        self.readings = Readings()

    async def history(self, metric: str, **_: Any) -> Mapping[Labels, tuple[Point, ...]]:
        return {}


async def main(path: Path) -> None:
    clock, measured = Clock(), Measured()
    settings = AlertSettings.model_validate({"rules": {"machine-cpu": {"threshold": 0.5, "for_seconds": 60}}})
    async with Store.open(path, clock=clock, bus=Bus()) as store:
        alerting = Alerting(store, clock, measured, lambda: settings, lambda: 10.0)
        for number in count():
            value = 1.0 if number // 3 % 2 == 0 else 0.0
            sample = Sample(metric="machine_cpu", value=value, at=clock.now(), source="test")
            measured.readings.publish([sample])
            for alert in await alerting.look():
                print(alert.id, alert.state, alert.seq, flush=True)
            clock.passed += STEP


asyncio.run(main(Path(sys.argv[1])))
