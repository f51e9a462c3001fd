"""Projects entering Orchard: by a command at run time, or because the configuration names them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.loader import Configuration
from config.registrations import registration_path, write_registration
from core.domain.event import EventKind
from core.domain.lifecycles import ProjectCommand, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority
from core.errors import InvalidInput, NotAllowed, OrchardError
from core.orchestrator.resource_views import ReloadView
from core.orchestrator.settings_diff import differences
from core.orchestrator.views import Registration
from core.projects.discovery import FoundFolder, discover
from core.projects.registration import Checkout, check_name, inspect_checkout, not_configured
from core.store import projects
from core.store.database import Store, Transaction

log = logging.getLogger(__name__)

_JUST_NOW = timedelta(minutes=1)
_KEYS_LATER = ".env is another than at the start: agents' and providers' keys in it are read after a restart"

# How a project that is configured with a status comes to it when it is first seen.
_WAY_TO = {
    ProjectStatus.INITIALIZING: (),
    ProjectStatus.ACTIVE: (ProjectCommand.START,),
    ProjectStatus.PAUSED: (ProjectCommand.START, ProjectCommand.PAUSE),
    ProjectStatus.MAINTENANCE: (ProjectCommand.START, ProjectCommand.MAINTAIN),
    ProjectStatus.ARCHIVED: (ProjectCommand.ARCHIVE,),
}


class Registry:
    """Holds the present configuration; it is read anew when a file of it changes, and when a project is
    registered or started."""

    def __init__(self, store: Store, configuration: Configuration, load: Callable[[], Configuration]) -> None:
        self._store = store
        self._load = load
        self.configuration = configuration
        self._keys_as_read = _stamp(configuration.root / ".env")
        self._unusable: dict[str, OrchardError] = {}
        self._unfollowed: dict[str, OrchardError] = {}  # whose settings name a main branch that is not there
        self._listeners: list[Callable[[Project], None]] = []
        self._changed: list[Callable[[], None]] = []
        self.record: Callable[[ReloadView], Awaitable[None]] | None = None  # keeps what changed
        self._reading = asyncio.Lock()  # a reading that was begun earlier never comes over a later one
        self._entering = asyncio.Lock()  # nobody adopts what is being registered
        self._taken_up: ReloadView | None = None  # unasked, and not told to anybody yet
        self.refused: OrchardError | None = None  # why the files, as they are now, are not in force

    def on_registered(self, listener: Callable[[Project], None]) -> None:
        """Calls `listener` for each project that is adopted or registered from now on."""
        self._listeners.append(listener)

    def on_changed(self, listener: Callable[[], None]) -> None:
        """Calls `listener` whenever other settings are in force than before."""
        self._changed.append(listener)

    def priority(self, name: str) -> Priority:
        settings = self.configuration.settings.projects.get(name)
        return settings.priority if settings else Priority.NORMAL

    def not_in_force(self, name: str) -> tuple[str, ...]:
        return self.configuration.not_in_force.get(name, ())

    def problem(self, name: str) -> OrchardError | None:
        """Why a registered project's settings cannot be used; None when they can."""
        if (error := self.configuration.broken.get(name)) is not None:
            return error
        return None if name in self.configuration.settings.projects else not_configured(name)

    def unusable(self) -> Mapping[str, OrchardError]:
        """The projects that are configured, but could not be taken in."""
        return self._unusable

    async def refresh(self) -> None:
        """Reads the configuration anew. One that cannot be accepted is raised and changes nothing.

        A project whose own files went bad keeps the settings that it had, so that its work can go on.
        """
        try:
            async with self._reading:
                await self._refresh()
        except OrchardError as error:
            self.refused = error
            raise
        self.refused = None

    async def _refresh(self) -> None:
        # In a thread: reading the files of many projects takes longer than an interaction may wait.
        fresh, before = await asyncio.to_thread(self._load), self.configuration
        if fresh.state_path != before.state_path:
            raise NotAllowed(
                f"The settings name another global_state_path, {fresh.state_path}.",
                why=f"Orchard works with {before.state_path} now.",
                hint="Restart Orchard, or put it back.",
            )
        kept = {
            name: before.settings.projects[name] for name in fresh.broken if name in before.settings.projects
        }
        settings = fresh.settings.model_copy(update={"projects": {**fresh.settings.projects, **kept}})
        self.configuration = replace(fresh, settings=settings)
        if settings != before.settings:
            for listener in self._changed:
                try:
                    listener()
                except Exception:  # the settings are in force, and the others are to hear of it
                    log.exception("not everything follows the changed settings at once")

    async def reload(self, *, asked: bool = False) -> ReloadView:
        """Reads the configuration anew, takes in what it newly names, and says what is different now.

        Who `asked` for it is told as well what was taken up by itself in the minute before.

        Raises as `refresh`. Of a project that can no longer be used with its settings, people are told.
        """
        async with self._entering:  # to its end: who asks next hears of all that this one took up
            told = await self._reload(asked=asked)
        if asked and _stamp(self.configuration.root / ".env") != self._keys_as_read:
            return replace(told, later=(*told.later, _KEYS_LATER))
        return told

    async def _reload(self, *, asked: bool) -> ReloadView:
        before = self.configuration
        known = {**before.broken, **self._unusable, **self._unfollowed}
        await self.refresh()
        await self.adopt(announce=False)
        wrong = {**self.configuration.broken, **self._unusable, **self._unfollowed}
        for name, error in wrong.items():
            if str(error) != str(known.get(name, "")):
                log.warning("project %s: %s", name, error)
                await self._store.write(_unavailable(name, error))
        changed, later = differences(before.settings, self.configuration.settings)
        told = ReloadView(changed=changed, later=later, problems=tuple(map(str, wrong.values())))
        now = datetime.now(UTC)
        if changed or later:
            if self.record is not None:
                await self.record(told)
            self._taken_up = None if asked else replace(told, taken_up_at=now)
            return told
        last, self._taken_up = self._taken_up, None if asked else self._taken_up
        if not asked or last is None or last.taken_up_at is None or now - last.taken_up_at > _JUST_NOW:
            return told
        return replace(last, problems=told.problems)

    async def register(self, name: str, path: Path, *, actor: str) -> Registration:
        """Checks the folder, writes `projects.d/<name>.yaml`, and the project's row.

        What orch-config.yaml says of the name is in force. Raises InvalidInput, ConfigError; then nothing is
        written.
        """
        async with self._entering:
            return await self._register(name, path, actor)

    async def _register(self, name: str, path: Path, actor: str) -> Registration:
        await self.refresh()
        known = {project.name: project for project in await self._store.read(projects.every)}
        name, settings = name.strip(), self.configuration.settings
        if name in known and self.configuration.broken.get(name) is None and name not in settings.projects:
            return await self._register_again(known[name], path)
        name = check_name(name, known)
        if (error := self.configuration.broken.get(name)) is not None:
            raise error
        configured = settings.projects.get(name)
        said = configured or self.configuration.unregistered.get(name)
        if configured is not None:
            self._check_path(name, Path(configured.path), path)
        others = {other: Path(each.path) for other, each in settings.projects.items() if other != name}
        checkout = await inspect_checkout(
            path,
            registered={**others, **{project.name: project.path for project in known.values()}},
            main_branch=said.main_branch if said else None,
            test_command=said.test_command if said else None,
            state_path=self.configuration.state_path,
        )
        if configured is None:
            await self._write(name, checkout.path)
        project = await self._insert(name, checkout, _WAY_TO[said.status] if said else (), actor)
        self._unusable.pop(name, None)
        return Registration(project=project, notes=checkout.notes)

    async def _register_again(self, project: Project, path: Path) -> Registration:
        """Gives a project of the store, which no file names any more, its registration back."""
        if not _same_place(path, project.path):
            raise InvalidInput(
                f"There is a project {project.name} already, with the checkout {project.path}.",
                why="Its stories and their branches are there.",
                hint=f"Register that one again (orchard register {project.name} {project.path}), "
                "or choose another name.",
            )
        others = {
            name: Path(each.path)
            for name, each in self.configuration.settings.projects.items()
            if name != project.name
        }
        checkout = await inspect_checkout(
            path,
            registered=others,
            main_branch=project.main_branch,
            state_path=self.configuration.state_path,
        )
        await self._write(project.name, checkout.path)
        self._tell(project)
        return Registration(project=project, notes=checkout.notes)

    def _check_path(self, name: str, configured: Path, path: Path) -> None:
        if _same_place(path, configured):
            return
        machine_owned = registration_path(self.configuration.state_path, name)
        place = machine_owned if machine_owned.exists() else self.configuration.config_file
        raise InvalidInput(
            f"{name} is configured with another path, {configured}.",
            why=f"{place} says so.",
            hint=f"Change the path there, or register {path} by another name.",
        )

    async def _write(self, name: str, path: Path) -> None:
        """The registration's file; it is gone again when the settings cannot be used with it."""
        is_new = not registration_path(self.configuration.state_path, name).exists()
        file = write_registration(self.configuration.state_path, name, path)
        try:
            await self.refresh()
            if (error := self.configuration.broken.get(name)) is not None:
                raise error
        except OrchardError:
            if is_new:
                file.unlink(missing_ok=True)
            await self.refresh()
            raise

    async def discover(self, paths: Sequence[Path]) -> tuple[FoundFolder, ...]:
        known = {project.name: project.path for project in await self._store.read(projects.every)}
        return await discover(paths, known, state_path=self.configuration.state_path)

    async def adopt(self, *, announce: bool = True) -> None:
        """Takes in the projects that the configuration names and the store does not know yet.

        One that cannot be used keeps none of the others from starting; with `announce` it is logged and told
        to people.
        """
        known = {project.name: project for project in await self._store.read(projects.every)}
        self._unfollowed = {}
        for project in known.values():
            self._tell(await self._on_its_branch(project))
        self._unusable = {
            name: error for name, error in self.configuration.broken.items() if name not in known
        }
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
                self._unusable[name] = error
        if announce:
            for name, reason in self._unusable.items():
                log.warning("project %s cannot be used: %s", name, reason)
                await self._store.write(_unavailable(name, reason))

    async def _on_its_branch(self, project: Project) -> Project:
        """With the main branch that the settings name by now: it was renamed, or it is to be another."""
        settings = self.configuration.settings.projects.get(project.name)
        branch = settings.main_branch if settings is not None else None
        if branch is None or branch == project.main_branch:
            return project
        try:
            checkout = await inspect_checkout(project.path, main_branch=branch)
        except OrchardError as error:
            self._unfollowed[project.name] = error
            return project
        return await self._store.write(
            lambda tx: projects.set_main_branch(tx, project.name, checkout.main_branch)
        )

    async def take_in(self, name: str) -> Project:
        """A configured project that could not be used when it was first seen. Raises what is wrong."""
        async with self._entering:
            await self.adopt(announce=False)
        if (error := self._unusable.get(name)) is not None:
            raise error
        return await self._store.read(lambda conn: projects.get(conn, name))

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


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What tells a file from what it was; None: it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _same_place(one: Path, other: Path) -> bool:
    return os.path.realpath(os.path.expanduser(one)) == os.path.realpath(other)  # noqa: PTH111 - never raises
