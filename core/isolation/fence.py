"""The fence around all that one project runs: made before its worker, changed while it lives, then removed.

entry      what the worker's first process does before anything else, so that nothing escapes
apply      new limits for what lives inside, at once
admitting  while a worker is started and admitted
look       what happened since the last look: what was ended, by the kernel or by us
tidy       ends what a worker left that is gone
kill, remove
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from core.errors import Unavailable
from core.isolation.cgroup_fence import CgroupFence
from core.isolation.contain import send, stat_fields
from core.isolation.kernel_log import KernelLog, MemoryKill
from core.isolation.limits import Breach, ProjectLimits, ProjectUse, Resource, nice_of
from core.isolation.watchdog import Seen, TreeWatch, breach, look_at

_GONE_SECONDS = 15.0
_TELL_AGAIN_SECONDS = 60.0  # of refused forks: a fork bomb is refused a million times
_NAMED_SECONDS = 1.5  # that the kernel may take to say whom it ended, and to end a large process
_KILL = 9


class Fence:
    """Of one project. One event loop only; `entry`, `apply` and `use` are some file reads and writes each."""

    def __init__(self, project: str, groups: CgroupFence, log: KernelLog) -> None:
        self.project = project
        self.limits = ProjectLimits()
        self._groups = groups
        self._log = log
        self._tree = TreeWatch()
        self._told_kills = 0
        self._named: list[MemoryKill] = []  # in the kernel's log, not told yet
        self._waiting_since: float | None = None  # for who was ended; meanwhile nobody is forgotten
        self._refused = 0
        self._told_of_forks: float | None = None
        self._big: dict[int, Seen] = {}  # what was inside when memory was half full, at the last look
        self._parents: dict[int, int] = {}  # likewise: pid to its parent's
        self._admission = asyncio.Lock()  # held while a worker enters, and while what one left is ended
        self._lived = False  # a worker was admitted, and what it left is not ended yet
        self.asleep = False  # its last worker is gone, and nothing of it is left to be looked at
        self._disk_mb: float | None = None
        self._over_disk = False

    def make(self) -> None:
        """Makes what of it is not there, with its limits. Raises Unavailable when it cannot be made; then
        nothing of the project may start."""
        try:
            if self._groups.make():
                self._groups.apply(self.limits)
        except OSError as error:
            raise Unavailable(
                f"{self.project} cannot be fenced in.", why=str(error), hint="Restart Orchard."
            ) from error

    @property
    def entry(self) -> dict[str, Any]:
        """For core.isolation.enter, as JSON."""
        return {"join": list(self._groups.joins), "nice": self._nice}

    @property
    def _nice(self) -> int | None:
        return nice_of(self.limits.cpu_weight) if self._groups.means(Resource.CPU) is None else None

    @asynccontextmanager
    async def admitting(self) -> AsyncIterator[None]:
        """Around the start of a worker and its `admit`. First ends what an earlier worker left, which must
        not write into the next one's worktree. Raises Unavailable when that cannot be ended."""
        async with self._admission:
            self.asleep = False
            if not self.inhabited:
                await self.kill()
            yield

    def admit(self, pid: int, start_ticks: int) -> None:
        """A worker that entered: it is never what is ended for the project's memory or process count."""
        self._tree.admit(pid, start_ticks)
        self._lived = True

    @property
    def is_untidy(self) -> bool:
        """The last worker is gone, and nobody has ended yet what it left."""
        return self._lived and not self._admission.locked() and not self.inhabited

    async def tidy(self) -> None:
        """Ends what the last worker left, when it is gone; else nothing. Raises Unavailable as `kill`."""
        if not self.is_untidy:
            return
        async with self._admission:
            if not self.inhabited:
                await self.kill()
                self._lived, self.asleep = False, True

    @property
    def inhabited(self) -> bool:
        """An admitted worker lives."""
        return bool(self._tree.admitted())

    @property
    def near_limit(self) -> bool:
        """More than half of its memory was used at the last look, or something was just ended for it: it is
        worth to look again soon."""
        return bool(self._parents) or self._waiting_since is not None or self._tree.is_half_full

    @property
    def kills_untold(self) -> bool:
        """The kernel ended something for memory, and no look has told of it."""
        return self._groups.memory_kills() > self._told_kills

    def apply(self, limits: ProjectLimits) -> tuple[str, ...]:
        """For what lives inside and what comes. Returns in words what this machine does not hold."""
        self.limits = limits
        problems = list(self._groups.apply(limits))
        nice = self._nice
        if nice is not None:
            if not self._tree.be_nice(nice):
                problems.append(f"not every process of {self.project} could be given niceness {nice}")
            if limits.cpu_cores is not None:
                problems.append("a quota of processor time needs a cgroup: only the weight is applied")
        self._judge_disk()
        return tuple(problems)

    @property
    def is_grouped(self) -> bool:
        """Its processes are in a group of the kernel's: whoever left its parent is known all the same."""
        return bool(self._groups.folders)

    def pids(self) -> list[int]:
        """All inside, now."""
        return self._groups.listed() if self.is_grouped else [*self._tree.admitted(), *self._tree.below()]

    def use(self) -> ProjectUse:
        """Now. What no cgroup counts is counted over the processes."""
        found = self._groups.use()
        if None in (found.memory_mb, found.cpu_seconds, found.processes):
            tree = self._tree.use()
            found = ProjectUse(
                memory_mb=tree.memory_mb if found.memory_mb is None else found.memory_mb,
                cpu_seconds=tree.cpu_seconds if found.cpu_seconds is None else found.cpu_seconds,
                processes=tree.processes if found.processes is None else found.processes,
            )
        return replace(found, disk_mb=self._disk_mb)

    def look(self) -> list[Breach]:
        """What happened since the last look. To be called each second or so, while anything is inside."""
        found = [self._look_at_memory(), self._look_at_processes()]
        nice = self._nice
        if nice is not None:
            self._tree.be_nice(nice)  # a program that began a session has a scheduling group of its own
        return [one for one in found if one is not None]

    def _look_at_memory(self) -> Breach | None:
        limit = self.limits.memory_mb
        if self._groups.means(Resource.MEMORY) is None:
            return None if limit is None else self._tree.hold_memory(self.project, limit)
        found: Breach | None = None
        ended = self._groups.memory_kills() - self._told_kills
        if ended > 0:
            found = self._kernel_ended(ended)
        elif self._groups.memory_is_due:
            found = self._end_largest()
        if self._waiting_since is None:
            self._remember()
        return found

    def _kernel_ended(self, count: int) -> Breach | None:
        """By the kernel's log, or else by who is missing since the last look. None: at a later look."""
        self._named += self._log.take("/".join(self._groups.folders[0].parts[-2:]))
        if not self._log.readable:
            living = set(self._groups.members())
            self._named = [
                MemoryKill(group="", pid=one.pid, program=one.program, memory_mb=one.memory_mb)
                for one in self._big.values()
                if one.pid not in living
            ]
        now = time.monotonic()
        if len(self._named) < count and now - (self._waiting_since or now) <= _NAMED_SECONDS:
            self._waiting_since = self._waiting_since or now  # it counts before it writes, and before it ends
            return None
        named, self._named, self._waiting_since = self._named, [], None
        self._told_kills += count
        worst = max(named, key=lambda one: one.memory_mb, default=None)
        limit = float(self.limits.memory_mb or 0)
        line = self._line(one.pid for one in named)
        return Breach(
            project=self.project,
            resource=Resource.MEMORY,
            limit=limit,
            used=min(self._groups.peak_memory_mb() or limit, limit) or limit,
            ended=count,
            pid=worst.pid if worst else None,
            program=worst.program if worst else "",
            program_mb=worst.memory_mb if worst else None,
            above=frozenset(line),
        )

    def _line(self, pids: Iterable[int]) -> set[int]:
        """These, and the processes above them as they were last seen."""
        found: set[int] = set()
        for pid in pids:
            step: int | None = pid
            while step is not None and step not in found:
                found.add(step)
                step = self._parents.get(step)
        return found

    def _end_largest(self) -> Breach | None:
        """A limit below what is in use: the kernel refuses it (v1), so room is made first."""
        used = self._groups.full_memory_mb() or 0.0
        limit = float(self.limits.memory_mb or 0)
        inside = [pid for pid in self._groups.members() if pid not in self._tree.admitted()]
        seen = look_at(inside) if used > limit else []
        found: Breach | None = None
        if seen and not any(map(self._tree.is_dying, seen)):
            ended, above = self._tree.end_largest(seen, used - limit)
            if ended:
                found = breach(self.project, Resource.MEMORY, limit, used, ended, above)
        self._groups.apply(self.limits)  # what was ended frees its memory within moments: again at each look
        return found

    def _remember(self) -> None:
        """Who is inside, and below whom: nothing can be asked of a process that was ended."""
        limit = self.limits.memory_mb
        big: dict[int, Seen] = {}
        parents: dict[int, int] = {}
        if limit is not None and (self._groups.full_memory_mb() or 0.0) > limit / 2:
            inside = self._groups.members()
            for pid in inside:
                if (fields := stat_fields(pid)) is not None:
                    parents[pid] = int(fields[1])
            if not self._log.readable:
                big = {one.pid: one for one in look_at(inside)}
        if not self.kills_untold:  # else who was ended during this look would be missing
            self._big, self._parents = big, parents

    def _look_at_processes(self) -> Breach | None:
        limit = self.limits.processes
        if limit is None:
            return None
        if self._groups.means(Resource.PROCESSES) is None:
            return self._tree.hold_processes(self.project, limit)
        before, self._refused = self._refused, self._groups.refused_forks()
        now = time.monotonic()
        told = self._told_of_forks
        if self._refused <= before or (told is not None and now - told < _TELL_AGAIN_SECONDS):
            return None
        self._told_of_forks = now
        return Breach(project=self.project, resource=Resource.PROCESSES, limit=limit, used=limit)

    def saw_disk(self, used_mb: float | None) -> Breach | None:
        """What the project's folders take; None: not known. A breach when it has just become too much."""
        before = self._over_disk
        self._disk_mb = used_mb if used_mb is not None else self._disk_mb
        self._judge_disk()
        return None if before else self.over_disk

    def _judge_disk(self) -> None:
        limit = self.limits.disk_mb
        self._over_disk = limit is not None and self._disk_mb is not None and self._disk_mb > limit

    @property
    def wants_disk(self) -> bool:
        """To be measured although nobody is at work: it never was, or somebody may have made room."""
        return self._disk_mb is None or self._over_disk

    @property
    def over_disk(self) -> Breach | None:
        """While it is so, no new phase should start. Nothing is ended or removed for it."""
        limit, used = self.limits.disk_mb, self._disk_mb
        if not self._over_disk or limit is None or used is None:
            return None
        return Breach(project=self.project, resource=Resource.DISK, limit=limit, used=used)

    async def kill(self) -> None:
        """Ends everything inside, the worker too. Raises Unavailable when something cannot be ended."""
        deadline = time.monotonic() + _GONE_SECONDS
        pause_seconds = 0.002
        try:
            while left := {*self._groups.begin_kill(), *self._tree.admitted(), *self._tree.below()}:
                for pid in left:
                    send(pid, _KILL)
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"{len(left)} processes of {self.project} cannot be ended.",
                        why=f"Process {min(left)} does not react to KILL; it may wait for a network drive.",
                    )
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, 0.1)
        finally:
            with suppress(OSError):
                self._groups.apply(self.limits)  # ending it had set the process count to none

    async def remove(self) -> bool:
        """Ends everything inside and takes the fence down. False when a group could not be removed yet."""
        await self.kill()
        deadline = time.monotonic() + 2.0
        while not self._groups.remove():  # what has ended is gone from its group some moments later
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True
