"""Projects: registered, discovered, started, stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.domain.event import EventKind
from core.domain.lifecycles import (
    ProjectCommand,
    ProjectStatus,
)
from core.domain.project import Project
from core.errors import NotAllowed, NotFound
from core.orchestrator.commands.topic import Topic, find
from core.orchestrator.views import (
    Registration,
)
from core.projects.discovery import FoundFolder
from core.store import epics, projects
from core.store.database import Transaction


class Projects(Topic):
    async def register_project(self, name: str, path: Path, *, actor: str) -> Registration:
        return await self._registry.register(name, path, actor=actor)

    async def discover_projects(self, paths: Sequence[Path]) -> tuple[FoundFolder, ...]:
        return await self._registry.discover(paths)

    async def start_project(self, name: str, *, actor: str) -> Project:
        """What kept it from starting before may be mended: the settings are read anew."""
        await self._registry.refresh()
        try:
            project = await self._store.read(lambda conn: find(conn, name))
        except NotFound:
            project = await self._registry.take_in(name.strip().lower())
        if (problem := self._registry.problem(project.name)) is not None:
            raise problem
        if self._engine is not None:
            await self._engine.prepare(project)
        if project.status is ProjectStatus.ACTIVE:
            return project

        def start(tx: Transaction) -> Project:
            moved = projects.move_status(tx, project.name, ProjectCommand.START)
            epics.release(tx, moved.name)
            tx.emit(EventKind.PROJECT_STARTED, project=moved.name, actor=actor)
            return moved

        return await self._store.write(start)

    async def stop_project(self, name: str, *, actor: str) -> Project:
        """Pauses the project: its agents are stopped, what they left is kept, nothing new starts."""
        project = await self._store.read(lambda conn: find(conn, name))
        if project.status is not ProjectStatus.ACTIVE:
            raise NotAllowed(
                f"{project.name} is {project.status}: there is nothing to stop.",
                hint=f"/project_start {project.name} lets it work.",
            )

        def stop(tx: Transaction) -> Project:
            moved = projects.move_status(tx, project.name, ProjectCommand.PAUSE)
            tx.emit(EventKind.PROJECT_STOPPED, project=moved.name, actor=actor)
            return moved

        stopped = await self._store.write(stop)
        if self._engine is not None:
            await self._engine.halt(project.name)
        return stopped
