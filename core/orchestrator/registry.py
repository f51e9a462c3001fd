"""Projects entering Orchard: by a command at run time, or because the configuration names them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from config.loader import Configuration
from config.registrations import write_registration
from core.domain.event import EventKind
from core.domain.lifecycles import ProjectCommand, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority
from core.errors import OrchardError
from core.orchestrator.views import Candidate, Registration
from core.projects.discovery import discover
from core.projects.registration import Checkout, check_name, inspect_checkout
from core.store import projects
from core.store.database import Store, Transaction

log = logging.getLogger(__name__)

# How a project that is configured with a status comes to it when it is first seen.
_WAY_TO = {
    ProjectStatus.INITIALIZING: (),
    ProjectStatus.ACTIVE: (ProjectCommand.START,),
    ProjectStatus.PAUSED: (ProjectCommand.START, ProjectCommand.PAUSE),
    ProjectStatus.MAINTENANCE: (ProjectCommand.START, ProjectCommand.MAINTAIN),
    ProjectStatus.ARCHIVED: (ProjectCommand.ARCHIVE,),
}


class Registry:
    """Holds the present configuration; it is read anew after each registration."""

    def __init__(self, store: Store, configuration: Configuration, load: Callable[[], Configuration]) -> None:
        self._store = store
        self._load = load
        self.configuration = configuration
        self._listeners: list[Callable[[Project], None]] = []

    def on_registered(self, listener: Callable[[Project], None]) -> None:
        """Calls `listener` for each project that is adopted or registered from now on."""
        self._listeners.append(listener)

    def priority(self, name: str) -> Priority:
        settings = self.configuration.settings.projects.get(name)
        return settings.priority if settings else Priority.NORMAL

    def not_in_force(self, name: str) -> tuple[str, ...]:
        return self.configuration.not_in_force.get(name, ())

    async def register(self, name: str, path: Path, *, actor: str) -> Registration:
        """Checks the folder, writes `projects.d/<name>.yaml`, and the project's row. Raises InvalidInput."""
        known = {project.name: project.path for project in await self._store.read(projects.every)}
        name = check_name(name, known)
        settings = self.configuration.settings.projects.get(name)
        checkout = await inspect_checkout(
            path,
            registered=known,
            main_branch=settings.main_branch if settings else None,
            test_command=settings.test_command if settings else None,
            state_path=self.configuration.state_path,
        )
        if settings is None:
            write_registration(self.configuration.state_path, name, checkout.path)
            self.configuration = self._load()
        project = await self._insert(name, checkout, (), actor)
        return Registration(project=project, notes=checkout.notes)

    async def discover(self, paths: Sequence[Path]) -> tuple[Candidate, ...]:
        known = {project.name: project.path for project in await self._store.read(projects.every)}
        return await discover(paths, known, state_path=self.configuration.state_path)

    async def adopt(self) -> None:
        """Takes in the projects that the configuration names and the store does not know yet.

        One that cannot be used is logged and told to people; it keeps none of the others from starting.
        """
        known = {project.name: project for project in await self._store.read(projects.every)}
        for project in known.values():
            self._tell(project)
        for name, settings in self.configuration.settings.projects.items():
            if name in known:
                continue
            try:
                checkout = await inspect_checkout(
                    Path(settings.path),
                    registered={project.name: project.path for project in known.values()},
                    main_branch=settings.main_branch,
                    test_command=settings.test_command,
                    state_path=self.configuration.state_path,
                )
                known[name] = await self._insert(name, checkout, _WAY_TO[settings.status], "configuration")
            except OrchardError as error:
                log.warning("project %s cannot be used: %s", name, error)
                await self._store.write(_unavailable(name, error))

    async def _insert(
        self, name: str, checkout: Checkout, way: Sequence[ProjectCommand], actor: str
    ) -> Project:
        def insert(tx: Transaction) -> Project:
            project = Project(
                name=name,
                path=checkout.path,
                main_branch=checkout.main_branch,
                status=ProjectStatus.INITIALIZING,
                workflow=WorkflowState.IDLE,
                registered_at=tx.now,
            )
            projects.add(tx, project)
            tx.emit(
                EventKind.PROJECT_REGISTERED,
                project=name,
                actor=actor,
                data={"path": str(checkout.path), "notes": list(checkout.notes)},
            )
            for command in way:
                project = projects.move_status(tx, name, command)
            return project

        project = await self._store.write(insert)
        self._tell(project)
        return project

    def _tell(self, project: Project) -> None:
        for listener in self._listeners:
            listener(project)


def _unavailable(name: str, error: OrchardError) -> Callable[[Transaction], object]:
    message = f"{error.message} {error.why}".strip()
    return lambda tx: tx.emit(
        EventKind.PROJECT_UNAVAILABLE, data={"project": name, "message": message, "hint": error.hint}
    )
