"""What a person can look at. Nothing here changes anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

import psutil

from core.domain.approval import Approval
from core.domain.event import Event
from core.domain.project import Project
from core.domain.story import StoryState
from core.errors import NotFound
from core.orchestrator import overview
from core.orchestrator.commands.metrics import Figures
from core.orchestrator.commands.topic import find
from core.orchestrator.views import (
    ProjectView,
    SprintView,
    StoryDetail,
    StoryTitle,
    StoryView,
    SystemView,
    WorkerView,
    WorkflowView,
)
from core.store import approvals, events, projects, stories


class Looking(Figures):
    async def system(self) -> SystemView:
        return SystemView(
            running=self._engine is not None,
            startup_complete=self._started_at is not None,
            started_at=self._started_at,
            projects=await self.projects(),
            pending_approvals=await self.approvals(),
            isolation=self._isolation,
            discord=self.discord_status(),
            web=self.web_status(),
            cpu_percent=psutil.cpu_percent(),
            memory_percent=psutil.virtual_memory().percent,
            unusable={name: str(error) for name, error in self._registry.unusable().items()},
            refused_settings=str(self._registry.refused or ""),
            figures=await self.metrics(),
        )

    async def projects(self) -> tuple[ProjectView, ...]:
        return await self._store.read(lambda conn: self._project_views(conn, projects.every(conn)))

    async def project(self, name: str) -> ProjectView:
        return (await self._store.read(lambda conn: self._project_views(conn, (find(conn, name),))))[0]

    async def backlog(self, project: str) -> tuple[StoryView, ...]:
        return await self._store.read(
            lambda conn: overview.backlog(conn, find(conn, project).name, self._why)
        )

    async def sprint(self, project: str) -> SprintView:
        view = await self._store.read(
            lambda conn: overview.sprint_view(conn, find(conn, project).name, self._why)
        )
        if view is None:
            raise NotFound(f"{project} has no sprint yet.", hint="Plan one: /sprint plan.")
        return view

    async def workflow(self, project: str) -> WorkflowView:
        return await self._store.read(lambda conn: overview.workflow_view(conn, find(conn, project)))

    async def story(self, story_id: str) -> StoryDetail:
        return await self._store.read(
            lambda conn: overview.story_detail(conn, story_id.strip().lower(), self._why)
        )

    def story_in(self, conn: sqlite3.Connection, story_id: str) -> StoryDetail:
        """Within a transaction of the caller's."""
        return overview.story_detail(conn, story_id, self._why)

    def project_in(self, conn: sqlite3.Connection, name: str) -> ProjectView:
        """Likewise."""
        return self._project_views(conn, (find(conn, name),))[0]

    async def story_page(
        self, project: str, *, states: Collection[StoryState] | None = None, after: int = 0, limit: int
    ) -> tuple[StoryView, ...]:
        """By number, those behind number `after`."""

        def look(conn: sqlite3.Connection) -> tuple[StoryView, ...]:
            found = stories.of_project(conn, find(conn, project).name, states=states)
            rest = sorted((each for each in found if each.number > after), key=lambda each: each.number)
            return overview.story_views(conn, rest[:limit], self._why)

        return await self._store.read(look)

    async def stories(self, project: str | None = None, *, at_work: bool = False) -> tuple[StoryView, ...]:
        """`at_work`: only those whose cycle may run."""

        def look(conn: sqlite3.Connection) -> tuple[StoryView, ...]:
            name = find(conn, project).name if project else None
            states = (StoryState.ACTIVE,) if at_work else None
            return overview.story_views(conn, stories.of_project(conn, name, states=states), self._why)

        return await self._store.read(look)

    async def story_titles(self, project: str | None = None) -> tuple[StoryTitle, ...]:
        """For choosing one: several times quicker than `stories`."""
        return await self._store.read(
            lambda conn: overview.story_titles(conn, find(conn, project).name if project else None)
        )

    async def approvals(self, project: str | None = None) -> tuple[Approval, ...]:
        return await self._store.read(
            lambda conn: approvals.pending(conn, find(conn, project).name if project else None)
        )

    async def approval(self, approval_id: str) -> Approval:
        return await self._store.read(lambda conn: approvals.get(conn, approval_id))

    async def events(
        self, *, after: int = 0, project: str | None = None, story_id: str | None = None, limit: int = 100
    ) -> tuple[Event, ...]:
        return await self._store.read(
            lambda conn: events.since(
                conn, after, project=project, story_id=story_id, limit=max(1, min(limit, 1000))
            )
        )

    def _project_views(self, conn: sqlite3.Connection, chosen: Sequence[Project]) -> tuple[ProjectView, ...]:
        tallies = overview.tallies(conn, chosen[0].name if len(chosen) == 1 else None)
        pending = overview.questions(conn)
        return tuple(
            self._project_view(project, tallies.get(project.name, {}), pending.get(project.name, 0))
            for project in chosen
        )

    def _project_view(self, project: Project, tally: Mapping[str, int], pending: int) -> ProjectView:
        problem = self._registry.problem(project.name)
        return ProjectView(
            project=project,
            priority=self._registry.priority(project.name),
            worker=self._engine.worker_view(project.name) if self._engine else WorkerView(state="stopped"),
            running=tally.get("running", 0),
            waiting=tally.get("waiting", 0),
            blocked=tally.get("blocked", 0),
            done=tally.get("done", 0),
            pending_approvals=pending,
            not_in_force=self._registry.not_in_force(project.name),
            problem=str(problem) if problem is not None else "",
        )
