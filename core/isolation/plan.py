"""PURE: from what a program may see and use to the argv that starts it. Nothing here touches the machine.

    Sandbox + Machine --plan_launch--> Launch --core.isolation.launch.launch--> ContainedProcess

Level `process`    `contain` (a child subreaper) starts the program with rlimits and a clean environment.
Level `filesystem` bubblewrap starts it in namespaces of its own: an allow-list of paths, no capability, no
                   further user namespaces, fewer system calls; rlimits are set inside.
Level `network`    as that, in a network of its own: all there is to reach are the doors it was given, unix
                   sockets of this machine that `relay` makes loopback ports of inside.
Level `container`  Podman or Docker starts it (`container`), with the same doors.

Where Orchard is root, `own_user` makes bubblewrap start as the project's own user, who owns nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import InvalidInput, Unavailable
from core.isolation.bubblewrap import bubblewrap_argv, is_for_loader
from core.isolation.container.plan import container_argv, relay_inside, socket_inside
from core.isolation.sandbox import (
    Becoming,
    Door,
    Launch,
    Level,
    Limits,
    Machine,
    Mount,
    Sandbox,
    limit_values,
    ordered_mounts,
)

__all__ = [
    "DEFAULT_PATH",
    "Becoming",
    "Door",
    "Launch",
    "Level",
    "Limits",
    "Machine",
    "Mount",
    "Sandbox",
    "container_letter",
    "ordered_mounts",
    "plan_launch",
]

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"

_WITH_DOORS = (Level.NETWORK, Level.CONTAINER)
_NO_PROXY = "localhost,127.0.0.1,::1"


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
    becoming = None
    if sandbox.level is Level.PROCESS:
        planned = _contain_argv(argv, sandbox.limits, machine)
    elif sandbox.level is Level.CONTAINER:
        planned = _container_argv(sandbox, machine)
    else:
        becoming, planned = bubblewrap_argv(argv, sandbox, machine, environment)
        environment = {key: value for key, value in environment.items() if not is_for_loader(key)}
    return Launch(
        argv=planned,
        environment=environment,
        cwd=sandbox.cwd,
        level=sandbox.level,
        command=tuple(argv),
        sandbox=sandbox,
        machine=machine,
        seccomp=b"" if sandbox.level is Level.PROCESS else machine.seccomp,
        becoming=becoming,
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
    if not all(map(_can_be_given, texts)):
        raise InvalidInput("A command or its environment holds half a character (a lone surrogate).")
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


def _can_be_given(text: str) -> bool:
    """Bytes that are no UTF-8 can: they are surrogates of their own, see os.fsencode."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


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
    places = [socket_inside(number) for number, _door in enumerate(sandbox.doors)]
    return container_argv(sandbox, machine, machine.container, ordered_mounts(sandbox), places)


def container_letter(launch: Launch) -> dict[str, object]:
    """What the first process of a container is told: the program, and all that it may have."""
    box, container = launch.sandbox, launch.machine.container
    assert container is not None  # or it could not have been planned
    limits = [
        (name, value)
        for name, value in limit_values(box.limits)
        if name != "data" or not container.holds_limits  # else the container's memory is held as a whole
    ]
    relay: list[str] = []
    if box.doors:
        doors = [f"{door.port}={socket_inside(number)}" for number, door in enumerate(box.doors)]
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
    options = [f"--{name}={value}" for name, value in limit_values(limits)]
    return (str(machine.python), "-I", "-S", str(machine.contain), *options, "--", *argv)
