"""PURE: what a program may see and use, what this machine can hold it to, and what is started for it.

The vocabulary of `plan`, which makes a Launch of a Sandbox and a Machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core.isolation.container.plan import Container


class Level(StrEnum):
    """How strongly a program is shut in; each level includes the one before."""

    PROCESS = "process"  # contained tree, rlimits, clean environment
    FILESYSTEM = "filesystem"  # and: sees only what it was given
    NETWORK = "network"  # and: own network
    CONTAINER = "container"  # and: own root file system


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """`source` of this machine, seen at `target` in the sandbox. Both absolute."""

    source: Path
    target: Path
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A unix socket of this machine, reached as 127.0.0.1:`port` in a sandbox of level `network` or above."""

    socket: Path
    port: int
    proxy: bool = False  # what http_proxy and https_proxy name


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None is no limit. Core dumps are always off.

    `memory_mb` counts private memory, per process (RLIMIT_DATA: the address space limit breaks Node).
    `processes` counts the sandbox's own processes from level `filesystem` on; at level `process` it would
    count every process of the user, so there it is not applied. (The kernel does not hold root to it.)
    """

    memory_mb: int | None = None
    processes: int | None = None
    open_files: int | None = None
    file_size_mb: int | None = None
    cpus: float | None = None  # cores, at level `container`; below it the project's fence holds them


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What a program may see and use. Paths are absolute.

    Where paths lie inside each other the deeper one wins, and of equals the read-only one. `read_only` paths
    that do not exist are left out: no empty file is put in their place, so what appears there is for a gate
    to judge. `home`, `writable` paths, mount sources and doors must exist. Level `process` enforces no paths.

    `network` False: nothing can be reached. True: this machine's network, at level `network` the `doors`.
    """

    level: Level
    cwd: Path
    home: Path  # private, writable, becomes HOME
    writable: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)  # the whole of it, but for HOME and PATH
    network: bool = True
    doors: tuple[Door, ...] = ()
    limits: Limits = field(default_factory=Limits)
    image: str = ""  # of a container; empty: the machine's own
    user: tuple[int, int] | None = None  # uid and gid in a container; None: who owns `cwd`
    project: str = ""  # whose user it runs as, where Orchard is root


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the probe found. `reasons` says for each missing level why, and what to do."""

    levels: tuple[Level, ...]
    reasons: Mapping[Level, str]
    strongest: Level
    python: Path  # runs contain.py
    contain: Path
    relay: Path | None = None  # relay.py or its compilation, which `python` runs inside
    seccomp: bytes = b""  # the filter of every sandbox; empty where it cannot be had
    bubblewrap: Path | None = None
    prlimit: Path | None = None
    system: tuple[Mount, ...] = ()  # what every sandbox sees of the system
    links: tuple[tuple[Path, str], ...] = ()  # symbolic links every sandbox has: where, to what
    user_home: Path | None = None  # never shown to a sandbox
    container: Container | None = None  # where level `container` is there
    own_user: bool = False  # Orchard is root: each project's programs become a user of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Becoming:
    """Whom a launched process becomes before it is bubblewrap. `sources[n]` appears to it as `place`/n, with
    what belongs to root on the disk being its own there; behind the last of them lies bubblewrap itself."""

    uid: int
    place: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Ready to start. Secrets travel in `environment`: `argv` can be read by every user of the machine.

    `seccomp`, if any, is handed to bubblewrap by a descriptor. `becoming`, if any, is done between fork and
    exec.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    level: Level
    command: tuple[str, ...]
    sandbox: Sandbox
    machine: Machine
    seccomp: bytes = b""
    becoming: Becoming | None = None


def ordered_mounts(sandbox: Sandbox) -> tuple[Mount, ...]:
    """The sandbox's own mounts in the order in which they are made."""
    wanted = {mount.target: mount for mount in sandbox.mounts}
    for path in (sandbox.home, *sandbox.writable):
        wanted[path] = Mount(source=path, target=path, writable=True)
    for path in sandbox.read_only:
        source = wanted[path].source if path in wanted else _source_of(path, wanted.values())
        wanted[path] = Mount(source=source, target=path)
    return tuple(sorted(wanted.values(), key=depth))


def _source_of(path: Path, mounts: Iterable[Mount]) -> Path:
    """A read-only path below a mount that shows another folder is that other folder's."""
    around = [mount for mount in mounts if path.is_relative_to(mount.target)]
    if not around:
        return path
    nearest = max(around, key=depth)
    return nearest.source / path.relative_to(nearest.target)


def depth(mount: Mount) -> int:
    """To sort by: what is mounted later lies on top."""
    return len(mount.target.parts)


def limit_values(limits: Limits) -> list[tuple[str, int]]:
    """(rlimit, value) of what holds each process, as prlimit(1) names it."""
    values = [("core", 0)]
    if limits.memory_mb is not None:
        values.append(("data", limits.memory_mb << 20))
    if limits.open_files is not None:
        values.append(("nofile", limits.open_files))
    if limits.file_size_mb is not None:
        values.append(("fsize", limits.file_size_mb << 20))
    return values
