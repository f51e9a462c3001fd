"""Where this process may make cgroups: the hierarchies that the machine has mounted and our place in each.

Our groups lie below our own, so a limit that somebody set around Orchard holds for all of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONTROLLERS = ("memory", "cpu", "pids")
UNIFIED = ""  # the name under which the v2 hierarchy itself stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Our own group in one hierarchy. `path` is None where it cannot be seen from here."""

    version: int
    path: Path | None


def homes(process: Path = Path("/proc/self")) -> dict[str, Home]:
    """Our group for each v1 controller by its name, and for v2 as UNIFIED; empty without cgroups."""
    try:
        mounts = (process / "mountinfo").read_text()
        own = (process / "cgroup").read_text()
    except OSError:
        return {}
    return read_homes(mounts, own)


def read_homes(mountinfo: str, own: str) -> dict[str, Home]:
    """From the texts of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)) and /proc/<pid>/cgroup (cgroups(7))."""
    places = dict(_own_places(own))
    found: dict[str, Home] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, tail = before.split(), after.split()
        if len(fields) < 6 or len(tail) < 3 or tail[0] not in ("cgroup", "cgroup2"):
            continue
        root, point = _plain(fields[3]), Path(_plain(fields[4]))
        version = 2 if tail[0] == "cgroup2" else 1
        for name in [UNIFIED] if version == 2 else tail[2].split(","):
            if name in places and name not in found:
                found[name] = Home(version=version, path=_seen_at(point, root, places[name]))
    return found


def _own_places(own: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in own.splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        found += [(name, path) for name in names.split(",")]
    return found


def _seen_at(point: Path, root: str, own: str) -> Path | None:
    """A container's mount may show a part of the hierarchy only, or another part than ours."""
    if own.startswith("/.."):
        return None
    if root == "/":
        return point / own.lstrip("/")
    if own == root or own.startswith(f"{root}/"):
        return point / own[len(root) :].lstrip("/")
    return point if own == "/" else None


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def read(path: Path) -> str:
    return path.read_text().strip()


def write(path: Path, value: object) -> None:
    """One write call, as the kernel takes it; no file is made. Raises OSError."""
    with path.open("r+b", buffering=0) as file:
        file.write(str(value).encode())


def counters(path: Path) -> Mapping[str, int]:
    """Of a file with a name and a number a line; empty when it is not there."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def members(folder: Path) -> list[int]:
    """Processes in the group and in those below it."""
    found: list[int] = []
    for path in [folder, *below(folder)]:
        try:
            found += [int(word) for word in (path / "cgroup.procs").read_text().split()]
        except OSError:
            continue  # it was removed meanwhile
    return [pid for pid in found if pid > 0]


def below(folder: Path) -> list[Path]:
    """Groups below, the deepest last."""
    found: list[Path] = []
    queue = [folder]
    while queue:
        try:
            with os.scandir(queue.pop()) as entries:  # dozens of files, and no look at each is needed
                inner = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        found += inner
        queue += inner
    return found


def remove(folder: Path) -> bool:
    """Removes the group and those below it. False while processes are in it."""
    for path in [*reversed(below(folder)), folder]:
        try:
            path.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
