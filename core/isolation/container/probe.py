"""Asks this machine for level `container`, by starting one. Only for who wants it: it takes a second."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import Unavailable
from core.isolation.bytecode import compiled
from core.isolation.container.engine import command, prune_containers
from core.isolation.container.image import ensure_host_image, has_image, prune_images
from core.isolation.container.plan import Container, Engine, Image
from core.isolation.launch import run
from core.isolation.plan import DEFAULT_PATH, Level, Limits, Machine, Sandbox, plan_launch

_INSTALL = {
    Engine.PODMAN: "Podman is not installed (Debian: apt-get install podman).",
    Engine.DOCKER: "Docker is not installed.",
}
_INIT = Path(__file__).with_name("init.py")
_SAY_IN = ["/bin/sh", "-c", "test -r /proc/self/status && echo in"]
_TRIAL_SECONDS = 60.0
_CGROUP_2 = Path("/sys/fs/cgroup/cgroup.controllers")
_SYSTEMD = Path("/run/systemd/system")


async def with_container(
    machine: Machine,
    *,
    image: str = "",
    engines: Sequence[Engine] = (Engine.PODMAN, Engine.DOCKER),
    search_path: str | None = None,
) -> Machine:
    """The machine with level `container`, or with the reason why it cannot give it.

    `image` is the one of the configuration: it has to be on this machine and hold python3, 3.8 or newer.
    Empty: one is made from the machine's root tree. `engines` in the order of preference. The default level
    of the machine stays as it was.
    """
    path = os.pathsep.join((DEFAULT_PATH, os.environ.get("PATH", ""))) if search_path is None else search_path
    reasons = []
    for engine in engines:
        found = shutil.which(engine, path=path)
        if found is None:
            reasons.append(_INSTALL[engine])
            continue
        able = await _try_engine(machine, engine, Path(found), image)
        if isinstance(able, Container):
            levels = tuple(level for level in machine.levels if level is not Level.CONTAINER)
            why = dict(machine.reasons)
            why.pop(Level.CONTAINER, None)
            return replace(machine, levels=(*levels, Level.CONTAINER), reasons=why, container=able)
        reasons.append(able)
    return replace(machine, reasons={**machine.reasons, Level.CONTAINER: " ".join(reasons)})


async def _try_engine(machine: Machine, engine: Engine, program: Path, image: str) -> Container | str:
    """What works, or why nothing does."""
    why_not = ""
    for options in _option_sets(engine):
        answer = await command(program, options, "info", "--format", _INFO[engine])
        if not answer.fine:
            why_not = why_not or f"{engine.capitalize()} does not answer: {_last_line(answer.said)}"
            continue
        await prune_containers(program, options)
        await prune_images(program, options)
        try:
            wanted = await _image(machine, engine, program, options, image)
        except Unavailable as error:
            return f"{error.message} {error.why}".strip()
        rootless = _last_line(answer.said) == "true"
        for holds in (True, False) if rootless and not _CGROUP_2.exists() else (True,):
            able = Container(
                engine=engine,
                program=program,
                options=options,
                image=wanted,
                init=_INIT,
                init_compiled=compiled(_INIT),
                rootless=rootless,
                holds_limits=holds,
                uid=os.getuid(),
                gid=os.getgid(),
            )
            failed = await _why_not(machine, able)
            if not failed:
                return able
            why_not = f"{engine.capitalize()} does not work here: {failed}"
    return why_not


# Whether it runs as an ordinary user: "true" or "false".
_INFO = {
    Engine.PODMAN: "{{.Host.Security.Rootless}}",
    Engine.DOCKER: '{{range .SecurityOptions}}{{if eq . "name=rootless"}}true{{end}}{{end}}',
}


def _option_sets(engine: Engine) -> Iterator[tuple[str, ...]]:
    """Without systemd Podman has nobody to ask for cgroups; on mixed cgroups its default runtime gives up."""
    if engine is Engine.DOCKER:
        yield ()
        return
    plain = () if _SYSTEMD.is_dir() else ("--cgroup-manager", "cgroupfs", "--events-backend", "file")
    yield plain
    if runc := shutil.which("runc", path=f"{DEFAULT_PATH}:/usr/sbin:/sbin"):
        yield (*plain, "--runtime", runc)


async def _image(
    machine: Machine, engine: Engine, program: Path, options: tuple[str, ...], name: str
) -> Image:
    if not name:
        return await ensure_host_image(engine, program, options, machine)
    if not await has_image(program, options, name):
        raise Unavailable(
            f"The image {name} is not on this machine: Orchard fetches none by itself.",
            why=f"Run `{engine} pull {name}`, or leave the setting empty.",
        )
    return Image(name=name)


async def _why_not(machine: Machine, container: Container) -> str:
    """Empty when a container works with all the flags that launches use."""
    able = replace(machine, levels=(*machine.levels, Level.CONTAINER), container=container)
    with TemporaryDirectory(prefix="orchard-probe-") as folder:
        home = Path(folder).resolve()
        limits = Limits(memory_mb=256, processes=32, open_files=256, file_size_mb=16, cpus=1.0)
        sandbox = Sandbox(level=Level.CONTAINER, cwd=home, home=home, network=False, limits=limits)
        try:
            done = await run(plan_launch(_SAY_IN, sandbox, able), timeout_seconds=_TRIAL_SECONDS)
        except Unavailable as error:
            return f"{_last_line(error.why)} {_cause_of(error.why, container)}".strip()
    said = done.output.decode(errors="replace").strip()
    if done.exit_code == 0 and said == "in":
        return ""
    return f"a trial ended with code {done.exit_code}. {_last_line(said)}".strip()


def _cause_of(said: str, container: Container) -> str:
    if not container.image.shares_system and "python3" in said:
        return f"The image {container.image.name} has no python3, which starts programs in it."
    if "subuid" in said or "newuidmap" in said:
        return "An ordinary user needs lines in /etc/subuid and /etc/subgid (and Debian's package uidmap)."
    if "hybrid mode" in said:
        return "Its runtime crun does not take this machine's cgroups: install runc."
    return ""


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""
