"""Asks this machine which isolation levels it can give and by what it holds limits, by trying them."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import Unavailable
from core.isolation.bytecode import compiled
from core.isolation.cgroup_probe import probe_enforcement
from core.isolation.launch import run
from core.isolation.plan import DEFAULT_PATH, Door, Level, Machine, Mount, Sandbox, plan_launch
from core.isolation.seccomp import filter_for

__all__ = ["Machine", "probe_enforcement", "probe_machine", "program_folders"]

_WHOLE = ("/usr", "/opt", "/nix/store")
_ROOT_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# What programs need of /etc to find users, names, certificates, libraries and the time; no secrets.
# Each is a mount, and costs a launch a quarter of a millisecond.
_ETC = (
    "alternatives",
    "crypto-policies",
    "fonts",
    "group",
    "hosts",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
    "timezone",
)
# Folders that hold more than one program: of a program in their `bin`, only the file itself is shown.
_SHARED_PREFIXES = (Path("/"), Path("/usr"), Path("/usr/local"))

_NOT_YET = {Level.CONTAINER: "It is looked for when Orchard starts with a project that asks for it."}
_SAY_IN = ["/bin/sh", "-c", "test -r /proc/self/status && echo in"]


async def probe_machine(*, search_path: str | None = None, programs: Sequence[Path] = ()) -> Machine:
    """The machine as it is now. Runs bubblewrap once, with the flags that launches use (about 10 ms).

    `search_path` replaces PATH in looking for bubblewrap and prlimit. `programs` are interpreters or tools
    outside the system folders which every sandbox should be able to run.
    """
    path = os.pathsep.join((DEFAULT_PATH, os.environ.get("PATH", ""))) if search_path is None else search_path
    bubblewrap, prlimit = (shutil.which(name, path=path) for name in ("bwrap", "prlimit"))
    system, links = _system_view()
    shown = [Path(sys.base_prefix).resolve()]
    for program in programs:
        shown += program_folders(program)
    for folder in shown:
        if not any(folder.is_relative_to(mount.target) for mount in system):
            system.append(Mount(source=folder, target=folder))
    machine = Machine(
        levels=(Level.PROCESS,),
        reasons=dict(_NOT_YET),
        strongest=Level.PROCESS,
        python=Path(sys.executable).resolve(),
        contain=compiled(Path(__file__).with_name("contain.py")),
        relay=compiled(Path(__file__).with_name("relay.py")),
        own_user=os.geteuid() == 0,
        seccomp=filter_for(platform.machine()) or b"",
        bubblewrap=Path(bubblewrap) if bubblewrap else None,
        prlimit=Path(prlimit) if prlimit else None,
        system=tuple(system),
        links=tuple(links),
        user_home=Path.home().resolve(),
    )
    return await _with_levels(machine)


async def _with_levels(machine: Machine) -> Machine:
    """Tries the strongest first: where it works, so does what it includes."""
    filesystem = (Level.PROCESS, Level.FILESYSTEM)
    if machine.seccomp:
        why_not_network = await _why_not(Level.NETWORK, machine)
        if not why_not_network:
            return replace(machine, levels=(*filesystem, Level.NETWORK), strongest=Level.NETWORK)
    else:
        why_not_network = f"There is no filter of system calls for {platform.machine()} yet."
    for able in (machine, replace(machine, seccomp=b"")):
        why_not = await _why_not(Level.FILESYSTEM, able)
        if not why_not:
            reasons = {Level.NETWORK: why_not_network, **_NOT_YET}
            return replace(able, levels=filesystem, strongest=Level.FILESYSTEM, reasons=reasons)
    return replace(machine, reasons={Level.FILESYSTEM: why_not, Level.NETWORK: why_not, **_NOT_YET})


async def _why_not(level: Level, machine: Machine) -> str:
    """Empty when bubblewrap works with all the flags we use."""
    if machine.bubblewrap is None:
        return "bubblewrap is not installed (Debian: apt-get install bubblewrap)."
    if machine.prlimit is None:
        return "prlimit is not installed (Debian: apt-get install util-linux)."
    able = replace(machine, levels=(level,))
    with TemporaryDirectory(prefix="orchard-probe-") as folder:
        home = Path(folder).resolve()
        sandbox = Sandbox(level=level, cwd=home, home=home, network=False)
        if level is Level.NETWORK:
            with socket.socket(socket.AF_UNIX) as door:
                door.bind(str(home / "door"))
            sandbox = replace(sandbox, network=True, doors=(Door(socket=home / "door", port=1080),))
        try:
            done = await run(plan_launch(_SAY_IN, sandbox, able), timeout_seconds=30.0)
        except Unavailable as error:
            said = error.why.strip()
            return f"bubblewrap does not work here: {said}. {_cause_of(said)}".strip()
    if done.exit_code == 0 and done.output.strip() == b"in":
        return ""
    said = done.output.decode(errors="replace").strip()
    return f"bubblewrap does not work here: it ended with code {done.exit_code}. {said}".strip()


def _cause_of(said: str) -> str:
    if re.search(r"unknown option.*disable-userns", said, re.IGNORECASE):
        return "Version 0.8 or newer is needed."
    if re.search(r"not permitted|permission denied|no space left|namespace", said, re.IGNORECASE):
        return (
            "The kernel or a surrounding container forbids user namespaces; see the sysctls "
            "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns and "
            "user.max_user_namespaces, or the container's security options."
        )
    return ""


def _system_view() -> tuple[list[Mount], list[tuple[Path, str]]]:
    """The allow-list as this machine has it: (read-only mounts, symbolic links)."""
    mounts = [_same(Path(name)) for name in _WHOLE if Path(name).is_dir()]
    links: list[tuple[Path, str]] = [(Path("/var/run"), "/run")]
    places = [Path("/", name) for name in _ROOT_FOLDERS] + [Path("/etc", name) for name in _ETC]
    for place in places:
        real = place.resolve()
        if not real.exists():
            continue
        if place.is_symlink() and any(real.is_relative_to(mount.target) for mount in mounts):
            links.append((place, str(place.readlink())))
        else:
            mounts.append(Mount(source=real, target=place))
    return mounts, links


def _same(path: Path) -> Mount:
    return Mount(source=path.resolve(), target=path)


def program_folders(program: Path) -> tuple[Path, ...]:
    """The folders (or files) that a sandbox must see, beside the system's, for `program` to run there.

    Follows symbolic links one by one, a virtual environment to its base, and a script to its interpreter.
    Paths do not overlap with /usr. Raises FileNotFoundError when there is no such program.
    """
    found: list[Path] = []
    seen: set[Path] = set()
    queue = [Path(os.path.abspath(program))]  # noqa: PTH100 - resolve() would skip the links on the way
    while queue:
        step = queue.pop()
        if step in seen:
            continue
        seen.add(step)
        if not os.path.lexists(step):
            raise FileNotFoundError(f"{program}: there is no {step}")
        found.append(_prefix_of(step))
        if step.is_symlink():
            queue.append(Path(os.path.normpath(step.parent / step.readlink())))
        elif interpreter := _interpreter_of(step):
            queue.append(interpreter)
        if home := _base_of_environment(step.parent.parent):
            queue.append(home)
        if step.parent.resolve() != step.parent:
            queue.append(step.parent.resolve() / step.name)
    return tuple(dict.fromkeys(path for path in found if not _in_system(path)))


def _prefix_of(program: Path) -> Path:
    """The folder that a program was installed with, or the file alone where the folder is too much."""
    if program.parent.name not in ("bin", "sbin"):
        return program
    prefix = program.parent.parent
    homes = (Path.home(), Path.home() / ".local")
    return program if prefix in (*_SHARED_PREFIXES, *homes) else prefix


def _in_system(path: Path) -> bool:
    return any(path.is_relative_to(whole) for whole in (*_WHOLE, *(f"/{name}" for name in _ROOT_FOLDERS)))


def _interpreter_of(program: Path) -> Path | None:
    """From `#!/absolute/interpreter`; `env` looks in PATH, which is the caller's matter."""
    try:
        with program.open("rb") as file:
            head = file.read(256)
    except OSError:
        return None
    if not head.startswith(b"#!"):
        return None
    words = head[2:].split(b"\n", 1)[0].split()
    interpreter = Path(os.fsdecode(words[0])) if words else None
    return interpreter if interpreter and interpreter.is_absolute() and interpreter.exists() else None


def _base_of_environment(prefix: Path) -> Path | None:
    """The Python that a virtual environment stands on."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text(errors="replace").splitlines()
    except OSError:
        return None
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    home = Path(values.get("home", ""))
    for name in ("python3", "python"):
        if home.is_absolute() and (home / name).exists():
            return home / name
    return None
