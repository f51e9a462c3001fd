"""GitHub beside the rest: every linked project's repository is kept, as long as Orchard runs.

Without a link nothing of it is imported, and nothing is asked for: what speaks with GitHub is opened when the
first project is linked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from config.settings import Settings
from core.bus import Bus
from core.clock import Clock
from core.domain.event import Event, EventKind
from core.errors import OrchardError, Unavailable
from core.github.keeping import Keeping, Parts, found_of
from core.github.links import adopt
from core.github.webhooks.nudge import EVERYTHING, Nudge
from core.ids import new_id
from core.orchestrator.github_desk import Taken
from core.orchestrator.github_views import FoundRepository, HookView, KeepingView, NotesView
from core.store import github_links
from core.store.database import Store
from core.wake import Wake
from core.worker.remote_contract import Remote

_log = logging.getLogger(__name__)

CHECK_SECONDS = 300.0  # links are compared with what is kept this often, whatever was heard
_OF_LINKS = frozenset({EventKind.GITHUB_LINKED, EventKind.GITHUB_UNLINKED, EventKind.PROJECT_REGISTERED})
# Of these there are many, and none is told at GitHub.
_UNTOLD = frozenset(
    {EventKind.NETWORK_USED, EventKind.NETWORK_DENIED, EventKind.CALLS_REFUSED, EventKind.LIMIT_BREACHED}
)


class GithubService:
    """`core.orchestrator.github_desk.GithubDesk` and `core.orchestrator.remote_access.RemoteAccess`."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        settings: Callable[[], Settings],
    ) -> None:
        self.store = store
        self.clock = clock
        self._bus = bus
        self._settings = settings
        self._open_parts: Callable[[], Awaitable[Parts]] | None = None
        self._opening = asyncio.Lock()
        self._parts: Parts | None = None
        self._kept: dict[str, tuple[Keeping, asyncio.Task[None]]] = {}
        self._wake = Wake()

    def opening(self, open_parts: Callable[[], Awaitable[Parts]]) -> None:
        """How what speaks with GitHub is imported and made: before `run`."""
        self._open_parts = open_parts

    async def run(self) -> None:
        """Until cancelled."""
        try:
            with self._bus.subscribe() as events:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._keep_links(group), name="github: links")
                    async for event in events:
                        self._hear(event)
        finally:
            if self._parts is not None:
                await self._parts.gateway.close()

    def settings_changed(self) -> None:
        self._wake.set()
        for keeping, _ in self._kept.values():
            keeping.nudge()
            keeping.happened(everywhere=True)

    # -- what the commands ask ---------------------------------------------------------------

    async def about(self, project: str, repository: str) -> FoundRepository:
        repo = await (await self._opened()).gateway.named(project, repository)
        return found_of(await repo.about(), repo.credential)

    async def sync(self, project: str) -> Taken:
        keeping = self._keeping(project)
        keeping.landing.nudge()
        before = keeping.taken  # what a look takes in that is under way already is news, too
        await keeping.reading.once()
        keeping.happened(everywhere=True)
        return keeping.taken.since(before)

    def remaining(self) -> dict[str, int]:
        """Requests that GitHub still allows, by project, where it has said."""
        rates = {project: keeping.view().rate for project, (keeping, _) in self._kept.items()}
        return {
            project: rate.remaining
            for project, rate in rates.items()
            if rate is not None and rate.remaining is not None
        }

    def nudge(self, project: str, said: Nudge = EVERYTHING) -> None:
        if (found := self._kept.get(project)) is not None:
            found[0].nudge(said)
        else:
            self._wake.set()

    def keeping(self, project: str) -> KeepingView:
        found = self._kept.get(project)
        return found[0].view() if found is not None else KeepingView(doing="", next_at=None)

    async def release_notes(self, project: str, sprint: int | None, publish: bool) -> NotesView:
        from core.github.outward.sprint_notes import sprint_notes

        return await self.store.read(lambda conn: sprint_notes(conn, project, sprint))

    async def hook(self, project: str, url: str, make: bool) -> HookView:
        return await (await self._opened()).hooks.hook(project, url, make)

    # -- what the merge queue asks -----------------------------------------------------------

    async def remote(self, project: str) -> Remote | None:
        """As core.orchestrator.remote_access says."""
        link = await self.store.read(lambda conn: github_links.find(conn, project))
        if link is None:
            return None
        found = await (await self._opened()).gateway.remote(project)
        if found is None:
            raise Unavailable(
                f"{link.repository} was not reached yet, so nothing of {project} goes in.",
                why=link.trouble,
                hint=f"See how it stands: /github status {project}.",
            )
        return found

    # -- which are kept ----------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        if event.kind in _OF_LINKS:
            self._wake.set()
        found = self._kept.get(event.project or "")
        if found is not None and event.kind not in _UNTOLD:
            found[0].happened()
            if event.kind is EventKind.WORKFLOW_CHANGED:  # issues may have waited for a sprint's review
                found[0].reading.nudge()

    async def _keep_links(self, group: asyncio.TaskGroup) -> None:
        while True:
            try:
                await adopt(self.store, self._settings())
                links = await self.store.read(github_links.every)
                await self._match(group, {link.project for link in links})
            except OrchardError as error:
                _log.warning("repositories are not kept: %s", error)
            except Exception:
                _log.exception("%s: repositories are not kept", new_id("error"))
            await self._wake.rest(CHECK_SECONDS)

    async def _match(self, group: asyncio.TaskGroup, linked: set[str]) -> None:
        for project in [*self._kept]:
            keeping, task = self._kept[project]
            if project not in linked or task.done():
                task.cancel()
                await asyncio.wait((task,))  # `await task` could not tell its being cancelled from ours
                del self._kept[project]
        for project in sorted(linked - self._kept.keys()):
            keeping = Keeping(project, await self._opened(), self.store, self.clock, self._settings)
            task = group.create_task(keeping.run(), name=f"github: {project}")
            self._kept[project] = (keeping, task)

    async def _opened(self) -> Parts:
        async with self._opening:
            if self._parts is None:
                assert self._open_parts is not None
                self._parts = await self._open_parts()
            return self._parts

    def _keeping(self, project: str) -> Keeping:
        found = self._kept.get(project)
        if found is None:
            self._wake.set()
            raise Unavailable(
                f"The repository of {project} is being taken up.", hint="Try it again in some seconds."
            )
        return found[0]
