"""Projects held to their limits while they work: each one's settings around its live processes, what it
measures, and what follows when it goes over.

For memory the story's own agent is ended, and its phase says why it failed; for disk nothing new of the
project starts; of each people are told. Nobody else's processes are touched.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from config.settings import ProjectSettings
from core.domain.event import EventKind
from core.errors import OrchardError
from core.isolation.contain import stat_fields
from core.isolation.fences import Fences
from core.isolation.limits import Breach, ProjectLimits, ProjectUse, Resource
from core.orchestrator.breaches import (
    Telling,
    data_of,
    explained_by,
    may_be_of_memory,
    story_of,
    was_killed,
)
from core.store import processes, stories
from core.store.database import Store, Transaction
from core.store.processes import ProcessRow
from core.wake import Wake
from core.worker.contract import PhaseReport

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0  # new settings are in force this much later at most
_FRESH_SECONDS = 1.0  # a measurement serves for so long
_NAMED_SECONDS = 2.0  # a report waits so long to hear whom the kernel ended
_OLD_SECONDS = 600.0  # of a breach whose phase never reported
_FOLDERS = ("worktrees", "environments", "homes", "transcripts", "salvage")  # below the state folder


def limits_of(settings: ProjectSettings) -> ProjectLimits:
    """What a project's settings say of all that it runs. PURE."""
    limits = settings.resource_limits
    return ProjectLimits(
        memory_mb=limits.max_memory_mb,
        cpu_weight=max(0.01, limits.cpu_priority),  # what a cgroup can tell apart
        cpu_cores=limits.max_cpu_cores,
        processes=limits.max_processes,
        disk_mb=limits.max_disk_mb,
    )


