"""Which files a story has changed since its base: looked at while its agent works, and told."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.errors import OrchardError
from core.worker.contract import Touched
from core.worker.found import Worktree
from core.worker.git import Repository
from core.worker.workshop import Tell

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
REST = 50  # after a look, rest so many times as long: at most 2 % of a core
_MOST_FILES = 2000  # more says nothing more about what overlaps
_OWN = ".orch-state/"


@dataclass(slots=True, kw_only=True)
class Touching:
    """Of one story's worktree. Losing a look loses nothing: a failing one is logged and left out."""

    repository: Repository
    worktree: Worktree
    base: str
    generation: int
    tell: Tell
    _told: tuple[str, ...] | None = field(default=None, init=False)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Tells now and then what changed, as long as this is open."""
        watch = asyncio.create_task(self._watch(), name=f"files of {self.worktree.story_id}")
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait([watch])

    async def say(self, tree: str | None) -> None:
        """Tells what is changed at a phase's end, whether or not it was told before.

        `tree` is what the worktree holds, where that is known: a commit or a tree.
        """
        await self._say(tree, again=True)

    async def _watch(self) -> None:
        pause = LOOK_SECONDS
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            await self._say(None, again=False)
            pause = pause_after(time.monotonic() - began)

    async def _say(self, tree: str | None, *, again: bool) -> None:
        try:
            files = await self.look() if tree is None else await self._unlike_base(tree)
        except (OrchardError, OSError) as error:
            logger.warning("the files of %s were not looked at: %s", self.worktree.story_id, error)
            return
        if again or files != self._told:
            self._told = files
            story = self.worktree.story_id
            await self.tell.touched(Touched(story_id=story, generation=self.generation, files=files))

    async def _unlike_base(self, tree: str) -> tuple[str, ...]:
        if tree == self.base:
            return ()
        return _shown(change.path for change in await self.repository.changes(self.base, tree))

    async def look(self) -> tuple[str, ...]:
        """Files that differ from the base, committed or not, sorted: at most 2,000. Raises GitFailed."""
        async with self.repository.private_index() as index:  # `git diff` may lock an index to refresh it
            await asyncio.to_thread(shutil.copyfile, self.worktree.index, index)
            changed = await self.repository.git(
                "diff",
                "--name-only",
                "-z",
                "--no-renames",
                "--no-ext-diff",
                "--no-textconv",
                "--ignore-submodules=all",  # else git would look into them, by a configuration of the agent's
                self.base,
                "--",
                work_tree=self.worktree.path,
                index=index,
            )
            added = await self.repository.git(
                "ls-files", "-z", "-o", "--exclude-standard", work_tree=self.worktree.path, index=index
            )
        return _shown(os.fsdecode(name) for name in (changed.stdout + added.stdout).split(b"\0") if name)


def pause_after(seconds: float) -> float:
    """How long to rest after a look that took so long."""
    return max(LOOK_SECONDS, REST * seconds)


def _shown(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if not name.startswith(_OWN)})[:_MOST_FILES])
