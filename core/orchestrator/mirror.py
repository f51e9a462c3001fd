"""Keeps each project's `.orch-state` folder a readable picture of the store, for people and other tools.

Nothing depends on it: a file that cannot be written is logged once and tried again, with the next change or a
little later.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path

from core.agents.confined import read_text, write_text
from core.bus import Bus
from core.domain.event import Event, EventKind
from core.domain.evidence import Verdict
from core.domain.project import Project
from core.domain.story import Cycle
from core.errors import NotFound, OrchardError
from core.orchestrator import overview
from core.projects.foreignstate import is_own
from core.projects.orchstate import (
    BACKLOG,
    CYCLES,
    FOLDER,
    SPRINTS,
    ProjectFacts,
    StoryFacts,
    documents,
    without_tests,
)
from core.store import epics, events, gates, projects, sprints, stories
from core.store.database import Store
from core.worker.git import Repository
from core.worker.worktree import exclude

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0  # between two pictures of one project: a burst of events makes one
SHARE = 20  # a picture that takes long is made seldom: at most this part of the time goes into it
# What was in the way may go, as another tool's files do a moment after their import was told; each wait is
# twice the one before, until something changes.
_FIRST_AGAIN_SECONDS, _LONGEST_AGAIN_SECONDS = 2.0, 120.0
_SILENT = frozenset({EventKind.AGENT_SAID, EventKind.PROCESS_REAPED, EventKind.WORKER_STARTED})


class Mirror:
    """`wanted` says of a project's name whether it is to be mirrored."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        *,
        wanted: Callable[[str], bool],
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._bus = bus
        self._wanted = wanted
        self._pause = pause_seconds
        self._written: dict[str, dict[str, str]] = {}  # project -> path -> digest of what stands there
        # By story, with its cycle's time.
        self._verdicts: dict[str, tuple[datetime, tuple[Verdict, ...]]] = {}
        self._complaints: dict[str, str] = {}
        self._stale: dict[str, asyncio.Event] = {}

    async def run(self) -> None:
        """Until cancelled."""
        with self._bus.subscribe() as heard:
            async with asyncio.TaskGroup() as group:
                for project in await self._store.read(projects.every):
                    self._mark(group, project.name)
                await self._listen(group, heard)

    async def _listen(self, group: asyncio.TaskGroup, heard: AsyncIterator[Event]) -> None:
        async for event in heard:
            if event.project is not None and event.kind not in _SILENT:
                self._mark(group, event.project)

    def _mark(self, group: asyncio.TaskGroup, project: str) -> None:
        if project not in self._stale:
            self._stale[project] = asyncio.Event()
            group.create_task(self._keep(project), name=f"mirror of {project}")
        self._stale[project].set()

    async def _keep(self, project: str) -> None:
        again: float | None = None  # seconds after which it is tried without a change; None: not at all
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(again):
                    await self._stale[project].wait()
            if self._stale[project].is_set():
                again = None
            self._stale[project].clear()
            began = time.monotonic()
            try:
                if self._wanted(project):
                    await self.write(project)
                self._complaints.pop(project, None)
                again = None
            except (OrchardError, OSError, sqlite3.Error) as error:
                again = min(_LONGEST_AGAIN_SECONDS, 2 * again if again else _FIRST_AGAIN_SECONDS)
                if self._complaints.get(project) != str(error):
                    self._complaints[project] = str(error)
                    log.warning("the .orch-state of %s was not written: %s", project, error)
            await asyncio.sleep(max(self._pause, SHARE * (time.monotonic() - began)))

    async def write(self, name: str) -> None:
        """Brings the files up to the store. Raises OSError or OrchardError; what was written stays."""
        facts, made = await self._store.read(lambda conn: self._picture(conn, name))
        path = facts.project.path
        before = self._written.get(name)
        if before is None:
            await _check_untracked(facts.project)
            before = {}
        if await asyncio.to_thread(_is_foreign, path, before.get(BACKLOG)):
            raise OrchardError(
                f"{FOLDER}/{BACKLOG} is another tool's.",
                hint=f"Take it over: orchard import {name}. Or set state_mirror: false for the project.",
            )
        self._written[name] = await asyncio.to_thread(_bring_up, path, made, before)

    def _picture(self, conn: sqlite3.Connection, name: str) -> tuple[ProjectFacts, dict[str, str]]:
        """The facts, and path to text of what is made of them; in one read."""
        project = projects.get(conn, name)
        views = overview.story_views(conn, stories.of_project(conn, name), lambda _story: "")
        facts = ProjectFacts(
            project=project,
            epics=epics.of_project(conn, name),
            stories=tuple(
                StoryFacts(
                    story=view.story,
                    status=view.status,
                    cycle=view.cycle,
                    needs=view.needs,
                    verdicts=self._verdicts_of(conn, view.cycle) if view.cycle else (),
                )
                for view in views
            ),
            sprints=sprints.of_project(conn, name),
        )
        last = events.latest(conn, project=name, limit=1)
        made = documents(facts, updated=last[0].at if last else project.registered_at)
        return facts, {
            path: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for path, document in made.items()
        }

    def _verdicts_of(self, conn: sqlite3.Connection, cycle: Cycle) -> tuple[Verdict, ...]:
        """A gate's row comes with a change of its cycle: what was read before is still all there is."""
        kept = self._verdicts.get(cycle.story_id)
        if kept is None or kept[0] != cycle.updated_at:
            verdicts = tuple(without_tests(row.verdict) for row in gates.of_story(conn, cycle.story_id))
            self._verdicts[cycle.story_id] = kept = (cycle.updated_at, verdicts)
        return kept[1]


async def _check_untracked(project: Project) -> None:
    """Keeps the folder out of the user's commits. Raises OrchardError where git tracks what stands in it."""
    repository = await Repository.open(project.path)
    listed = await repository.git("ls-files", "-z", "--", FOLDER)
    names = os.fsdecode(listed.stdout).split("\0")
    if tracked := [name for name in names if name not in ("", f"{FOLDER}/config.yaml")]:
        raise OrchardError(
            f"git tracks {tracked[0]}: the picture would stand in the way of every commit.",
            hint=f"git rm -r --cached {FOLDER}, or set state_mirror: false for the project.",
        )
    exclude(repository.common_dir, f"{FOLDER}/")


def _is_foreign(root: Path, written: str | None) -> bool:
    """Whether another tool keeps its backlog there, also one that began after Orchard.

    `written` is the digest of what Orchard wrote last: a file that has it is not parsed.
    """
    try:
        text = read_text(root, f"{FOLDER}/{BACKLOG}")
        return _digest(text) != written and not is_own(json.loads(text))
    except (NotFound, FileNotFoundError):
        return False
    except (ValueError, RecursionError):
        return True  # no JSON at all: Orchard did not write that


def _bring_up(root: Path, made: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Writes what changed, removes files of ours that no document makes any more; digests of what stands."""
    now: dict[str, str] = {}
    for path, text in made.items():
        digest = _digest(text)
        if before.get(path) != digest or not os.path.lexists(root / FOLDER / path):
            write_text(root, f"{FOLDER}/{path}", text)
        now[path] = digest
    for folder in (SPRINTS, CYCLES):
        for left in (root / FOLDER / folder).glob("*.json"):
            if f"{folder}/{left.name}" not in made and _is_ours(root, f"{FOLDER}/{folder}/{left.name}"):
                left.unlink(missing_ok=True)
    return now


def _is_ours(root: Path, relative: str) -> bool:
    try:
        return is_own(json.loads(read_text(root, relative)))
    except (OrchardError, OSError, ValueError, RecursionError):
        return False


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
