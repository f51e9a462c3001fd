"""Finding folders that could be projects. Nothing is registered here, and nothing is changed."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.clock import Clock, SystemClock
from core.errors import InvalidInput, OrchardError
from core.projects.registration import free_name
from core.projects.shape import FOREIGN, MARKERS, kinds
from core.worker.git import Repository, find_git_dir

_DEEPEST = 6  # folders below a given path
_MOST_FOLDERS = 50_000
_SECONDS = 10.0
_RECENT_DAYS = 30
_PARALLEL = 4
_PSEUDO = frozenset({"/proc", "/sys", "/dev", "/run"})
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFolder:
    """A folder that discovery found."""

    path: str
    name: str  # proposed
    reasons: tuple[str, ...]  # "has .orch-state", "git repository, 42 commits in 30 days", "pyproject.toml"
    registered_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Find:
    path: Path
    repository: bool
    orchestrated: bool
    markers: tuple[str, ...]


async def discover(
    paths: Sequence[Path],
    registered: Mapping[str, Path],
    *,
    state_path: Path | None = None,
    clock: Clock | None = None,
    seconds: float = _SECONDS,
) -> tuple[FoundFolder, ...]:
    """Folders at or below `paths` with a `.orch-state`, a git repository or a project's usual files.

    `registered`: the checkouts of the projects that are there, by name. `state_path`: Orchard's own folder,
    which is left out. Ends after `seconds` with what was found until then, and logs that. Sorted by path.
    Raises InvalidInput when one of `paths` is not a folder.
    """
    stop = threading.Event()
    skipped = {os.path.realpath(state_path)} if state_path else set()
    walk = _Walk(stop=stop, deadline=time.monotonic() + seconds, skipped=frozenset(skipped))
    try:
        finds = await asyncio.to_thread(walk.run, await asyncio.to_thread(_roots, paths))
    finally:
        stop.set()  # a cancelled caller does not wait, and the thread ends soon after
    if walk.cut:
        _LOG.warning("Discovery stopped early, %s: some projects may be missing.", walk.cut)
    since = (clock or SystemClock()).now() - timedelta(days=_RECENT_DAYS)
    gate = asyncio.Semaphore(_PARALLEL)
    activity = await asyncio.gather(*(_activity(find, since, gate) for find in finds))
    owners = {os.path.realpath(path): name for name, path in registered.items()}
    taken = set(registered)
    candidates = []
    for find, reason in zip(finds, activity, strict=True):
        owner = owners.get(str(find.path))
        name = owner or free_name(find.path.name, taken)
        taken.add(name)
        reasons = (*(("has .orch-state",) if find.orchestrated else ()), reason, *_described(find.markers))
        candidates.append(FoundFolder(path=str(find.path), name=name, reasons=reasons, registered_as=owner))
    return tuple(candidates)


def _roots(paths: Sequence[Path]) -> list[Path]:
    roots, wrong = [], []
    for path in paths:
        try:
            root = Path(os.path.realpath(path.expanduser(), strict=True))
            if root.is_dir():
                roots.append(root)
            else:
                wrong.append(f"{path} is not a folder")
        except (OSError, RuntimeError, ValueError) as error:
            wrong.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    if wrong or not roots:
        raise InvalidInput(
            "Discovery needs folders to look in.",
            why=f"{'; '.join(wrong)}." if wrong else "None was given.",
            hint="Give one or more folders of the machine that runs Orchard.",
        )
    return roots


@dataclass(slots=True)
class _Walk:
    """Goes through folders breadth first, so that a limit costs the deepest ones. Runs in a thread."""

    stop: threading.Event
    deadline: float
    skipped: frozenset[str]
    cut: str = ""
    seen: set[tuple[int, int]] = field(default_factory=set)
    finds: dict[str, _Find] = field(default_factory=dict)

    def run(self, roots: Sequence[Path]) -> list[_Find]:
        level = [(root, False) for root in roots]
        for depth in range(_DEEPEST + 1):
            deeper: list[tuple[Path, bool]] = []
            for folder, inside in level:
                if self._limit():
                    return self._sorted()
                deeper += self._look(folder, inside, depth)
            level = deeper
        return self._sorted()

    def _sorted(self) -> list[_Find]:
        return [self.finds[path] for path in sorted(self.finds)]

    def _limit(self) -> bool:
        if self.stop.is_set():
            self.cut = "cancelled"
        elif time.monotonic() > self.deadline:
            self.cut = "out of time"
        elif len(self.seen) > _MOST_FOLDERS:
            self.cut = f"after {_MOST_FOLDERS} folders"
        return bool(self.cut)

    def _look(self, folder: Path, inside: bool, depth: int) -> list[tuple[Path, bool]]:
        """Notes what the folder is; returns the folders to look at next. `inside`: a project is around it."""
        try:
            status = folder.stat()
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            return []
        identity = (status.st_dev, status.st_ino)
        names = {entry.name for entry in entries}
        if identity in self.seen or "pyvenv.cfg" in names or str(folder) in self.skipped | _PSEUDO:
            return []
        self.seen.add(identity)
        if self._is_project(folder, names, inside):
            if ".git" in names:
                return []
            inside = True
        below = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in FOREIGN:
                continue
            if entry.is_dir(follow_symlinks=False):
                below.append((folder / entry.name, inside))
            elif entry.is_symlink() and depth < _DEEPEST:
                self._look_behind(folder / entry.name, inside)
        return below

    def _look_behind(self, link: Path, inside: bool) -> None:
        """A link to a project counts; what else lies behind a link is not walked, so no loop is possible."""
        try:
            folder = Path(os.path.realpath(link, strict=True))
            if not folder.is_dir() or any(folder.is_relative_to(place) for place in self.skipped):
                return
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            names = set(os.listdir(folder))  # noqa: PTH208 - only the names
        except OSError:
            return
        if identity not in self.seen and ".git" in names and self._is_project(folder, names, inside):
            self.seen.add(identity)

    def _is_project(self, folder: Path, names: set[str], inside: bool) -> bool:
        repository = ".git" in names and _is_repository(folder)
        orchestrated = ".orch-state" in names and (folder / ".orch-state").is_dir()
        markers = kinds(names)
        if repository or orchestrated or (markers and not inside):
            self.finds[str(folder)] = _Find(
                path=folder, repository=repository, orchestrated=orchestrated, markers=markers
            )
            return True
        return False


def _is_repository(folder: Path) -> bool:
    try:
        find_git_dir(folder)
    except InvalidInput:
        return False
    return True


async def _activity(find: _Find, since: datetime, gate: asyncio.Semaphore) -> str:
    """What git knows of the folder's history, in a few words."""
    if not find.repository:
        return "not a git repository yet"
    async with gate:
        try:
            repository = await Repository.open(find.path)
            head = await repository.git(
                "rev-parse", "--verify", "--quiet", "HEAD", git_dir=repository.git_dir, ok=(0, 1)
            )
            if head.exit_code:
                return "git repository without commits"
            commit = head.stdout.decode().strip()
            recent = await repository.git("rev-list", "--count", f"--since={since.isoformat()}", commit)
            if count := int(recent.stdout):
                return (
                    f"git repository, {count} {'commit' if count == 1 else 'commits'} in {_RECENT_DAYS} days"
                )
            last = await repository.git("log", "-1", "--format=%ct", commit)
            day = datetime.fromtimestamp(int(last.stdout), UTC)
        except (OrchardError, ValueError, OSError):
            return "git repository that git cannot read"
    return f"git repository, last commit {day:%Y-%m-%d}"


def _described(markers: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{marker} ({MARKERS[marker]})" for marker in markers[:3])
