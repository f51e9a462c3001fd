"""What is done where the kernel does not hold a limit: look, and end what is too much.

Weaker than a cgroup, and said so: what comes and goes between two looks is not seen, a processor weight is
only niceness (so it counts by process, not by project), and there is no processor quota.
"""

from __future__ import annotations

import math
import os
import signal
import time
from dataclasses import dataclass

import psutil

from core.isolation.contain import descendants, send, stat_fields
from core.isolation.enter import be_nice
from core.isolation.limits import Breach, ProjectUse, Resource

_MB = 1 << 20
_DYING_SECONDS = 5.0  # a killed program may still be seen with its memory, on a busy machine
_STARTED = 19  # of stat_fields: start time in clock ticks
_RESIDENT = 21  # likewise: pages in memory
_PROCESSOR = slice(11, 15)  # its own ticks and those of its children that ended and were waited for
_PAGE, _TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A living process at one look."""

    pid: int
    start_ticks: int
    program: str
    memory_mb: float


class TreeWatch:
    """The processes of one project: those that were admitted, which are never ended here, and all below."""

    def __init__(self) -> None:
        self._admitted: dict[int, int] = {}  # pid: start ticks
        self._killed: dict[tuple[int, int], float] = {}  # pid and start ticks: when, at the last breach
        self.is_half_full = False  # of memory, at the last look

    def admit(self, pid: int, start_ticks: int) -> None:
        self._admitted[pid] = start_ticks

    def admitted(self) -> list[int]:
        """Those that live. A pid alone is no identity."""
        for pid, ticks in list(self._admitted.items()):
            if _ticks(pid) != ticks and self._admitted.get(pid) == ticks:
                self._admitted.pop(pid, None)  # another thread, which measures, may have found it as well
        return list(self._admitted)

    def below(self) -> list[int]:
        """All that the admitted started, directly or not."""
        return list(dict.fromkeys(pid for root in self.admitted() for pid in descendants(root)))

    def use(self) -> ProjectUse:
        """One look at each: hundreds are measured in one pass."""
        seen = [
            fields for pid in (*self.admitted(), *self.below()) if (fields := stat_fields(pid)) is not None
        ]
        return ProjectUse(
            memory_mb=sum(int(fields[_RESIDENT]) for fields in seen) * _PAGE / _MB,
            cpu_seconds=sum(int(ticks) for fields in seen for ticks in fields[_PROCESSOR]) / _TICKS,
            processes=len(seen),
        )

    def be_nice(self, nice: int) -> bool:
        """Of every process, with its session's group. False when one refused: it asks for more rights."""
        done = [be_nice(pid, nice) for pid in [*self.admitted(), *self.below()]]
        return all(done)

    def hold_memory(self, project: str, limit_mb: int) -> Breach | None:
        """Ends the largest until the rest is below the limit."""
        seen = [one for one in look_at([*self.admitted(), *self.below()]) if not self.is_dying(one)]
        used = sum(one.memory_mb for one in seen)
        self.is_half_full = used > limit_mb / 2
        if used <= limit_mb:
            return None
        exact = [_with_exact_memory(one) for one in seen]  # shared pages were counted more than once
        used = sum(one.memory_mb for one in exact)
        if used <= limit_mb:
            return None
        others = [one for one in exact if one.pid not in self._admitted]
        ended, above = self.end_largest(others, used - limit_mb)
        return breach(project, Resource.MEMORY, limit_mb, used, ended, above)

    def end_largest(self, seen: list[Seen], too_much_mb: float) -> tuple[list[Seen], frozenset[int]]:
        """As the function; whom it ended is dying for a while."""
        ended, above = end_largest(seen, too_much_mb)
        self._killed = {(one.pid, one.start_ticks): time.monotonic() for one in ended}
        return ended, above

    def is_dying(self, one: Seen) -> bool:
        """It was ended for its memory a moment ago: nobody else is to be ended in its place."""
        ended_at = self._killed.get((one.pid, one.start_ticks), -math.inf)
        return time.monotonic() - ended_at <= _DYING_SECONDS

    def hold_processes(self, project: str, limit: int) -> Breach | None:
        """Ends the newest that are too many; all below the admitted when they are twice as many."""
        below, admitted = self.below(), self.admitted()
        count = len(below) + len(admitted)
        if count <= limit:
            return None
        for pid in below:
            send(pid, signal.SIGSTOP)  # what stands still starts nothing while we choose
        below = self.below()
        seen = sorted(look_at(below), key=lambda one: (one.start_ticks, one.pid), reverse=True)
        excess = len(below) if count > 2 * limit else len(below) + len(admitted) - limit
        ended = [one for one in seen[: max(0, excess)] if end(one)]
        for pid in self.below():
            send(pid, signal.SIGCONT)
        return breach(project, Resource.PROCESSES, limit, count, ended)


def end_largest(seen: list[Seen], too_much_mb: float) -> tuple[list[Seen], frozenset[int]]:
    """Ends them until so much is freed. Which, and their pids with those of all processes above them."""
    ended: list[Seen] = []
    above: set[int] = set()
    for one in sorted(seen, key=lambda one: -one.memory_mb):
        if too_much_mb <= 0:
            break
        line = {one.pid, *ancestors(one.pid)}
        if end(one):
            ended.append(one)
            above |= line
            too_much_mb -= one.memory_mb
    return ended, frozenset(above)


def ancestors(pid: int) -> list[int]:
    """Nearest first, without the first process of all."""
    found: list[int] = []
    while (fields := stat_fields(pid)) is not None and (pid := int(fields[1])) > 1:
        found.append(pid)
    return found


def breach(
    project: str,
    resource: Resource,
    limit: float,
    used: float,
    ended: list[Seen],
    above: frozenset[int] = frozenset(),
) -> Breach:
    worst = max(ended, key=lambda one: one.memory_mb, default=None)
    return Breach(
        project=project,
        resource=resource,
        limit=limit,
        used=used,
        ended=len(ended),
        pid=worst.pid if worst else None,
        program=worst.program if worst else "",
        program_mb=worst.memory_mb if worst else None,
        above=above,
    )


def look_at(pids: list[int]) -> list[Seen]:
    """Those that live, with their resident memory."""
    found: list[Seen] = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                memory, program = process.memory_info().rss, process.name()
        except psutil.Error:
            continue
        ticks = _ticks(pid)
        if ticks is not None:
            found.append(Seen(pid=pid, start_ticks=ticks, program=program, memory_mb=memory / _MB))
    return found


def end(seen: Seen) -> bool:
    """KILL, if it is still the same process."""
    try:
        fd = os.pidfd_open(seen.pid)
    except OSError:
        return False
    try:
        if _ticks(seen.pid) != seen.start_ticks:
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _with_exact_memory(seen: Seen) -> Seen:
    """Each shared page counted by how many share it, where the kernel tells us."""
    try:
        pss = psutil.Process(seen.pid).memory_full_info().pss
    except psutil.Error:
        return seen
    return Seen(
        pid=seen.pid,
        start_ticks=seen.start_ticks,
        program=seen.program,
        memory_mb=min(pss / _MB, seen.memory_mb),
    )


def _ticks(pid: int) -> int | None:
    fields = stat_fields(pid)
    return None if fields is None or fields[0] in ("Z", "X") else int(fields[_STARTED])
