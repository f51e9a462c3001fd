"""Judging everything once: 100 projects, each with its series, and 60 rules; a storm; what is normal.

Timed by the processor: other programs on the machine only ever add to a time.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from config.alert_settings import AlertSettings
from core.bus import Bus
from core.clock import SystemClock
from core.domain.alert_rules import BUILT_IN
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.metric import METRICS, Labels, Metric, Point, Sample, Unit
from core.domain.project import Project
from core.monitoring.alerts.anomaly import learn
from core.monitoring.alerts.service import Alerting
from core.monitoring.readings import Readings
from core.store import projects
from core.store.database import Store
from tests.bench.figure import Figure, milliseconds

_LOOK_BAR, _STORM_BAR = 0.010, 0.100
_RULES, _STORM = 60, 10_000
_WEEKS = 8


def measure(*, projects: int = 100, rounds: int = 20) -> list[Figure]:
    return asyncio.run(_measure(projects, rounds))


async def _measure(count: int, rounds: int) -> list[Figure]:
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        async with Store.open(Path(folder) / "orchard.db", clock=clock, bus=Bus()) as store:
            names = [f"p{number:03}" for number in range(count)]
            await store.write(lambda tx: [_add(tx, name) for name in names])
            watched = _Measured()
            settings = _settings(_RULES)
            alerting = Alerting(store, clock, watched, lambda: settings, lambda: 10.0)
            quiet = [await _look(alerting, watched, _calm(names)) for _ in range(rounds)]
            stormy = [
                Sample(
                    metric="phase_duration",
                    value=1e6,
                    at=datetime.now(UTC),
                    source="bench",
                    labels=(("project", names[0]), ("phase", f"p{number}")),
                )
                for number in range(_STORM)
            ]
            storm = [await _look(alerting, watched, stormy) for _ in range(rounds)]
    look, worst = statistics.median(quiet), statistics.median(storm)
    series = len(_calm(names))
    return [
        Figure(
            what=f"judging {series:,} series of {count} projects by {_RULES} rules",
            value=milliseconds(look),
            bar=f"<= {milliseconds(_LOOK_BAR)}",
            holds=look <= _LOOK_BAR,
            note=f"each 10 s: {look / 10:.2%} of a core; with what was measured taken in, the store asked",
        ),
        Figure(
            what=f"the same while {_STORM:,} more series breach one rule",
            value=milliseconds(worst),
            bar=f"<= {milliseconds(_STORM_BAR)}",
            holds=worst <= _STORM_BAR,
            note="one alert comes of it",
        ),
        _learning(rounds),
    ]


def _learning(rounds: int) -> Figure:
    begin = datetime(2026, 1, 5, tzinfo=UTC)
    chance = random.Random(7)
    values = [(begin + timedelta(hours=hour), chance.gauss(10, 2)) for hour in range(_WEEKS * 168)]
    times = []
    for _ in range(rounds):
        began = time.process_time()
        learn(values, Unit.NONE)
        times.append(time.process_time() - began)
    return Figure(
        what=f"learning one series from {_WEEKS} weeks of hours",
        value=milliseconds(statistics.median(times)),
        note="each hour, one series after the other, others' turn in between",
    )


class _Measured:
    def __init__(self) -> None:
        self.readings = Readings()

    async def history(self, metric: str, **_: Any) -> Mapping[Labels, tuple[Point, ...]]:
        return {}


async def _look(alerting: Alerting, watched: _Measured, batch: list[Sample]) -> float:
    began = time.process_time()
    watched.readings.publish(batch)
    alerting.hear(batch)
    await alerting.look()
    return time.process_time() - began


def _calm(names: list[str]) -> list[Sample]:
    now = datetime.now(UTC)
    found = []
    for metric in METRICS.values():
        for name in names if "project" in metric.labels else ("",):
            labels = tuple((label, name if label == "project" else "design") for label in metric.labels)
            value = _fine(metric)
            found.append(Sample(metric=metric.name, value=value, at=now, source="bench", labels=labels))
    return found


def _fine(metric: Metric) -> float:
    """A value that no built-in rule minds."""
    if "health" in metric.name or metric.name == "completion_rate":
        return 1.0
    return 1e12 if "free" in metric.name or "available" in metric.name or "remaining" in metric.name else 0.0


def _settings(rules: int) -> AlertSettings:
    """The built-in ones and as many of one's own as make so many."""
    more = {
        f"own-{number}": {"metric": "project_memory", "threshold": 1e12 + number}
        for number in range(rules - len(BUILT_IN) - 1)
    }
    more["spread"] = {"metric": "phase_duration", "threshold": 1e5, "over": 600.0, "for_seconds": 0}
    return AlertSettings.model_validate({"rules": more})


def _add(tx: Any, name: str) -> Project:
    return projects.add(
        tx,
        Project(
            name=name,
            path=Path(f"/srv/{name}"),
            main_branch="main",
            status=ProjectStatus.ACTIVE,
            workflow=WorkflowState.IDLE,
            registered_at=tx.now,
        ),
    )
