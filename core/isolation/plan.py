"""PURE: from what a program may see and use to the argv that starts it. Nothing here touches the machine.

    Sandbox + Machine --plan_launch--> Launch --core.isolation.launch.launch--> ContainedProcess

Level `process`    `contain` (a child subreaper) starts the program with rlimits and a clean environment.
Level `filesystem` bubblewrap starts it in namespaces of its own: an allow-list of paths, no capability, no
                   further user namespaces; rlimits are set inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core.errors import InvalidInput, Unavailable


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
class Limits:
    """None is no limit. Core dumps are always off.

    `memory_mb` counts private memory, per process (RLIMIT_DATA: the address space limit breaks Node).
    `processes` counts the sandbox's own processes at level `filesystem`. The kernel does not hold root to it;
    at level `process` it would count every process of the user, so there it is not applied.
    """

    memory_mb: int | None = None
    processes: int | None = None
    open_files: int | None = None
    file_size_mb: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What a program may see and use. Paths are absolute.

    Where paths lie inside each other the deeper one wins, and of equals the read-only one. `read_only` paths
    that do not exist are left out: no empty file is put in their place, so what appears there is for a gate
    to judge. `home`, every `writable` path and mount source must exist. Level `process` enforces no paths.
    """

    level: Level
    cwd: Path
    home: Path  # private, writable, becomes HOME
    writable: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)  # the whole of it, but for HOME and PATH
    network: bool = True
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the probe found. `reasons` says for each missing level why, and what to do."""

    levels: tuple[Level, ...]
    reasons: Mapping[Level, str]
    strongest: Level
    python: Path  # runs contain.py
    contain: Path
    bubblewrap: Path | None = None
    prlimit: Path | None = None
    system: tuple[Mount, ...] = ()  # what every sandbox sees of the system
    links: tuple[tuple[Path, str], ...] = ()  # symbolic links every sandbox has: where, to what
    user_home: Path | None = None  # never shown to a sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Ready to start. Secrets travel in `environment`: `argv` can be read by every user of the machine."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    level: Level
    command: tuple[str, ...]
    sandbox: Sandbox
    machine: Machine


DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"

# Read by the dynamic loader or libc of whatever starts next. They are for the program inside, not for
# bubblewrap, which runs outside: these alone are given by --setenv.
_LOADER_PREFIXES = ("LD_", "GLIBC_", "MALLOC_", "GCONV_", "LOCPATH", "NLSPATH")

_HARDENED = (
    "--unshare-user",
    "--disable-userns",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--cap-drop",
    "ALL",
    "--die-with-parent",
    "--new-session",
)

_TEMPORARY = ("/tmp", "/run", "/var/tmp", "/dev/shm")  # noqa: S108 - the sandbox's own, empty


def plan_launch(argv: Sequence[str], sandbox: Sandbox, machine: Machine) -> Launch:
    """How to start `argv` in `sandbox` on `machine`.

    Raises Unavailable when the machine cannot give the level (never a weaker one instead), InvalidInput for
    an empty command, a relative path, a NUL byte, or a path that would uncover the user's home.
    """
    _check_level(sandbox, machine)
    _check_input(argv, sandbox, machine)
    environment = {"PATH": DEFAULT_PATH, **sandbox.environment, "HOME": str(sandbox.home)}
    if sandbox.level is Level.PROCESS:
        planned = _contain_argv(argv, sandbox.limits, machine)
    else:
        planned = _bubblewrap_argv(argv, sandbox, machine, environment)
        environment = {key: value for key, value in environment.items() if not _is_for_loader(key)}
    return Launch(
        argv=planned,
        environment=environment,
        cwd=sandbox.cwd,
        level=sandbox.level,
        command=tuple(argv),
        sandbox=sandbox,
        machine=machine,
    )


def _check_level(sandbox: Sandbox, machine: Machine) -> None:
    if sandbox.level not in machine.levels:
        raise Unavailable(
            f"Isolation level '{sandbox.level}' is not available on this machine.",
            why=machine.reasons.get(sandbox.level, ""),
            hint=f"Mend that, or configure isolation: {machine.strongest}.",
        )
    if sandbox.level is Level.PROCESS and not sandbox.network:
        raise Unavailable(
            "A program cannot be cut off from the network at isolation level 'process'.",
            why=machine.reasons.get(Level.FILESYSTEM, ""),
            hint="Use level 'filesystem', or allow the network.",
        )


def _check_input(argv: Sequence[str], sandbox: Sandbox, machine: Machine) -> None:
    if not argv or not argv[0]:
        raise InvalidInput("There is no command to run.")
    texts = [*argv, *sandbox.environment, *sandbox.environment.values()]
    if any("\0" in text for text in texts):
        raise InvalidInput("A command or its environment holds a NUL byte.")
    if bad := [key for key in sandbox.environment if not key or "=" in key]:
        raise InvalidInput(f"{bad[0]!r} cannot be the name of an environment variable.")
    paths = [sandbox.cwd, sandbox.home, *sandbox.writable, *sandbox.read_only]
    shown = [*sandbox.writable, *sandbox.read_only, sandbox.home]
    for mount in sandbox.mounts:
        paths += [mount.source, mount.target]
        shown.append(mount.source)
    for path in paths:
        if not path.is_absolute() or ".." in path.parts or "\0" in str(path):
            raise InvalidInput(f"{path} is not a plain absolute path.")
    if sandbox.level is Level.PROCESS:
        return
    for path in shown:
        if path == Path("/") or (machine.user_home and machine.user_home.is_relative_to(path)):
            raise InvalidInput(
                f"A sandbox may not be given {path}.",
                why="It would uncover your home folder, with your keys and passwords.",
                hint="Move the project, or Orchard's state folder, into a folder of its own.",
            )


def _contain_argv(argv: Sequence[str], limits: Limits, machine: Machine) -> tuple[str, ...]:
    options = [f"--{name}={value}" for name, value in _limit_values(limits)]
    return (str(machine.python), "-I", "-S", str(machine.contain), *options, "--", *argv)


def _limit_values(limits: Limits) -> list[tuple[str, int]]:
    values = [("core", 0)]
    if limits.memory_mb is not None:
        values.append(("data", limits.memory_mb << 20))
    if limits.open_files is not None:
        values.append(("nofile", limits.open_files))
    if limits.file_size_mb is not None:
        values.append(("fsize", limits.file_size_mb << 20))
    return values


def _bubblewrap_argv(
    argv: Sequence[str], sandbox: Sandbox, machine: Machine, environment: Mapping[str, str]
) -> tuple[str, ...]:
    limits = _limit_values(sandbox.limits)
    if sandbox.limits.processes is not None:
        # Set inside the new user namespace, where the kernel counts this sandbox's processes only.
        limits.append(("nproc", sandbox.limits.processes))
    return (
        str(machine.bubblewrap),
        *_HARDENED,
        *(() if sandbox.network else ("--unshare-net",)),
        *_mount_options(sandbox, machine),
        *_loader_variables(environment),
        "--chdir",
        str(sandbox.cwd),
        "--",
        str(machine.prlimit),
        *(f"--{name}={value}" for name, value in limits),
        "--",
        *argv,
    )


def _loader_variables(environment: Mapping[str, str]) -> Iterable[str]:
    for key, value in environment.items():
        if _is_for_loader(key):
            yield from ("--setenv", key, value)


def _is_for_loader(key: str) -> bool:
    return key.startswith(_LOADER_PREFIXES)


def _mount_options(sandbox: Sandbox, machine: Machine) -> Iterable[str]:
    """Shallow before deep, so that what is mounted later lies on top."""
    for mount in sorted(machine.system, key=_depth):
        yield from ("--ro-bind", str(mount.source), str(mount.target))
    for place, content in machine.links:
        yield from ("--symlink", content, str(place))
    # Root's sandbox is root by number to /proc/sys and /proc/irq, which ask for no capability: bubblewrap
    # leaves them writable, so `core_pattern` could name a program for the kernel to run outside.
    yield from ("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev")
    size = (sandbox.limits.memory_mb or 1024) << 20
    for path in _TEMPORARY:
        yield from ("--size", str(size), "--tmpfs", path)
    for mount in ordered_mounts(sandbox):
        yield from ("--bind" if mount.writable else "--ro-bind-try", str(mount.source), str(mount.target))
    yield from ("--remount-ro", "/")


def ordered_mounts(sandbox: Sandbox) -> tuple[Mount, ...]:
    """The sandbox's own mounts in the order in which they are made."""
    wanted = {mount.target: mount for mount in sandbox.mounts}
    for path in (sandbox.home, *sandbox.writable):
        wanted[path] = Mount(source=path, target=path, writable=True)
    for path in sandbox.read_only:
        source = wanted[path].source if path in wanted else _source_of(path, wanted.values())
        wanted[path] = Mount(source=source, target=path)
    return tuple(sorted(wanted.values(), key=_depth))


def _source_of(path: Path, mounts: Iterable[Mount]) -> Path:
    """A read-only path below a mount that shows another folder is that other folder's."""
    around = [mount for mount in mounts if path.is_relative_to(mount.target)]
    if not around:
        return path
    nearest = max(around, key=_depth)
    return nearest.source / path.relative_to(nearest.target)


def _depth(mount: Mount) -> int:
    return len(mount.target.parts)
