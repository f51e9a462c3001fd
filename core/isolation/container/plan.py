"""PURE: level `container`, from what a program may see and use to the argv of Podman or Docker.

    podman run ... IMAGE python -I -S init.py LIFELINE

What is started is our own first process (`init`). It is told the program, its environment and its
standard streams through the lifeline, a unix socket: so no secret is ever on a command line nor in what
`podman inspect` shows, and the container ends in the moment in which the socket's other end does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import InvalidInput

if TYPE_CHECKING:
    from core.isolation.sandbox import Limits, Machine, Mount, Sandbox


class Engine(StrEnum):
    PODMAN = "podman"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`shares_system`: made from this machine's root tree, whose big folders are mounted into it, read-only.

    Of any other image, `python` is what runs our first process there.
    """

    name: str
    shares_system: bool = False
    python: str = "python3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The container engine of this machine, as it was tried.

    `uid`, `gid`: whom programs run as where the sandbox's folder is not somebody else's. `rootless` engines
    give the user's own number inside. `holds_limits` is False where the engine ignores limits.
    """

    engine: Engine
    program: Path
    options: tuple[str, ...] = ()  # before `run`
    image: Image
    init: Path  # init.py
    init_compiled: Path | None = None  # for this machine's Python, not for that of any image
    rootless: bool = False
    holds_limits: bool = True
    uid: int = 0
    gid: int = 0


LABEL = "orchard.sandbox"
INSIDE = "/run/orchard"
LIFELINE = f"{INSIDE}/lifeline.sock"

_OWN_PROCESSES = 8  # our first process, the relay, and the threads of starting a container
_MOST_PROCESSES = 4096
_FORBIDDEN = ("/proc", "/sys", "/dev")  # of this machine, never shown
_TEMPORARY = ("/run", "/tmp", "/var/tmp")  # noqa: S108 - the container's own, empty


def container_argv(
    sandbox: Sandbox, machine: Machine, container: Container, mounts: Sequence[Mount], doors: Sequence[str]
) -> tuple[str, ...]:
    """The whole argv but for the container's name and the lifeline: `with_lifeline` adds them at launch.

    `mounts` are the sandbox's own, in order; `doors` the places of its sockets inside, in their order.
    Raises InvalidInput for a path that the engine cannot take, and for one of the kernel's own folders.
    """
    image = Image(name=sandbox.image) if sandbox.image else container.image
    return (
        str(container.program),
        *container.options,
        "run",
        "--rm",
        *("--pull", "never"),
        *("--label", LABEL),
        *("--log-driver", "none"),
        *("--hostname", "sandbox"),
        "--read-only",
        *("--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges"),
        *("--security-opt", "label=disable"),  # SELinux would ask to relabel the user's own files
        *("--network", "none"),
        *("--ipc", "private"),
        *("--oom-score-adj", "500"),  # ended before this process is, when memory is full
        *_engine_options(container),
        *("--user", f"{_user(sandbox, container)}"),
        *_limit_options(sandbox.limits, container),
        *_temporary(sandbox.limits, {mount.target for mount in mounts}),
        *_mount_options(sandbox, machine, container, image, mounts, doors),
        *("--workdir", "/"),
        *("--entrypoint", str(machine.python) if image.shares_system else image.python),
        image.name,
        *("-I", "-S", _init_inside(container, image), LIFELINE),
    )


def with_lifeline(argv: Sequence[str], name: str, socket: Path) -> list[str]:
    """The argv to start: with the container's name and the socket that holds its life."""
    at = argv.index("run") + 1
    return [*argv[:at], "--name", name, *_bind(socket, LIFELINE, writable=False), *argv[at:]]


def _engine_options(container: Container) -> Iterable[str]:
    if container.engine is Engine.DOCKER:
        return ("--cgroupns", "private")
    # Its own folders for temporary files would have no limit of size; ours do.
    options = ("--read-only-tmpfs=false", "--systemd=false", "--http-proxy=false", "--cgroupns", "private")
    return (*options, "--userns", "keep-id") if container.rootless else options


def _user(sandbox: Sandbox, container: Container) -> str:
    uid, gid = sandbox.user or (container.uid, container.gid)
    return f"{uid}:{gid}"


