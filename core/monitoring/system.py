"""The machine and Orchard's own process: its processor, its memory, how late its event loop is."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil

from core.domain.metric import Sample
from core.monitoring.machine import read_machine

_MB = 1 << 20
_BEAT_SECONDS = 0.25


class LoopLag:
    """How late the event loop wakes who asked for it: the worst since the last look."""

    def __init__(self) -> None:
        self._worst: float | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            due = time.perf_counter() + _BEAT_SECONDS
            await asyncio.sleep(_BEAT_SECONDS)
            late = max(0.0, time.perf_counter() - due)
            self._worst = late if self._worst is None else max(self._worst, late)

    def take(self) -> float | None:
        """Seconds; None: it was not looked at since."""
        worst, self._worst = self._worst, None
        return worst


class System:
    """`state_path`: whose file system's room counts; `store_path`: the store's file."""

    def __init__(self, state_path: Path, store_path: Path) -> None:
        self._state_path = state_path
        self._store_path = store_path
        self._own = psutil.Process()
        self._machine: tuple[float, float] | None = None  # busy and all processor seconds
        self._control: tuple[float, float] | None = None  # processor seconds, and when

    def read(self, now: datetime) -> tuple[Sample, ...]:
        """Blocking, about a millisecond."""
        return tuple(
            Sample(metric=metric, value=value, at=now, source=source)
            for metric, value, source in self._read()
            if value is not None
        )

    def _read(self) -> Iterator[tuple[str, float | None, str]]:
        reading = read_machine(self._state_path)
        yield "machine_cpu", self._machine_cpu(), "psutil"
        yield "machine_memory_available", reading.memory_available_mb * _MB, "psutil"
        yield "machine_disk_free", reading.disk_free_mb * _MB, "psutil"
        yield "machine_load", reading.load_1m, "psutil"
        yield "control_cpu", self._control_cpu(), "psutil"
        yield "control_memory", float(self._own.memory_info().rss), "psutil"
        yield "store_size", _size_of(self._store_path), "store"

    def _machine_cpu(self) -> float | None:
        times = psutil.cpu_times()
        whole = sum(times[:8])  # guests are in user's and nice's already
        busy = whole - times.idle - getattr(times, "iowait", 0.0)
        before, self._machine = self._machine, (busy, whole)
        if before is None or whole <= before[1]:
            return None
        return min(1.0, max(0.0, (busy - before[0]) / (whole - before[1])))

    def _control_cpu(self) -> float | None:
        times, at = os.times(), time.monotonic()
        used = times.user + times.system
        before, self._control = self._control, (used, at)
        if before is None or at <= before[1]:
            return None
        return max(0.0, used - before[0]) / (at - before[1])


def _size_of(path: Path) -> float | None:
    sizes = []
    for each in (path, path.with_name(f"{path.name}-wal")):
        try:
            sizes.append(each.stat().st_size)
        except OSError:
            continue
    return float(sum(sizes)) if sizes else None
