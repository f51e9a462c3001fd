"""Attacks a sandbox of this machine for real, and says what came of it. What is attacked is made for it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import Unavailable
from core.isolation.attacks.catalogue import ATTACKS, BY_NAME, Attack, Finding
from core.isolation.egress.proxy import EgressProxy
from core.isolation.egress.rules import parse_egress
from core.isolation.launch import Completed, run
from core.isolation.plan import Door, Level, Limits, Machine, Mount, Sandbox, plan_launch

_LIMITS = Limits(memory_mb=96, processes=48, open_files=64, file_size_mb=8)
_ALONE = ("flood", "daemon", "fork_bomb", "memory_bomb", "fill_temporary")  # each in a sandbox of its own
_FLOOD_BYTES = 1 << 20
_KILLED = 128 + signal.SIGKILL
_PROXY_PORT = 13128
_WITH_PROXY = (Level.NETWORK, Level.CONTAINER)
# What our own name server says; whoever asks for another name carries something out in it.
_NAMES = {
    "allowed.example": "127.0.0.1",
    "rebound.example": "127.0.0.1",
    "private.example": "10.0.0.1",
    "metadata.example": "169.254.169.254",
}
_SECONDS = 60.0
_PROGRAM = Path(__file__).with_name("program.py")


async def attack_level(
    machine: Machine, level: Level, folder: Path, *, attacks: Sequence[Attack] = ATTACKS
) -> tuple[Finding, ...]:
    """Tries `attacks` at `level` below the empty `folder`; some seconds, nothing is left running.

    At level `network` the sandbox has a door, so that what is tried is a sandbox that may reach something.
    Raises Unavailable where the machine does not give the level, or the attacks could not be run at all.
    """
    async with AsyncExitStack() as stack:
        ground = _prepare(machine, level, folder, stack)
        if level in _WITH_PROXY:
            ground = await _with_proxy(ground, folder, stack)
        together = [attack.name for attack in attacks if attack.name not in _ALONE]
        found = {}
        if together:
            found = _judged(level, await _run(together, ground, machine), together)
            for name, said in _seen_outside(ground):
                if name in found and level in _WITH_PROXY:
                    found[name] = replace(found[name], succeeded=True, said=said)
        alone = [attack for attack in attacks if attack.name in _ALONE]
        for one in await asyncio.gather(*(_try_alone(attack, level, ground, machine) for attack in alone)):
            found[one.attack.name] = one
    return tuple(found[attack.name] for attack in attacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """`targets` are what the program is told. `api` is what stands for Orchard's own, and hears of nobody;
    `asked`: the names that were to be resolved."""

    targets: dict[str, Any]
    box: Sandbox
    api: socket.socket
    asked: list[str]


async def _run(names: list[str], ground: _Ground, machine: Machine) -> Completed:
    argv = [str(machine.python), "-I", "-S", str(_PROGRAM), json.dumps(ground.targets), *names]
    launch = plan_launch(argv, ground.box, machine)
    return await run(launch, timeout_seconds=_SECONDS, output_limit_bytes=_FLOOD_BYTES)


def _judged(level: Level, done: Completed, names: list[str]) -> dict[str, Finding]:
    said = [json.loads(line) for line in done.output.splitlines() if line.startswith(b'{"name"')]
    found = {
        one["name"]: Finding(
            attack=BY_NAME[one["name"]], level=level, succeeded=one["succeeded"], said=one["said"]
        )
        for one in said
    }
    if missing := [name for name in names if name not in found]:
        raise Unavailable(
            f"The attacks could not be tried at level '{level}': {missing[0]} said nothing.",
            why=done.output.decode(errors="replace")[-500:],
            hint="Run `orchard doctor`.",
        )
    return found


def _seen_outside(ground: _Ground) -> Iterator[tuple[str, str]]:
    """What an attack itself cannot know."""
    for name in set(ground.asked) - set(_NAMES):
        yield "proxy_dns", f"{name} was resolved"
    ground.api.setblocking(False)
    with suppress(BlockingIOError):
        ground.api.accept()[0].close()
        yield "proxy_smuggle", "the API was reached"


async def _try_alone(attack: Attack, level: Level, ground: _Ground, machine: Machine) -> Finding:
    done = await _run([attack.name], ground, machine)
    if attack.name == "flood":
        said = f"ended after {done.output_bytes} bytes"
        return Finding(attack=attack, level=level, succeeded=not done.flooded, said=said)
    if attack.name == "daemon":
        left = await asyncio.to_thread(_sleepers, ground.targets["daemon_seconds"])
        said = f"{len(left)} processes left"
        return Finding(attack=attack, level=level, succeeded=bool(left), said=said)
    if done.exit_code == _KILLED and b'{"name"' not in done.output:
        return Finding(attack=attack, level=level, succeeded=False, said="the kernel ended it")
    return _judged(level, done, [attack.name])[attack.name]


def _sleepers(seconds: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if seconds.encode() in words and words[0] == b"sleep":
            found.append(int(entry.name))
    return found


def _prepare(machine: Machine, level: Level, folder: Path, stack: AsyncExitStack) -> _Ground:
    """The sandbox, and around it what it must not get at."""
    worktree, home, sibling = (folder / name for name in ("worktree", "home", "sibling"))
    for made in (
        home,
        sibling,
        worktree / "guarded",
        worktree / "submodule",
        worktree / "tree",
        worktree / "repository" / ".git" / "hooks",
    ):
        made.mkdir(parents=True)
    (worktree / "guarded" / "test_a.py").write_text("assert False\n")
    (worktree / "repository" / ".git" / "config").write_text("[core]\n")
    (worktree / "tree" / ".git").write_text("gitdir: /nowhere\n")
    (worktree / "submodule" / ".git").write_text("gitdir: ../repository/.git\n")
    for secret in (sibling / "secret", folder / "orchard.db"):
        secret.write_text("a secret\n")
    mark = secrets.token_hex(8)
    victim = subprocess.Popen(["/bin/sh", "-c", "read line", mark], env={"MARK": mark}, stdin=subprocess.PIPE)
    stack.callback(_end, victim)
    os.environ["ORCHARD_TRIAL_SECRET"] = mark
    stack.callback(os.environ.pop, "ORCHARD_TRIAL_SECRET", None)
    null = Path("/dev/null").stat()
    targets = {
        "user_home": str(machine.user_home),
        "home_names": hidden_names(machine),
        "secret": str(sibling / "secret"),
        "sibling": str(sibling),
        "database": str(folder / "orchard.db"),
        "environment": mark,
        "victim": victim.pid,
        "victim_mark": mark,
        "null": [null.st_dev, null.st_ino],
        "own_temporary": level is not Level.PROCESS,
        "processes": _LIMITS.processes,
        "memory_mb": _LIMITS.memory_mb,
        "files": _LIMITS.open_files,
        "file_mb": _LIMITS.file_size_mb,
        "daemon_seconds": f"5000.{secrets.randbelow(10**12):012d}",
        "abstract": f"orchard-{mark}",
        "socket": str(folder / "s"),
        "door": str(folder / "g"),
        "proxy": 0,
    }
    api = _listen(stack, targets)
    box = Sandbox(
        level=level,
        cwd=worktree,
        home=home,
        writable=(worktree, worktree / "repository", worktree / "tree"),
        read_only=(worktree / "guarded",),
        mounts=() if level is Level.PROCESS else (Mount(source=_PROGRAM, target=_PROGRAM),),
        limits=_LIMITS,
        project="trial",
    )
    return _Ground(targets=targets, box=box, api=api, asked=[])


async def _with_proxy(ground: _Ground, folder: Path, stack: AsyncExitStack) -> _Ground:
    """The real one, with rules that allow a site, and names that resolve to what no rule names."""

    async def resolve(host: str) -> Sequence[str]:
        ground.asked.append(host)
        return [_NAMES[host]] if host in _NAMES else []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe site")
        writer.write_eof()
        await reader.read()
        writer.close()

    site = await asyncio.start_server(answer, "127.0.0.1", 0)
    stack.push_async_callback(_close, site)
    at_site, at_api = site.sockets[0].getsockname()[1], ground.targets["port"]
    rules = [f"allowed.example:{at_site}", f"127.0.0.1:{at_site}", f"rebound.example:{at_api}"]
    egress = parse_egress([*rules, "private.example", "metadata.example"])
    await stack.enter_async_context(EgressProxy.open(folder / "d", egress, lambda _: None, resolve=resolve))
    box = replace(ground.box, doors=(Door(socket=folder / "d", port=_PROXY_PORT, proxy=True),))
    return replace(ground, box=box, targets={**ground.targets, "site": at_site, "proxy": _PROXY_PORT})


async def _close(server: asyncio.Server) -> None:
    server.close()
    await server.wait_closed()


def hidden_names(machine: Machine) -> list[str]:
    """Of the user's home, but for what leads to a program that every sandbox is shown."""
    home = machine.user_home
    if home is None or not home.is_dir():
        return []
    shown = [mount.target for mount in machine.system]
    return [path.name for path in home.iterdir() if not any(one.is_relative_to(path) for one in shown)]


def _listen(stack: AsyncExitStack, targets: dict[str, Any]) -> socket.socket:
    """Services by name, by path and by address, as this machine's own would be; the last one is the API."""
    for address in ("\0" + targets["abstract"], targets["socket"], targets["door"]):
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        if address.startswith("\0"):
            server.bind(address)
        else:
            _bind(server, Path(address))
        server.listen()
    for name in ("gateway", "port"):
        service = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        targets[name] = service.getsockname()[1]
    return service


def _bind(server: socket.socket, path: Path) -> None:
    """By a descriptor of its folder: the path of a unix socket holds some hundred characters only."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _end(victim: subprocess.Popen[bytes]) -> None:
    victim.kill()
    victim.communicate()
