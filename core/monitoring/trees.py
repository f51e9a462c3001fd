"""What each project's processes use: whole trees, as the fences know them, in one pass.

By the project's group where there is one: whoever left its parent or its session is still inside. Blocking:
some files of /proc and of the cgroups for each project that has a living process, none for the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.isolation.limits import ProjectUse

_MB = 1 << 20


class LiveFence(Protocol):
    """Of core.isolation.fence.Fence, what is asked here."""

    @property
    def project(self) -> str: ...
    @property
    def asleep(self) -> bool: ...
    @property
    def is_grouped(self) -> bool: ...
    def use(self) -> ProjectUse: ...
    def pids(self) -> Sequence[int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeUse:
    """None: not known. Cores and bytes a second are the mean since the pass before; the first has none."""

    source: str  # "cgroup" or "psutil"
    cores: float | None = None
    memory_bytes: float | None = None
    processes: int | None = None
    disk_bytes: float | None = None
    read_bytes_a_second: float | None = None
    written_bytes_a_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """What only grows while nobody ends: who ends hands it to its parent when that waits for it."""

    at: float
    cpu_seconds: float | None
    read_bytes: int | None
    written_bytes: int | None


class Trees:
    def __init__(self) -> None:
        self._last: dict[str, _Sums] = {}

    def read(self, fences: Iterable[LiveFence]) -> dict[str, TreeUse]:
        """By project; those without a living process are left out."""
        found: dict[str, TreeUse] = {}
        last, self._last = self._last, {}
        for fence in fences:
            if fence.asleep:
                continue
            use = fence.use()
            if not use.processes:
                continue
            at = time.monotonic()  # of what was just read, not of when all the rest is
            pids = fence.pids()  # a group's own number is of threads
            read, written = _disk_io(pids)
            sums = _Sums(at=at, cpu_seconds=use.cpu_seconds, read_bytes=read, written_bytes=written)
            before = last.get(fence.project)
            self._last[fence.project] = sums
            found[fence.project] = TreeUse(
                source="cgroup" if fence.is_grouped else "psutil",
                cores=_rate(before, sums, "cpu_seconds"),
                memory_bytes=None if use.memory_mb is None else use.memory_mb * _MB,
                processes=len(pids),
                disk_bytes=None if use.disk_mb is None else use.disk_mb * _MB,
                read_bytes_a_second=_rate(before, sums, "read_bytes"),
                written_bytes_a_second=_rate(before, sums, "written_bytes"),
            )
        return found


def _rate(before: _Sums | None, now: _Sums, name: str) -> float | None:
    """Never below 0: a process may have ended that nobody waited for."""
    old, new = None if before is None else getattr(before, name), getattr(now, name)
    if before is None or old is None or new is None or now.at <= before.at:
        return None
    return float(max(0.0, (new - old) / (now.at - before.at)))


def _disk_io(pids: Iterable[int]) -> tuple[int | None, int | None]:
    """Bytes that were really read from and written to disks (proc_pid_io(5)), also for children that were
    waited for. None: it is told of no process, as where each has a user of its own and we may not ask."""
    read = written = 0
    told = False
    for pid in pids:
        try:
            with open(f"/proc/{pid}/io", "rb", buffering=0) as file:  # noqa: PTH123 - there are hundreds
                lines = file.read().split()
        except OSError:
            continue  # it has ended, or is not ours to ask
        values = dict(zip(lines[::2], lines[1::2], strict=False))
        read += int(values.get(b"read_bytes:", 0))
        written += max(0, int(values.get(b"write_bytes:", 0)) - int(values.get(b"cancelled_write_bytes:", 0)))
        told = True
    return (read, written) if told else (None, None)