def _limit_options(limits: Limits, container: Container) -> Iterable[str]:
    """A container always has an end to its processes, so that a fork bomb stays in it."""
    files = limits.open_files or 4096
    # Named, also where nothing was asked for: the defaults ask for more than root has in some containers.
    yield from ("--ulimit", f"nofile={files}:{files}")
    yield from ("--ulimit", "core=0:0")
    if not container.holds_limits:
        return
    processes = _MOST_PROCESSES if limits.processes is None else limits.processes
    yield from ("--ulimit", f"nproc={_MOST_PROCESSES}:{_MOST_PROCESSES}")
    yield from ("--pids-limit", str(processes + _OWN_PROCESSES))
    if limits.memory_mb is not None:
        yield from ("--memory", f"{limits.memory_mb}m", "--memory-swap", f"{limits.memory_mb}m")
    if limits.cpus is not None:
        yield from ("--cpus", f"{limits.cpus:g}")


def _temporary(limits: Limits, taken: Set[Path]) -> Iterable[str]:
    size = limits.memory_mb or 1024
    for path in _TEMPORARY:
        if Path(path) in taken:
            continue
        mode = "0755" if path == "/run" else "1777"
        yield from ("--tmpfs", f"{path}:rw,nosuid,nodev,size={size}m,mode={mode}")
    yield from ("--shm-size", f"{size}m")


def _mount_options(
    sandbox: Sandbox,
    machine: Machine,
    container: Container,
    image: Image,
    mounts: Sequence[Mount],
    doors: Sequence[str],
) -> Iterable[str]:
    own = {mount.target for mount in mounts}  # an engine takes each place once
    if image.shares_system:
        for mount in shared_folders(machine):
            if mount.target not in own:
                yield from _bind(mount.source, str(mount.target), writable=False)
    for mount in mounts:
        if any(mount.source.is_relative_to(place) for place in _FORBIDDEN):
            raise InvalidInput(f"A container may not be given {mount.source}.")
        yield from _bind(mount.source, str(mount.target), writable=mount.writable)
    yield from _bind(_init(container, image), _init_inside(container, image), writable=False)
    if doors and machine.relay is not None:
        relay = machine.relay if image.shares_system else container.init.parent.with_name("relay.py")
        yield from _bind(relay, relay_inside(sandbox, machine, container), writable=False)
    for door, place in zip(sandbox.doors, doors, strict=True):
        yield from _bind(door.socket, place, writable=False)


def _init(container: Container, image: Image) -> Path:
    return container.init_compiled if image.shares_system and container.init_compiled else container.init


def _init_inside(container: Container, image: Image) -> str:
    return f"{INSIDE}/init{_init(container, image).suffix}"


def shared_folders(machine: Machine) -> tuple[Mount, ...]:
    """What an image of this machine's root tree does not hold itself: programs and libraries, not /etc."""
    return tuple(
        sorted(
            (mount for mount in machine.system if not mount.target.is_relative_to("/etc")),
            key=lambda mount: len(mount.target.parts),
        )
    )


def socket_inside(number: int) -> str:
    """Where the door of this number is seen."""
    return f"{INSIDE}/{number}.sock"


def relay_inside(sandbox: Sandbox, machine: Machine, container: Container) -> str:
    """A compiled relay fits one version of Python only: an image's own gets the source."""
    shares = not sandbox.image and container.image.shares_system
    return f"{INSIDE}/relay{machine.relay.suffix if shares and machine.relay else '.py'}"


def _bind(source: Path, target: str, *, writable: bool) -> tuple[str, str]:
    """`--mount` reads commas, `--volume` colons: a path may hold one of them."""
    if "," not in f"{source}{target}" and '"' not in f"{source}{target}":
        ending = "" if writable else ",readonly"
        return ("--mount", f"type=bind,source={source},target={target}{ending}")
    if ":" not in f"{source}{target}":
        return ("--volume", f"{source}:{target}:{'rw' if writable else 'ro'}")
    raise InvalidInput(
        f"A container cannot be given {source}.",
        why="Its name holds both a comma (or a quotation mark) and a colon.",
        hint="Rename the folder, or use isolation: network.",
    )
