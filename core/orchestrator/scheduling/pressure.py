"""PURE: how much of the machine there is for all projects, and whether it is too busy for one more start."""

from __future__ import annotations

import math
from typing import Protocol

from core.scheduler.resources import Resources

MEMORY_PART = 0.9  # of the physical memory; the rest is the system's
# On a busy machine so long passes between two starts: by then the load of a minute has the first one in it.
ONE_START_SECONDS = 60.0


class Reading(Protocol):
    """What core.monitoring.machine measures."""

    @property
    def cores(self) -> float: ...
    @property
    def load_1m(self) -> float: ...
    @property
    def memory_total_mb(self) -> float: ...
    @property
    def memory_available_mb(self) -> float: ...
    @property
    def disk_free_mb(self) -> float: ...


class Ceilings(Protocol):
    """Of config.settings.GlobalSettings, what is read here."""

    @property
    def max_total_agents(self) -> int: ...
    @property
    def global_cpu_cores(self) -> float | None: ...
    @property
    def global_memory_limit_gb(self) -> float | None: ...
    @property
    def global_disk_limit_gb(self) -> float | None: ...
    @property
    def max_load_per_core(self) -> float | None: ...


def capacity_of(ceilings: Ceilings, reading: Reading, *, disk_used_mb: float) -> Resources:
    """What all projects share. `disk_used_mb`: what they take of the disk already."""
    memory_mb = MEMORY_PART * reading.memory_total_mb
    if ceilings.global_memory_limit_gb is not None:
        memory_mb = min(memory_mb, ceilings.global_memory_limit_gb * 1024.0)
    disk_mb = max(disk_used_mb, 0.0) + max(reading.disk_free_mb, 0.0)
    if ceilings.global_disk_limit_gb is not None:
        disk_mb = min(disk_mb, ceilings.global_disk_limit_gb * 1024.0)
    return Resources(
        agents=float(ceilings.max_total_agents),
        cycles=math.inf,
        cpu=ceilings.global_cpu_cores if ceilings.global_cpu_cores is not None else float(reading.cores),
        memory_mb=memory_mb,
        disk_mb=disk_mb,
        tokens_per_minute=math.inf,
    )


def outside_of(capacity: Resources, reading: Reading, *, memory_used_mb: float) -> Resources:
    """What others than the projects take of `capacity`: of its memory, what is in use and not measured as
    theirs (`memory_used_mb`), as far as it reaches into what Orchard may have."""
    taken = max(reading.memory_total_mb - reading.memory_available_mb - memory_used_mb, 0.0)
    left = MEMORY_PART * reading.memory_total_mb - taken
    return Resources(memory_mb=max(capacity.memory_mb - max(left, 0.0), 0.0))


def load_pressure(ceilings: Ceilings, reading: Reading) -> str:
    """Why the machine is too busy for more than one at a time; empty: it is not."""
    most = ceilings.max_load_per_core
    if most is None or not reading.load_1m > most * max(reading.cores, 1.0):
        return ""
    return (
        f"the machine is busy: {reading.load_1m:.1f} processes want its {reading.cores:g} cores, more than "
        f"{most:g} a core (max_load_per_core)"
    )
