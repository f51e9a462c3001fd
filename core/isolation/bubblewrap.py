"""PURE: levels `filesystem` and `network`, from what a program may see and use to bubblewrap's argv.

    bwrap NAMESPACES MOUNTS -- [python relay DOORS --] prlimit LIMITS -- PROGRAM ...

Where Orchard is root, `own_user` makes what is to become bubblewrap the project's own user, who owns nothing
here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from core.isolation.container.plan import INSIDE, socket_inside
from core.isolation.sandbox import Becoming, Level, Machine, Sandbox, depth, limit_values, ordered_mounts

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

# Where `own_user` puts what the sandbox mounts. Laid over in its own mount namespace only; always there.
_STAGE = "/run"
# Shown as they are: what only root may read there is not for a sandbox.
_OF_THE_SYSTEM = frozenset({"usr", "opt", "nix", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc"})
# Numbers that no distribution, container or user database gives out: https://systemd.io/UIDS-GIDS
_FIRST_USER, _USERS = 1_879_048_192, 1 << 27

_TEMPORARY = ("/tmp", "/run", "/var/tmp", "/dev/shm")  # noqa: S108 - the sandbox's own, empty


def bubblewrap_argv(
    argv: Sequence[str], sandbox: Sandbox, machine: Machine, environment: Mapping[str, str]
) -> tuple[Becoming | None, tuple[str, ...]]:
    """Whom its process becomes before, and the argv. `is_for_loader` tells what of `environment` is in it."""
    limits = limit_values(sandbox.limits)
    if sandbox.limits.processes is not None:
        # Set inside the new user namespace, where the kernel counts this sandbox's processes only.
        limits.append(("nproc", sandbox.limits.processes))
    own_network = sandbox.level is Level.NETWORK or not sandbox.network
    mounts = tuple(_mount_options(sandbox, machine))
    becoming = None
    if machine.own_user:
        becoming, mounts = _as_own_user(sandbox, mounts)
    return becoming, (
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


def _as_own_user(sandbox: Sandbox, mounts: tuple[str, ...]) -> tuple[Becoming, tuple[str, ...]]:
    """Whom it becomes, and its mounts with their sources on the stage. What everybody may read stays where it
    is. Inside, the user is called root, as where nobody became another."""
    sources: list[str] = []
    moved = list(mounts)
    for at, word in enumerate(mounts):
        if word not in ("--bind", "--ro-bind", "--ro-bind-try"):
            continue
        source = mounts[at + 1]
        if Path(source).parts[1] not in _OF_THE_SYSTEM:
            moved[at + 1] = f"{_STAGE}/{len(sources)}"
            sources.append(source)
    becoming = Becoming(uid=user_of(sandbox.project), place=_STAGE, sources=tuple(sources))
    return becoming, ("--uid", "0", "--gid", "0", *moved)


def _relay_argv(sandbox: Sandbox, machine: Machine) -> Iterable[str]:
    """Outside of the limits, so that a program at its limit can still speak to its model."""
    if not sandbox.doors:
        return ()
    doors = (f"{door.port}={socket_inside(number)}" for number, door in enumerate(sandbox.doors))
    return (str(machine.python), "-I", "-S", _relay_inside(machine), *doors, "--")


def _relay_inside(machine: Machine) -> str:
    return f"{INSIDE}/relay{machine.relay.suffix if machine.relay else ''}"


def _loader_variables(environment: Mapping[str, str]) -> Iterable[str]:
    for key, value in environment.items():
        if is_for_loader(key):
            yield from ("--setenv", key, value)


def is_for_loader(key: str) -> bool:
    """Whether a variable would change what starts the program, were it in its environment."""
    return key.startswith(_LOADER_PREFIXES)


def _mount_options(sandbox: Sandbox, machine: Machine) -> Iterable[str]:
    """Shallow before deep, so that what is mounted later lies on top."""
    for mount in sorted(machine.system, key=depth):
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
        yield from ("--ro-bind", str(door.socket), socket_inside(number))
    yield from ("--remount-ro", "/")
