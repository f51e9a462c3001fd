"""Compares what should be with what is, a little at a time, and mends the difference."""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
import sqlite3
from pathlib import Path

from core.domain.lifecycles import ProjectStatus
from core.domain.story import OVER, EpicState
from core.orchestrator.crew import Crew
from core.orchestrator.deadlines import Deadlines
from core.orchestrator.dispatcher import Dispatcher
from core.orchestrator.usage_limit import end_usage_pause
from core.store import epics, leases, projects, stories, usage
from core.store.database import Store, Transaction
from core.store.leases import Lease

log = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 60.0  # a removal that failed


class Reconciler:
    """`tick` is called on a timer; one at a time."""

    def __init__(self, store: Store, dispatcher: Dispatcher, crew: Crew, *, state_path: Path) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._crew = crew
        self._state_path = state_path
        self._deadlines = Deadlines(store, dispatcher.clock)
        self._not_before: dict[str, float] = {}  # story to monotonic seconds
        self._at_work = asyncio.Lock()

    async def tick(self) -> None:
        async with self._at_work:
            for step in (
                self._meet_deadlines,
                self._crew.supervisor.kill_silent,
                self._end_expired_leases,
                self._end_usage_pauses,
                self._give_up_pulls,
                self._crew.stops.tick,
                self._remove_leftovers,
            ):
                try:
                    await step()
                except Exception:  # one that cannot be done keeps no other from being done
                    log.exception("reconciling failed, incident %s", secrets.token_hex(4))

    async def settle(self) -> None:
        """Waits for a tick that is under way."""
        async with self._at_work:
            return

    async def _meet_deadlines(self) -> None:
        if await self._deadlines.tick():
            self._dispatcher.wake()

    async def _end_usage_pauses(self) -> None:
        """Sprints that go on by themselves when their agent's usage limit is over."""
        now = self._dispatcher.clock.now()
        for pause in await self._store.read(functools.partial(usage.due, now=now)):
            if not self._dispatcher.in_work_hours(pause.project, now):
                continue  # it goes on when they begin
            if await self._store.write(functools.partial(end_usage_pause, project=pause.project)):
                log.info("the usage limit of %s is over: %s goes on", pause.agent, pause.project)

    async def _give_up_pulls(self) -> None:
        """Pull requests that stories wait for, and that nobody looks after any more."""
        if stale := await self._dispatcher.publishing.give_up_stale():
            log.info("%s: no pull request is waited for any more", ", ".join(stale))
            self._dispatcher.wake()

    async def _end_expired_leases(self) -> None:
        """A phase whose worker no longer speaks of it is not running, whatever its row says."""

        def release(tx: Transaction) -> tuple[Lease, ...]:
            expired = leases.expired(tx.conn, tx.now)
            for lease in expired:
                leases.release(tx, lease.story_id, lease.generation)
            return expired

        if not await self._store.read(lambda conn: leases.expired(conn, self._dispatcher.clock.now())):
            return
        for lease in await self._store.write(release):
            log.warning("the lease of %s on %s expired", lease.owner, lease.story_id)
            await self._dispatcher.cancel(lease.project, lease.story_id)
        self._dispatcher.wake()

    async def _remove_leftovers(self) -> None:
        """Worktrees and homes of stories and epics that are over: a crash came before their removal."""

        def over(conn: sqlite3.Connection) -> list[tuple[str, str]]:
            found = []
            for project in projects.every(conn):
                if project.status is ProjectStatus.ACTIVE:
                    for name in sorted(_folders_of(self._state_path, project.name)):
                        story, epic = stories.find(conn, name), epics.find(conn, name)
                        if story is not None and story.project == project.name and story.state in OVER:
                            found.append((project.name, story.id))
                        if epic is not None and epic.state is not EpicState.DESIGNING:
                            found.append((project.name, epic.id))
            return found

        now = self._dispatcher.clock.monotonic()
        for project, story_id in await self._store.read(over):
            if self._dispatcher.drives(story_id) or self._not_before.get(story_id, 0.0) > now:
                continue
            if not await self._dispatcher.remove_worktree(project, story_id):
                self._not_before[story_id] = now + _TRY_AGAIN_SECONDS


def _folders_of(state_path: Path, project: str) -> set[str]:
    """The stories for which a worktree or a home is there."""
    return {
        path.name
        for kind in ("worktrees", "homes")
        if (folder := state_path / kind / project).is_dir()
        for path in folder.iterdir()
        if not path.name.startswith(".")
    }
