"""The groups of this process: one in each hierarchy, that the projects' groups lie in.

Its name says whose it is (PID namespace, pid, start), so that what a killed Orchard left behind is found and
removed by the next one, and what a living one has is left alone.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.isolation import cgroup
from core.isolation.cgroup import CONTROLLERS, UNIFIED, Home
from core.isolation.contain import send, stat_fields
from core.isolation.limits import shares_of, weight_of

logger = logging.getLogger(__name__)

_NAME = re.compile(r"orchard-(?P<namespace>\d+)-(?P<pid>\d+)-(?P<ticks>\d+)-\d+")
_HOUSE = "house"  # v2: a group that has groups below it may hold no process, so we sit here
_REMOVE_SECONDS = 5.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Our group in one hierarchy."""

    version: int
    path: Path


@dataclass(slots=True)
class Ground:
    """`parts`: by controller, and the bare v2 hierarchy as UNIFIED. `reasons`: why a controller has none."""

    name: str
    parts: dict[str, Part] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    _home: Path | None = None  # v2: where controllers were switched on, and our processes moved from
    _switched: tuple[str, ...] = ()
    _moved: bool = False

    @classmethod
    def make(cls, homes: Mapping[str, Home], wanted: Sequence[str] = CONTROLLERS) -> Ground:
        """Makes the groups: by v2 what it was delegated, by v1 the rest. Raises nothing: see `reasons`."""
        ground = cls(_own_name())
        if not homes:
            ground._say(wanted, "there are no cgroups here")
            return ground
        unified = homes.get(UNIFIED)
        if unified is not None and unified.path is not None:
            ground._make_unified(unified.path, tuple(wanted))
        for name in wanted:
            if name not in ground.parts:
                ground._make_v1(name, homes.get(name))
        if ground.parts.get("cpu", Part(version=2, path=Path())).version == 1 and UNIFIED not in ground.parts:
            ground._make_v1("cpuacct", homes.get("cpuacct"))
        ground._weigh()
        return ground

    def _make_unified(self, home: Path, wanted: tuple[str, ...]) -> None:
        folder = home / self.name
        try:
            offered = cgroup.read(home / "cgroup.controllers").split()
            folder.mkdir()
        except OSError as error:
            self._say(wanted, f"cgroup v2 is not delegated to this user ({error.strerror})")
            return
        self.parts[UNIFIED] = Part(version=2, path=folder)
        usable = tuple(name for name in wanted if name in offered)
        self._say([name for name in wanted if name not in offered], "cgroup v2 does not offer it here")
        if usable and (reason := self._switch_on(home, folder, usable)):
            self._say(usable, f"cgroup v2 cannot be used: {reason}")
        elif usable:
            for name in usable:
                self.parts[name] = self.parts[UNIFIED]

    def _switch_on(self, home: Path, folder: Path, names: tuple[str, ...]) -> str:
        """Hands the controllers down to our projects. Returns why not, with nothing changed."""
        control = home / "cgroup.subtree_control"
        order = " ".join(f"+{name}" for name in names)
        self._home = home
        try:
            before = cgroup.read(control).split()
            missing = [name for name in names if name not in before]
            try:
                if missing:
                    cgroup.write(control, order)
            except OSError:  # "no internal processes": ours are in the way, if nobody else's are
                if strangers := _strangers(cgroup.read(home / "cgroup.procs").split()):
                    return f"process {strangers[0]} beside Orchard is in the same group"
                self._move_in(home, folder / _HOUSE)
                cgroup.write(control, order)
            self._switched = tuple(missing)
            cgroup.write(folder / "cgroup.subtree_control", order)
        except OSError as error:
            self._switch_off()
            return f"{error.strerror}; start Orchard with `Delegate=yes`"
        return ""

    def _move_in(self, home: Path, house: Path) -> None:
        house.mkdir()
        self._moved = True
        for word in cgroup.read(home / "cgroup.procs").split():
            with suppress(ProcessLookupError):
                cgroup.write(house / "cgroup.procs", word)

    def _switch_off(self) -> None:
        """Back to how it was, in the order that the kernel asks for."""
        if self._home is None:
            return
        folder = self._home / self.name
        with suppress(OSError):
            enabled = cgroup.read(folder / "cgroup.subtree_control").split()
            cgroup.write(folder / "cgroup.subtree_control", " ".join(f"-{name}" for name in enabled))
        if self._switched:
            with suppress(OSError):  # somebody else may use them by now
                order = " ".join(f"-{name}" for name in self._switched)
                cgroup.write(self._home / "cgroup.subtree_control", order)
        if self._moved:
            for pid in cgroup.members(folder / _HOUSE):
                with suppress(OSError):
                    cgroup.write(self._home / "cgroup.procs", pid)
            with suppress(OSError):
                (folder / _HOUSE).rmdir()

    def _make_v1(self, name: str, home: Home | None) -> None:
        if home is None or home.version != 1 or home.path is None:
            self._say([name], "cgroup v1 does not have it here")
            return
        folder = home.path / self.name
        try:
            folder.mkdir(exist_ok=True)  # two controllers may share one hierarchy
            cgroup.read(folder / "cgroup.procs")
        except OSError as error:
            self._say([name], f"cgroup v1 may not be written ({error.strerror})")
            return
        self.parts[name] = Part(version=1, path=folder)

    def _weigh(self) -> None:
        """All projects together weigh as much as one busy process for each processor, so that Orchard itself
        and everything else on the machine still get theirs."""
        part = self.parts.get("cpu")
        if part is None:
            return
        cores = os.cpu_count() or 1
        with suppress(OSError):
            if part.version == 1:
                cgroup.write(part.path / "cpu.shares", shares_of(cores))
            else:
                cgroup.write(part.path / "cpu.weight", weight_of(cores))

    def _say(self, names: Iterable[str], reason: str) -> None:
        for name in names:
            before = self.reasons.get(name)
            self.reasons[name] = f"{before}; {reason}" if before else reason

    def folders(self, project: str) -> dict[str, Part]:
        """Where the project's groups lie; they are not made yet."""
        inner = folder_name(project)
        return {name: Part(version=part.version, path=part.path / inner) for name, part in self.parts.items()}

    def remove(self) -> bool:
        """False when a process is still inside somewhere; the next start removes the rest."""
        self._switch_off()
        done = [cgroup.remove(path) for path in {part.path for part in self.parts.values()}]
        return all(done)


