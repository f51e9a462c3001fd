"""The fences of all projects: made when asked for, looked after each second, taken down at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from core.isolation.cgroup import Home, homes
from core.isolation.cgroup_fence import CgroupFence
from core.isolation.cgroup_ground import Ground, remove_leftovers
from core.isolation.cgroup_probe import enforcement_of, make_ground
from core.isolation.disk import disk_mb
from core.isolation.fence import Fence
from core.isolation.kernel_log import KernelLog
from core.isolation.limits import Breach, Enforcement, ProjectLimits, ProjectUse
from core.wake import Wake

logger = logging.getLogger(__name__)

Told = Callable[[Breach], None]
Opened = Callable[[str], ProjectLimits]
_OFTENER = 5  # so many times as often we look where half of the memory is used
_TIDY_AGAIN_SECONDS = 60.0  # after what a worker left could not be ended


class Fences:
    """Use `open`; one event loop only."""

    def __init__(self, ground: Ground, log: KernelLog, told: Told, opened: Opened | None = None) -> None:
        self._ground = ground
        self._log = log
        self._told = told
        self._opened = opened
        self._fences: dict[str, Fence] = {}
        self._folders: dict[str, Callable[[], Sequence[Path]]] = {}
        self._new_folders = Wake()
        self._tidying: dict[str, asyncio.Task[None]] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        told: Told,
        *,
        opened: Opened | None = None,
        look_seconds: float = 1.0,
        disk_seconds: float = 60.0,
        cgroups: bool = True,
    ) -> AsyncIterator[Fences]:
        """Removes what killed Orchards left, and makes a place for this one's fences.

        `told` hears of each breach, on the event loop; it must not raise or wait. `opened` is asked for the
        limits of each new fence, before anything can enter it. `cgroups` False: as where they may not be
        written. At the end everything inside every fence is ended.
        """
        places: dict[str, Home] = homes() if cgroups else {}
        if removed := await asyncio.to_thread(remove_leftovers, places):
            logger.warning("removed %d groups that an earlier Orchard left", removed)
        fences = cls(await asyncio.to_thread(make_ground, places), KernelLog(), told, opened)
        tasks = [
            asyncio.create_task(fences._look(look_seconds), name="fences: look"),
            asyncio.create_task(fences._watch_disk(disk_seconds), name="fences: disk"),
        ]
        try:
            yield fences
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await fences._close()

    @property
    def enforcement(self) -> tuple[Enforcement, ...]:
        """By what each resource is held on this machine, and why not by better."""
        return enforcement_of(self._ground)

    def fence(self, project: str) -> Fence:
        """The project's fence, made if need be. Raises Unavailable when it cannot be made, and what `opened`
        raises."""
        found = self._fences.get(project)
        if found is None:
            found = Fence(project, CgroupFence(self._ground.folders(project)), self._log)
            if self._opened is not None:
                found.limits = self._opened(project)
        found.make()  # also when somebody removed it meanwhile
        if project not in self._fences:
            self._fences[project] = found
        return found

    def apply(self, project: str, limits: ProjectLimits) -> tuple[str, ...]:
        """See `Fence.apply`."""
        return self.fence(project).apply(limits)

    def use(self, project: str) -> ProjectUse | None:
        """None for a project without a fence."""
        found = self._fences.get(project)
        return None if found is None else found.use()

    def watch_disk(self, project: str, folders: Callable[[], Sequence[Path]]) -> None:
        """What these folders take counts as the project's disk; asked anew at each measurement. The first is
        made at once."""
        if project not in self._folders:
            self._new_folders.set()
        self._folders[project] = folders

    def live(self) -> tuple[Fence, ...]:
        """Those that are made."""
        return tuple(self._fences.values())

    def over_disk(self, project: str) -> Breach | None:
        """While not None, no new phase of the project should start."""
        found = self._fences.get(project)
        return None if found is None else found.over_disk

    async def end(self, project: str) -> None:
        """Ends everything of the project and removes its fence. No fence: nothing."""
        self._folders.pop(project, None)
        if (tidying := self._tidying.pop(project, None)) is not None:
            tidying.cancel()
        found = self._fences.pop(project, None)
        if found is not None and not await found.remove():
            logger.warning("a group of %s could not be removed", project)

    async def _look(self, seconds: float) -> None:
        number = 0
        while True:
            awake = any(not fence.asleep for fence in self.live())
            steps = 1 if awake else _OFTENER - number % _OFTENER
            await asyncio.sleep(seconds / _OFTENER * steps)
            number += steps
            for fence in self.live():
                if fence.asleep or (number % _OFTENER and not fence.near_limit):
                    continue
                try:
                    self.look(fence)
                except Exception:  # one project's trouble is not the others'
                    logger.exception("looking at the fence of %s failed", fence.project)
                if fence.project not in self._tidying and fence.is_untidy:
                    task = asyncio.create_task(self._tidy(fence), name=f"tidy the fence of {fence.project}")
                    self._tidying[fence.project] = task

    async def _tidy(self, fence: Fence) -> None:
        """Beside the looks, for it may take long: of a process that waits for a network drive no other
        project should hear."""
        try:
            await fence.tidy()
        except Exception as error:  # tried again, and before the next worker starts
            logger.warning("the fence of %s is not empty: %s", fence.project, error)
            await asyncio.sleep(_TIDY_AGAIN_SECONDS)
        finally:
            if self._tidying.get(fence.project) is asyncio.current_task():
                del self._tidying[fence.project]

    def look(self, fence: Fence) -> None:
        """Now, instead of with the next round."""
        for breach in fence.look():
            self._tell(breach)

    async def _watch_disk(self, seconds: float) -> None:
        while True:
            for project, folders in list(self._folders.items()):
                fence = self._fences.get(project)
                if fence is not None and not (fence.inhabited or fence.wants_disk):
                    continue  # nobody is there to write
                try:
                    await self.measure_disk(project, folders())
                except Exception:
                    logger.exception("measuring the disk of %s failed", project)
            await self._new_folders.rest(seconds)

    async def measure_disk(self, project: str, folders: Sequence[Path]) -> float | None:
        """Counts now, tells when it is too much, and returns MB; None: not known."""
        used = await disk_mb(folders)
        fence = self._fences.get(project)
        if fence is not None and (breach := fence.saw_disk(used)) is not None:
            self._tell(breach)
        return used

    def _tell(self, breach: Breach) -> None:
        logger.warning("%s", breach)
        self._told(breach)

    async def _close(self) -> None:
        tidying = tuple(self._tidying.values())
        for task in tidying:
            task.cancel()
        await asyncio.gather(*tidying, return_exceptions=True)
        for project in list(self._fences):
            with suppress(Exception):  # the others are to be ended all the same
                await self.end(project)
        self._log.close()
        if not await asyncio.to_thread(self._ground.remove):
            logger.warning("groups of %s are left; the next start removes them", self._ground.name)
