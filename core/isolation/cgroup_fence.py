"""The cgroups of one project: its limits, its use, its end. Blocking, but each call is some file writes."""

from __future__ import annotations

import errno
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from core.isolation import cgroup
from core.isolation.cgroup import UNIFIED
from core.isolation.cgroup_ground import Part
from core.isolation.contain import send
from core.isolation.limits import (
    PERIOD_US,
    Means,
    ProjectLimits,
    ProjectUse,
    Resource,
    quota_of,
    shares_of,
    weight_of,
)

_CONTROLLER = {Resource.MEMORY: "memory", Resource.CPU: "cpu", Resource.PROCESSES: "pids"}
_MB = 1 << 20


class CgroupFence:
    """`parts` as of `Ground.folders`; nothing is made before `make`."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = dict(parts)
        self.memory_is_due = False  # more is in use than the kernel could take back for the new limit

    def means(self, resource: Resource) -> Means | None:
        part = self._parts.get(_CONTROLLER.get(resource, "-"))
        return None if part is None else Means.CGROUP2 if part.version == 2 else Means.CGROUP1

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(part.path for part in self._parts.values()))

    @property
    def joins(self) -> tuple[str, ...]:
        """Files into which a process writes 0 to come inside."""
        return tuple(str(path / "cgroup.procs") for path in self.folders)

    def make(self) -> bool:
        """Makes what is not there; false when nothing was missing. Raises OSError."""
        missing = [path for path in self.folders if not path.is_dir()]
        for path in missing:
            path.mkdir(exist_ok=True)
        return bool(missing)

    def apply(self, limits: ProjectLimits) -> tuple[str, ...]:
        """Sets all limits on what lives inside, at once. Returns in words what could not be set."""
        problems = [
            self._set_memory(limits.memory_mb),
            self._set_cpu(limits),
            self._set_processes(limits.processes),
        ]
        return tuple(problem for problem in problems if problem)

    def _set_memory(self, memory_mb: int | None) -> str:
        part = self._parts.get("memory")
        if part is None:
            return ""
        if part.version == 2:
            with suppress(FileNotFoundError):  # without swap there is no such file
                cgroup.write(part.path / "memory.swap.max", "max" if memory_mb is None else 0)
            return _tried(part.path / "memory.max", "max" if memory_mb is None else memory_mb * _MB)
        limit, swap = part.path / "memory.limit_in_bytes", part.path / "memory.memsw.limit_in_bytes"
        wanted = -1 if memory_mb is None else memory_mb * _MB
        # The limit with swap may never be the lower one, so the order depends on which way it goes.
        problem, self.memory_is_due = "", False
        for path in (swap, limit, swap):
            if not path.exists():
                continue
            try:
                cgroup.write(path, wanted)
            except OSError as error:
                if path is limit:
                    self.memory_is_due = error.errno == errno.EBUSY
                    problem = "" if self.memory_is_due else _words(path, error)
        return problem

    def _set_cpu(self, limits: ProjectLimits) -> str:
        part = self._parts.get("cpu")
        if part is None:
            return ""
        quota = quota_of(limits.cpu_cores)
        if part.version == 2:
            problem = _tried(part.path / "cpu.weight", weight_of(limits.cpu_weight))
            return problem or _tried(part.path / "cpu.max", f"{quota or 'max'} {PERIOD_US}")
        problem = _tried(part.path / "cpu.shares", shares_of(limits.cpu_weight))
        problem = problem or _tried(part.path / "cpu.cfs_period_us", PERIOD_US)
        return problem or _tried(part.path / "cpu.cfs_quota_us", quota or -1)

    def _set_processes(self, processes: int | None) -> str:
        part = self._parts.get("pids")
        return "" if part is None else _tried(part.path / "pids.max", processes or "max")

    def use(self) -> ProjectUse:
        """Fields that no group here knows are None."""
        return ProjectUse(
            memory_mb=self._memory_mb(),
            cpu_seconds=self._cpu_seconds(),
            processes=self._number("pids", "pids.current", "pids.current"),
        )

    def full_memory_mb(self) -> float | None:
        """With all that the kernel has in its cache for it: what its limit is of."""
        return _scaled(self._number("memory", "memory.usage_in_bytes", "memory.current"), _MB)

    def _memory_mb(self) -> float | None:
        """Without files in the cache that nobody used lately: those are given up when memory is short."""
        full = self.full_memory_mb()
        if full is None:
            return None
        part = self._parts["memory"]
        given_up = "inactive_file" if part.version == 2 else "total_inactive_file"
        return max(0.0, full - cgroup.counters(part.path / "memory.stat").get(given_up, 0) / _MB)

    def _cpu_seconds(self) -> float | None:
        if UNIFIED in self._parts:  # v2 counts it without the controller
            used = cgroup.counters(self._parts[UNIFIED].path / "cpu.stat").get("usage_usec")
            return _scaled(used, 1e6)
        return _scaled(self._number("cpuacct", "cpuacct.usage", "cpuacct.usage"), 1e9)

    def _number(self, controller: str, file1: str, file2: str) -> int | None:
        part = self._parts.get(controller)
        if part is None:
            return None
        try:
            return int(cgroup.read(part.path / (file2 if part.version == 2 else file1)))
        except (OSError, ValueError):
            return None

    def peak_memory_mb(self) -> float | None:
        return _scaled(self._number("memory", "memory.max_usage_in_bytes", "memory.peak"), _MB)

    def memory_kills(self) -> int:
        """How many processes the kernel has ended here for want of memory."""
        part = self._parts.get("memory")
        if part is None:
            return 0
        name = "memory.events" if part.version == 2 else "memory.oom_control"
        return cgroup.counters(part.path / name).get("oom_kill", 0)

    def refused_forks(self) -> int:
        """How often a process or thread could not be started for there were too many."""
        part = self._parts.get("pids")
        return 0 if part is None else cgroup.counters(part.path / "pids.events").get("max", 0)

    def listed(self) -> list[int]:
        """As `members`, by one hierarchy: all hold the same processes, but in the moment of entering."""
        return cgroup.members(self.folders[0])

    def members(self) -> list[int]:
        return sorted({pid for path in self.folders for pid in cgroup.members(path)})

    def begin_kill(self) -> list[int]:
        """One round of ending everything inside; returns what was still there. Call until it is empty.

        Nothing new can start meanwhile where processes are counted, so the rounds come to an end.
        """
        pids = self._parts.get("pids")
        if pids is not None:
            with suppress(OSError):
                cgroup.write(pids.path / "pids.max", 0)
        if UNIFIED in self._parts:
            with suppress(OSError):  # Linux 5.14; all of it at one instant
                cgroup.write(self._parts[UNIFIED].path / "cgroup.kill", 1)
        left = self.members()
        for pid in left:
            send(pid, signal.SIGKILL)
        return left

    def remove(self) -> bool:
        """False while something is inside."""
        done = [cgroup.remove(path) for path in self.folders]  # each, also after one that is not empty
        return all(done)


def _tried(path: Path, value: object) -> str:
    try:
        cgroup.write(path, value)
    except OSError as error:
        return _words(path, error)
    return ""


def _words(path: Path, error: OSError) -> str:
    return f"{path} could not be set: {error.strerror}"


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value / unit