def folder_name(project: str) -> str:
    """One folder name for each project, whatever is in its name."""
    plain = re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found[0]):x}.", project)
    return f"project-{plain}"[:200]


def remove_leftovers(homes: Mapping[str, Home]) -> int:
    """Ends what killed Orchards left running in their groups and removes those. Returns how many groups.

    Whose owner lives, and whose owner is in another PID namespace and so cannot be judged, stays.
    """
    found: set[Path] = set()
    for home in homes.values():
        if home.path is not None:
            with suppress(OSError):
                found |= {path for path in home.path.iterdir() if _is_left(path.name)}
    deadline = time.monotonic() + _REMOVE_SECONDS
    left = found
    while left:
        for path in left:
            for pid in cgroup.members(path):
                send(pid, signal.SIGKILL)
        left = {path for path in left if not cgroup.remove(path)}
        if left and time.monotonic() > deadline:
            logger.warning("leftover groups cannot be removed: %s", ", ".join(map(str, sorted(left))))
            break
        if left:
            time.sleep(0.01)
    return len(found - left)


def _is_left(name: str) -> bool:
    owner = _NAME.fullmatch(name)
    if owner is None or int(owner["namespace"]) != _namespace():
        return False
    fields = stat_fields(int(owner["pid"]))
    return fields is None or fields[0] in ("Z", "X") or int(fields[19]) != int(owner["ticks"])


def _own_name() -> str:
    fields = stat_fields(os.getpid())
    assert fields is not None
    return f"orchard-{_namespace()}-{os.getpid()}-{fields[19]}-{next(_numbers)}"


def _namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _strangers(pids: list[str]) -> list[str]:
    """Of these processes, those that are neither we nor started by us."""
    return [word for word in pids if not _is_ours(int(word))]


def _is_ours(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        fields = stat_fields(pid)
        pid = int(fields[1]) if fields else 0
    return False
