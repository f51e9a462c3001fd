"""Projects: registered, discovered, started, stopped, archived, reopened."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from core.domain.event import EventKind
from core.domain.lifecycles import PROJECT, ProjectCommand, ProjectStatus
from core.domain.machine import next_state
from core.domain.project import Project
from core.errors import InvalidTransition, NotAllowed, NotFound, Unavailable
from core.orchestrator.commands.topic import Topic, find
from core.orchestrator.views import ArchiveView, Registration
from core.projects.discovery import FoundFolder
from core.store import approvals, epics, projects
from core.store.archive import Archive, last_event, write_archive
from core.store.database import Transaction

_TRIES = 5


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
        if project.status is ProjectStatus.ARCHIVED:
            raise InvalidTransition(
                f"{project.name} is archived: it cannot start.", hint=f"First: /project_reopen {project.name}"
            )
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

    async def maintain_project(self, name: str, *, actor: str) -> Project:
        """As stopped, and said to be: something outside is mended. Raises InvalidTransition."""

        def maintain(tx: Transaction) -> Project:
            moved = projects.move_status(tx, find(tx.conn, name).name, ProjectCommand.MAINTAIN)
            tx.emit(EventKind.PROJECT_MAINTAINED, project=moved.name, actor=actor)
            return moved

        moved = await self._store.write(maintain)
        if self._engine is not None:
            await self._engine.halt(moved.name)
        return moved

    async def archive_project(self, name: str, *, actor: str) -> ArchiveView:
        """What the store knows of it is written to a file first. Its agents are stopped, its questions are
        withdrawn; its checkout, its history and its configuration stay, and it can be reopened.

        Raises InvalidTransition for one that is archived; Unavailable when the file cannot be written, then
        it is only stopped.
        """
        project = await self._store.read(lambda conn: find(conn, name))
        if project.status is ProjectStatus.ACTIVE:
            project = await self.stop_project(project.name, actor=actor)
        next_state(PROJECT, project.status, ProjectCommand.ARCHIVE, entity=f"Project {project.name}")
        for _ in range(_TRIES):
            made = await self._archive(project.name)
            try:
                moved = await self._store.write(partial(_archived, name=project.name, made=made, actor=actor))
            except BaseException as error:
                await asyncio.to_thread(made.path.unlink, missing_ok=True)
                if not isinstance(error, _Moved):
                    raise
            else:
                return ArchiveView(
                    project=moved, path=str(made.path), rows=made.total, sha256=made.sha256, at=made.made_at
                )
        raise Unavailable(
            f"{project.name} cannot be archived now.",
            why="Something happens in it whenever its archive has just been written.",
            hint="Wait until nothing of it runs, then try again.",
        )

    async def reopen_project(self, name: str, *, actor: str) -> Project:
        """Paused, with all that the store knows of it: a question that was withdrawn is asked anew when its
        story goes on. Raises InvalidTransition for one that is not archived."""

        def reopen(tx: Transaction) -> Project:
            moved = projects.move_status(tx, find(tx.conn, name).name, ProjectCommand.REOPEN)
            tx.emit(EventKind.PROJECT_REOPENED, project=moved.name, actor=actor)
            return moved

        return await self._store.write(reopen)

    async def _archive(self, name: str) -> Archive:
        configuration = self._registry.configuration
        said = configuration.settings.projects.get(name)
        settings = {} if said is None else said.model_dump(mode="json")
        folder, now = configuration.state_path / "archives", datetime.now(UTC)
        return await self._store.read(
            lambda conn: write_archive(conn, name, folder, now=now, settings=settings)
        )

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


class _Moved(Exception):
    """Something happened in the project since its archive was written."""


def _archived(tx: Transaction, *, name: str, made: Archive, actor: str) -> Project:
    if last_event(tx.conn, name) != made.last_event:
        raise _Moved
    moved = projects.move_status(tx, name, ProjectCommand.ARCHIVE)
    for asked in approvals.pending(tx.conn, name):
        approvals.cancel_of_story(tx, asked.story_id, by=actor, reason="The project was archived.")
    data = {"path": str(made.path), "rows": made.total, "sha256": made.sha256}
    tx.emit(EventKind.PROJECT_ARCHIVED, project=moved.name, actor=actor, data=data)
    return moved
