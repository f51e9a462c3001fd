"""What this machine has and what of it is free now, of what Orchard may really use: in a container, or in a
group with a limit of its own, that is less than the machine's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.isolation import cgroup
from core.isolation.cgroup import UNIFIED, Home

_MB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`load_1m`: processes that want a core or wait for a disk, mean of a minute; where we may use only some
    of the machine's cores, as much of it as they are of all. `disk_*`: of the file system of a folder;
    `disk_free_mb`: what an ordinary user may still write there."""

    cores: int
    load_1m: float
    memory_total_mb: float
    memory_available_mb: float
    disk_total_mb: float
    disk_free_mb: float


def read_machine(folder: Path, process: Path = Path("/proc/self")) -> Reading:
    """Now. Less than a millisecond; blocking only as reading /proc is. A `folder` that is not there is judged
    by the nearest above it. `process`: whose groups count."""
    places = cgroup.homes(process)
    all_cores = os.cpu_count() or 1
    cores = _cores(places)
    memory = psutil.virtual_memory()
    total, available = float(memory.total), float(memory.available)
    for limit, used in _memory_limits(places):
        total = min(total, limit)
        available = min(available, max(0.0, limit - used))
    disk = shutil.disk_usage(_nearest(folder))
    return Reading(
        cores=cores,
        load_1m=os.getloadavg()[0] * cores / all_cores,
        memory_total_mb=total / _MB,
        memory_available_mb=available / _MB,
        disk_total_mb=disk.total / _MB,
        disk_free_mb=disk.free / _MB,
    )


def _cores(places: Mapping[str, Home]) -> int:
    """Whole ones: of a quota of 1.5 only one can be counted on; at least 1."""
    allowed = float(len(os.sched_getaffinity(0)))
    for version, group in _groups(places, "cpu"):
        quota = _quota(version, group)
        if quota is not None:
            allowed = min(allowed, quota)
    return max(1, int(allowed))


def _quota(version: int, group: Path) -> float | None:
    """Cores, from `cpu.max` or `cpu.cfs_*_us`; None: no quota."""
    if version == 2:
        words = _words(group / "cpu.max")
    else:
        words = _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us")
    if len(words) != 2 or not (words[0].isdigit() and words[1].isdigit() and int(words[1])):
        return None  # "max" and -1 are none
    return int(words[0]) / int(words[1])


def _memory_limits(places: Mapping[str, Home]) -> list[tuple[float, float]]:
    """Bytes: the limit, and what is used of it. Files in the cache that nobody used lately are given up when
    memory is short, so they are no use (as Kubernetes counts a working set)."""
    found: list[tuple[float, float]] = []
    for version, group in _groups(places, "memory"):
        limit = _words(group / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        used = _words(group / ("memory.current" if version == 2 else "memory.usage_in_bytes"))
        if not (limit and used and limit[0].isdigit() and used[0].isdigit()):
            continue
        if int(limit[0]) >= 1 << 62:
            continue  # v1's way to say that there is none
        cache = cgroup.counters(group / "memory.stat")
        given_up = cache.get("inactive_file" if version == 2 else "total_inactive_file", 0)
        found.append((float(limit[0]), float(max(0, int(used[0]) - given_up))))
    return found


def _groups(places: Mapping[str, Home], controller: str) -> list[tuple[int, Path]]:
    """Our own group and those around it, up to the root of what can be seen: each one's limit holds."""
    found: list[tuple[int, Path]] = []
    for name in (controller, UNIFIED):
        home = places.get(name)
        folder = None if home is None else home.path
        while home is not None and folder is not None and (folder / "cgroup.procs").exists():
            found.append((home.version, folder))
            folder = folder.parent
    return found


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _nearest(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