class Fencing:
    """Use `open`; one event loop only, but for `measured`."""

    def __init__(
        self,
        store: Store,
        settings: Callable[[str], ProjectSettings],
        state_path: Path,
        fences: Fences,
        heard: deque[Breach],
    ) -> None:
        self._store = store
        self._settings = settings
        self._state_path = state_path.resolve()
        self.fences = fences
        self.enforcement: tuple[str, ...] = tuple(map(str, fences.enforcement))
        self._heard = heard
        self._settling = asyncio.Lock()
        self._telling = Telling()
        self._applied: dict[str, ProjectLimits] = {}
        self._problems: dict[str, tuple[str, ...]] = {}
        self._measured: dict[str, tuple[float, ProjectUse]] = {}
        self._ended: dict[str, tuple[float, Breach]] = {}  # by story, until its phase reports
        self._nobodys: deque[tuple[float, Breach]] = deque(maxlen=100)  # of memory, and of no known story

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        store: Store,
        settings: Callable[[str], ProjectSettings],
        state_path: Path,
        *,
        cgroups: bool = True,
        look_seconds: float = 1.0,
        disk_seconds: float = 60.0,
    ) -> AsyncIterator[Fencing]:
        """Fences as `settings` says, which is asked at each change and raises OrchardError for a project that
        has none. `cgroups` False: as where they may not be written. At the end all that is inside is ended.
        """
        heard: deque[Breach] = deque()
        wake = Wake()

        def hear(breach: Breach) -> None:
            heard.append(breach)
            wake.set()

        async with Fences.open(
            hear,
            opened=lambda project: limits_of(settings(project)),
            look_seconds=look_seconds,
            disk_seconds=disk_seconds,
            cgroups=cgroups,
        ) as fences:
            fencing = cls(store, settings, state_path, fences, heard)
            ticking = asyncio.create_task(fencing._tick(wake), name="fencing")
            try:
                yield fencing
            finally:
                ticking.cancel()
                await asyncio.gather(ticking, return_exceptions=True)

    # -- what is so now ----------------------------------------------------------------------

    def measured(self, project: str) -> ProjectUse | None:
        """What it uses, a second old at most; None for a project that runs nothing. Of `disk_mb` a minute.
        From any thread: it reads some files."""
        now = time.monotonic()
        known = self._measured.get(project)
        if known is not None and now - known[0] < _FRESH_SECONDS:
            return known[1]
        use = self.fences.use(project)
        if use is not None:
            self._measured[project] = (now, use)
        return use

    def over_disk(self, project: str) -> str:
        """Why no new phase of it may start, in a sentence; empty when its disk is no reason."""
        breach = self.fences.over_disk(project)
        if breach is None:
            return ""
        return (
            f"{project} takes {breach.used:,.0f} MB of its {breach.limit:,.0f} MB of disk; next when "
            "there is room: finish or remove stories, or raise its max_disk_mb."
        )

    def problems(self, project: str) -> tuple[str, ...]:
        """Limits of it that this machine does not hold, in sentences."""
        return self._problems.get(project, ())

    def apply(self) -> None:
        """Puts the present settings around all that lives. Those that cannot be read change nothing."""
        for fence in self.fences.live():
            project = fence.project
            try:
                wanted = limits_of(self._settings(project))
                if self._applied.get(project) != wanted:
                    self._problems[project] = self.fences.apply(project, wanted)
                    self._applied[project] = wanted
            except OrchardError as error:
                log.debug("the limits of %s stay as they are: %s", project, error)

    # -- what a phase failed for -------------------------------------------------------------

    async def explained(self, project: str, report: PhaseReport) -> PhaseReport:
        """The report, saying so when a program of its phase was ended for memory."""
        if may_be_of_memory(report):
            await self._look(project)
            await self._settle(reporting=report.story_id)
        now = time.monotonic()
        at, breach = self._ended.pop(report.story_id, (now, None))
        if breach is None and was_killed(report):
            at, breach = self._claim(project) or (now, None)
        if breach is None or now - at > _OLD_SECONDS or not may_be_of_memory(report):
            return report
        return explained_by(report, breach)

    async def _look(self, project: str) -> None:
        """The kernel counts what it ended before it says whom."""
        fence = next((fence for fence in self.fences.live() if fence.project == project), None)
        if fence is None:
            return
        deadline = time.monotonic() + _NAMED_SECONDS
        self.fences.look(fence)
        while fence.kills_untold and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            self.fences.look(fence)

    def _claim(self, project: str) -> tuple[float, Breach] | None:
        for found in self._nobodys:
            if found[1].project == project:
                self._nobodys.remove(found)
                return found
        return None

    # -- what is done about it ---------------------------------------------------------------

    async def _tick(self, wake: Wake) -> None:
        while True:
            try:
                self.apply()
                for fence in self.fences.live():
                    self.fences.watch_disk(fence.project, self._folders_of(fence.project))
                await self._settle()
                for breach, story, times in self._telling.due(time.monotonic()):
                    await self._tell(breach, story, times)
            except Exception:  # edge: limits hold without this; it is tried again
                log.exception("looking after the limits of projects failed")
            await wake.rest(_TICK_SECONDS)

    def _folders_of(self, project: str) -> Callable[[], Sequence[Path]]:
        return lambda: [self._state_path / kind / project for kind in _FOLDERS]

    async def _settle(self, reporting: str | None = None) -> None:
        """Each breach that was heard of: whose it is, what is ended for it, who is told."""
        async with self._settling:
            while self._heard:
                breach = self._heard.popleft()
                story = None
                if breach.resource is Resource.MEMORY:
                    story = await self._end_agent(breach, reporting)
                if self._telling.hear(breach, story, time.monotonic()):
                    await self._tell(breach, story)

    async def _end_agent(self, breach: Breach, reporting: str | None) -> str | None:
        """The story that it was, whose agent is then ended; None: nobody knows, and nobody else is."""
        rows = await self._store.read(processes.every)
        story, now = story_of(breach, rows, reporting), time.monotonic()
        if story is None:
            self._nobodys.append((now, breach))
            return None
        self._ended[story] = (now, breach)
        end_trees(row for row in rows if row.story_id == story and row.kind == "agent")
        return story

    async def _tell(self, breach: Breach, story: str | None, times: int = 1) -> None:
        def tell(tx: Transaction) -> None:
            known = story is not None and stories.find(tx.conn, story) is not None  # else it is an epic's
            tx.emit(
                EventKind.LIMIT_BREACHED,
                project=breach.project,
                story_id=story if known else None,
                data=data_of(breach, times),
            )

        await self._store.write(tell)


def end_trees(rows: Iterable[ProcessRow]) -> None:
    """Ends those that live, by identity, with all that they started: the first process of a sandbox takes the
    rest with it, and elsewhere a keeper does, who must hear of it."""
    own = Path("/proc/self/ns/pid").stat().st_ino
    for row in rows:
        with suppress(OSError):  # it has ended
            fd = os.pidfd_open(row.pid)
            try:
                fields = stat_fields(row.pid)
                if fields is None or int(fields[19]) != row.start_ticks:
                    continue
                keeper = Path(f"/proc/{row.pid}/ns/pid").stat().st_ino == own
                if keeper:
                    signal.pidfd_send_signal(fd, signal.SIGCONT)
                signal.pidfd_send_signal(fd, signal.SIGTERM if keeper else signal.SIGKILL)
            finally:
                os.close(fd)
