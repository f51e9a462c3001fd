"""A project's repository on GitHub: linked, looked at, unlinked."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime, timedelta

from config.github_settings import check_repository
from core.domain.github import Link
from core.errors import InvalidInput, NotAllowed, Unavailable
from core.orchestrator import repository_links
from core.orchestrator.commands.topic import Topic, find
from core.orchestrator.github_desk import GithubDesk
from core.orchestrator.github_views import FoundRepository, GithubView, HookView, NotesView, SyncView
from core.store import github_heard, github_issues, github_links, pulls

_MOST_SPRINTS = 100_000
_A_DAY = timedelta(hours=24)


class Repositories(Topic):
    async def repositories(self, project: str | None = None) -> tuple[GithubView, ...]:
        """Of every linked project, or of one. Raises NotFound when that one is linked with none."""

        def look(conn: sqlite3.Connection) -> tuple[GithubView, ...]:
            if project is None:
                return tuple(self._repository(conn, link) for link in github_links.every(conn))
            return (self._repository(conn, github_links.get(conn, find(conn, project).name)),)

        return await self._store.read(look)

    async def link_repository(self, project: str, repository: str, *, actor: str) -> GithubView:
        """Its issues become stories, and its stories go in there. GitHub is asked first; beside no running
        Orchard, when one starts. Raises InvalidInput, NotAllowed, and what GitHub refuses with."""
        name = (await self._store.read(lambda conn: find(conn, project))).name
        try:
            wanted = check_repository(repository)
        except ValueError as error:
            raise InvalidInput(
                f"'{repository.strip()[:80]}' is no repository's name.",
                why=str(error),
                hint=f"Say it as in its address: /github link {name} octo/shop.",
            ) from None
        self._not_configured_otherwise(name, wanted)
        found = await self._github.about(name, wanted) if self._github is not None else None
        named = self._configured(name) is not None
        await self._store.write(
            lambda tx: repository_links.link(tx, name, wanted, by=actor, configured=named, found=found)
        )
        if self._github is not None:
            self._github.nudge(name)
        return (await self.repositories(name))[0]

    async def repository_access(self, project: str) -> FoundRepository:
        """Asks GitHub now who its repository is, and what the project's credential may do there. Raises what
        GitHub refuses with, Unavailable beside no running Orchard."""
        link = await self._store.read(lambda conn: github_links.get(conn, find(conn, project).name))
        return await self._github_desk("GitHub is asked").about(link.project, link.repository)

    async def unlink_repository(self, project: str, *, actor: str) -> str:
        """Nothing is synced any more, and its stories go in as those of any project; what is at GitHub stays
        as it is. The repository's name. Raises NotFound, NotAllowed where the settings name it, LostRace
        where it is another one by now."""
        name = (await self._store.read(lambda conn: find(conn, project))).name
        link = await self._store.read(lambda conn: github_links.get(conn, name))
        self._not_configured_otherwise(name, "")
        await self._store.write(lambda tx: repository_links.unlink(tx, link, actor))
        if self._github is not None:
            self._github.nudge(name)
        return link.repository

    async def sync_repository(self, project: str, *, actor: str) -> SyncView:
        """Looks at GitHub now. Raises what GitHub refuses with, Unavailable beside no running Orchard."""
        link = await self._store.read(lambda conn: github_links.get(conn, find(conn, project).name))
        began = time.monotonic()
        taken = await self._github_desk("GitHub is looked at").sync(link.project)
        return SyncView(
            view=(await self.repositories(link.project))[0],
            added=taken.added,
            edited=taken.edited,
            closed=taken.closed,
            reopened=taken.reopened,
            seconds=time.monotonic() - began,
            held=taken.held,
        )

    async def release_notes(self, project: str, sprint: int | None = None) -> NotesView:
        """What a sprint's merged stories changed; None: of the last sprint. Raises NotFound, InvalidInput."""
        if sprint is not None and not 0 < sprint <= _MOST_SPRINTS:
            raise InvalidInput(
                f"Sprint {str(sprint)[:20]} is none: they are counted from 1.",
                hint="Leave the number out for the last one.",
            )
        name = (await self._store.read(lambda conn: find(conn, project))).name
        return await self._github_desk("Release notes are written").release_notes(name, sprint, False)

    async def repository_hook(self, project: str, url: str = "", make: bool = False) -> HookView:
        """What to enter at GitHub for its webhooks to come here; `make`: has GitHub make it. `url`: of this
        Orchard as GitHub reaches it; "": web.public_url."""
        link = await self._store.read(lambda conn: github_links.get(conn, find(conn, project).name))
        public = url.strip() or self._registry.configuration.settings.global_.web.public_url or ""
        return await self._github_desk("Webhooks are set up").hook(link.project, public, make)

    def _repository(self, conn: sqlite3.Connection, link: Link) -> GithubView:
        project = find(conn, link.project)
        said = github_heard.last_delivery(conn, link.project)
        differs = link.default_branch not in ("", project.main_branch)
        return GithubView(
            link=link,
            issues=len(github_issues.of_project(conn, link.project)),
            pulls=pulls.at_work(conn, link.project),
            delivered_at=None if said is None else datetime.fromisoformat(said),
            delivered=github_heard.delivered_since(conn, link.project, datetime.now(UTC) - _A_DAY),
            webhooks=self.webhook_counts(),
            keeping=self._github.keeping(link.project) if self._github is not None else None,
            default_branch_differs=project.main_branch if differs else "",
        )

    def _github_desk(self, what: str) -> GithubDesk:
        if self._github is None:
            raise Unavailable(f"{what} by a running Orchard only.", hint="Start it: orchard run.")
        return self._github

    def _configured(self, name: str) -> str | None:
        settings = self._registry.configuration.settings.projects.get(name)
        return settings.github.repository if settings is not None else None

    def _not_configured_otherwise(self, name: str, wanted: str) -> None:
        said = self._configured(name)
        if said is not None and said.casefold() != wanted.casefold():
            raise NotAllowed(
                f"The settings link {name} with {said}.",
                why="What orch-config.yaml says is not changed by a command.",
                hint="Change github.repository of the project there.",
            )
