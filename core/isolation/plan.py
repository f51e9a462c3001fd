"""PURE: from what a program may see and use to the argv that starts it. Nothing here touches the machine.

    Sandbox + Machine --plan_launch--> Launch --core.isolation.launch.launch--> ContainedProcess

Level `process`    `contain` (a child subreaper) starts the program with rlimits and a clean environment.
Level `filesystem` bubblewrap starts it in namespaces of its own: an allow-list of paths, no capability, no
                   further user namespaces, fewer system calls; rlimits are set inside.
Level `network`    as that, in a network of its own: all there is to reach are the doors it was given, unix
                   sockets of this machine that `relay` makes loopback ports of inside.
Level `container`  Podman or Docker starts it (`container`), with the same doors.

Where Orchard is root, `own_user` starts bubblewrap as the project's own user, who owns nothing here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core.errors import InvalidInput, Unavailable
from core.isolation.container import Container, container_argv, relay_inside


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
    own_user: Path | None = None  # own_user.py or its compilation, where Orchard is root


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Ready to start. Secrets travel in `environment`: `argv` can be read by every user of the machine.

    `seccomp`, if any, is handed to bubblewrap by a descriptor.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    level: Level
    command: tuple[str, ...]
    sandbox: Sandbox
    machine: Machine
    seccomp: bytes = b""


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

PARENT = "PARENT"  # of a launch's argv: the number of the process that starts it
_INSIDE = "/run/orchard"
_WITH_DOORS = (Level.NETWORK, Level.CONTAINER)
_NO_PROXY = "localhost,127.0.0.1,::1"

# Where `own_user` puts what the sandbox mounts. Laid over in its own mount namespace only; always there.
_STAGE = "/run"
# Shown as they are: what only root may read there is not for a sandbox.
_OF_THE_SYSTEM = frozenset({"usr", "opt", "nix", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc"})
# Numbers that no distribution, container or user database gives out: https://systemd.io/UIDS-GIDS
_FIRST_USER, _USERS = 1_879_048_192, 1 << 27

_TEMPORARY = ("/tmp", "/run", "/var/tmp", "/dev/shm")  # noqa: S108 - the sandbox's own, empty


def plan_launch(argv: Sequence[str], sandbox: Sandbox, machine: Machine) -> Launch:
    """How to start `argv` in `sandbox` on `machine`.

    Raises Unavailable when the machine cannot give the level (never a weaker one instead), InvalidInput for
    an empty command, a relative path, a NUL byte, or a path that would uncover the user's home.
    """
    _check_level(sandbox, machine)
    _check_input(argv, sandbox, machine)
    environment = {
        "PATH": DEFAULT_PATH,
        **sandbox.environment,
        **_proxy_variables(sandbox),
        "HOME": str(sandbox.home),
    }
    if sandbox.level is Level.PROCESS:
        planned = _contain_argv(argv, sandbox.limits, machine)
    elif sandbox.level is Level.CONTAINER:
        planned = _container_argv(sandbox, machine)
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
        seccomp=b"" if sandbox.level is Level.PROCESS else machine.seccomp,
    )


def _proxy_variables(sandbox: Sandbox) -> Mapping[str, str]:
    """Both spellings: programs read the one or the other."""
    for door in sandbox.doors:
        if door.proxy:
            address = f"http://127.0.0.1:{door.port}"
            names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
            return {
                **dict.fromkeys(names, address),
                **dict.fromkeys(("no_proxy", "NO_PROXY"), _NO_PROXY),
                "NODE_USE_ENV_PROXY": "1",
            }
    return {}


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
    if sandbox.level in _WITH_DOORS and sandbox.network and not sandbox.doors:
        raise Unavailable(
            f"This sandbox of level '{sandbox.level}' was given no way to the network.",
            why="Neither the allow-list proxy nor the model gateway was started for it.",
            hint="Use level 'filesystem', or cut the program off from the network altogether.",
        )


def _check_input(argv: Sequence[str], sandbox: Sandbox, machine: Machine) -> None:
    if not argv or not argv[0]:
        raise InvalidInput("There is no command to run.")
    texts = [*argv, *sandbox.environment, *sandbox.environment.values()]
    if any("\0" in text for text in texts):
        raise InvalidInput("A command or its environment holds a NUL byte.")
    if bad := [key for key in sandbox.environment if not key or "=" in key]:
        raise InvalidInput(f"{bad[0]!r} cannot be the name of an environment variable.")
    _check_doors(sandbox)
    paths = [sandbox.cwd, sandbox.home, *sandbox.writable, *sandbox.read_only]
    paths += [door.socket for door in sandbox.doors]
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


def _check_doors(sandbox: Sandbox) -> None:
    ports = [door.port for door in sandbox.doors]
    if ports and (sandbox.level not in _WITH_DOORS or not sandbox.network):
        raise InvalidInput("Only a sandbox of level 'network' or above that may use the network has doors.")
    if any(not 1024 <= port < 65536 for port in ports) or len(set(ports)) < len(ports):
        raise InvalidInput(
            f"The doors of a sandbox need different ports, from 1024 to 65535; given: {ports}."
        )
    if sum(door.proxy for door in sandbox.doors) > 1:
        raise InvalidInput("A sandbox has at most one proxy.")


def _container_argv(sandbox: Sandbox, machine: Machine) -> tuple[str, ...]:
    if machine.container is None:
        raise Unavailable("There is no container engine.", hint="Run `orchard doctor`.")
    places = [_socket_inside(number) for number, _door in enumerate(sandbox.doors)]
    return container_argv(sandbox, machine, machine.container, ordered_mounts(sandbox), places)


def container_letter(launch: Launch) -> dict[str, object]:
    """What the first process of a container is told: the program, and all that it may have."""
    box, container = launch.sandbox, launch.machine.container
    assert container is not None  # or it could not have been planned
    limits = [
        (name, value)
        for name, value in _limit_values(box.limits)
        if name != "data" or not container.holds_limits  # else the container's memory is held as a whole
    ]
    relay: list[str] = []
    if box.doors:
        doors = [f"{door.port}={_socket_inside(number)}" for number, door in enumerate(box.doors)]
        relay = [relay_inside(box, launch.machine, container), *doors]
    return {
        "argv": list(launch.command),
        "environment": dict(launch.environment),
        "cwd": str(box.cwd),
        "limits": limits,
        "relay": relay,
        "seccomp": launch.seccomp.hex(),
    }


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
    own_network = sandbox.level is Level.NETWORK or not sandbox.network
    mounts = tuple(_mount_options(sandbox, machine))
    before: tuple[str, ...] = ()
    if machine.own_user is not None:
        before, mounts = _as_own_user(sandbox, machine, mounts)
    return (
        *before,
        str(machine.bubblewrap),
        *_HARDENED,
        *(("--unshare-net",) if own_network else ()),
        *mounts,
        *_loader_variables(environment),
        "--chdir",
        str(sandbox.cwd),
        "--",
        *_relay_argv(sandbox, machine),
        str(machine.prlimit),
        *(f"--{name}={value}" for name, value in limits),
        "--",
        *argv,
    )


def user_of(project: str) -> int:
    """The number of the user that `project` runs as where Orchard is root; the same at each start.

    Two projects share one by chance about once in a hundred thousand machines with fifty projects. Each has
    its own view of files and processes all the same.
    """
    digest = hashlib.sha256(project.encode()).digest()
    return _FIRST_USER + int.from_bytes(digest[:8]) % _USERS


def _as_own_user(
    sandbox: Sandbox, machine: Machine, mounts: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What comes before bubblewrap, and its mounts with their sources on the stage. What everybody may read
    stays where it is: each source there costs a launch a millisecond.

    PARENT is filled in at the launch. Inside, the user is called root, as where nobody became another.
    """
    sources: list[str] = []
    moved = list(mounts)
    for at, word in enumerate(mounts):
        if word not in ("--bind", "--ro-bind", "--ro-bind-try"):
            continue
        source = mounts[at + 1]
        if Path(source).parts[1] not in _OF_THE_SYSTEM:
            moved[at + 1] = f"{_STAGE}/{len(sources)}"
            sources.append(source)
    before = (
        str(machine.python),
        "-I",
        "-S",
        str(machine.own_user),
        str(user_of(sandbox.project)),
        _STAGE,
        PARENT,
        *sources,
        "--",
    )
    return before, ("--uid", "0", "--gid", "0", *moved)


def _relay_argv(sandbox: Sandbox, machine: Machine) -> Iterable[str]:
    """Outside of the limits, so that a program at its limit can still speak to its model."""
    if not sandbox.doors:
        return ()
    doors = (f"{door.port}={_socket_inside(number)}" for number, door in enumerate(sandbox.doors))
    return (str(machine.python), "-I", "-S", _relay_inside(machine), *doors, "--")


def _relay_inside(machine: Machine) -> str:
    return f"{_INSIDE}/relay{machine.relay.suffix if machine.relay else ''}"


def _socket_inside(number: int) -> str:
    return f"{_INSIDE}/{number}.sock"


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
    if sandbox.doors:
        yield from ("--ro-bind", str(machine.relay), _relay_inside(machine))
    for number, door in enumerate(sandbox.doors):
        yield from ("--ro-bind", str(door.socket), _socket_inside(number))
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
