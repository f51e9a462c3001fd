"""Attacks a sandbox of this machine for real, and says what came of it. What is attacked is made for it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import Unavailable
from core.isolation.attacks import ATTACKS, BY_NAME, Attack, Finding
from core.isolation.launch import Completed, run
from core.isolation.plan import Door, Level, Limits, Machine, Mount, Sandbox, plan_launch

_LIMITS = Limits(memory_mb=96, processes=48, open_files=64, file_size_mb=8)
_ALONE = ("flood", "daemon", "fork_bomb", "memory_bomb")  # each in a sandbox of its own
_FLOOD_BYTES = 1 << 20
_SECONDS = 60.0
_PROGRAM = Path(__file__).with_name("attack_program.py")


async def attack_level(
    machine: Machine, level: Level, folder: Path, *, attacks: Sequence[Attack] = ATTACKS
) -> tuple[Finding, ...]:
    """Tries `attacks` at `level` below the empty `folder`; some seconds, nothing is left running.

    At level `network` the sandbox has a door, so that what is tried is a sandbox that may reach something.
    Raises Unavailable where the machine does not give the level, or the attacks could not be run at all.
    """
    with ExitStack() as stack:
        targets, box = _prepare(machine, level, folder, stack)
        together = [attack.name for attack in attacks if attack.name not in _ALONE]
        found = _judged(level, await _run(together, targets, box, machine), together)
        for attack in attacks:
            if attack.name in _ALONE:
                done = await _run([attack.name], targets, box, machine)
                found[attack.name] = await _judged_alone(attack, level, done, targets)
    return tuple(found[attack.name] for attack in attacks)


async def _run(names: list[str], targets: dict[str, Any], box: Sandbox, machine: Machine) -> Completed:
    argv = [str(machine.python), "-I", "-S", str(_PROGRAM), json.dumps(targets), *names]
    launch = plan_launch(argv, box, machine)
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


async def _judged_alone(attack: Attack, level: Level, done: Completed, targets: dict[str, Any]) -> Finding:
    if attack.name == "flood":
        said = f"ended after {done.output_bytes} bytes"
        return Finding(attack=attack, level=level, succeeded=not done.flooded, said=said)
    if attack.name == "daemon":
        left = await asyncio.to_thread(_sleepers, targets["daemon_seconds"])
        said = f"{len(left)} processes left"
        return Finding(attack=attack, level=level, succeeded=bool(left), said=said)
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


def _prepare(
    machine: Machine, level: Level, folder: Path, stack: ExitStack
) -> tuple[dict[str, Any], Sandbox]:
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
    targets = {
        "user_home": str(machine.user_home),
        "home_names": _hidden_names(machine),
        "secret": str(sibling / "secret"),
        "sibling": str(sibling),
        "database": str(folder / "orchard.db"),
        "environment": mark,
        "victim": victim.pid,
        "victim_mark": mark,
        "processes": _LIMITS.processes,
        "memory_mb": _LIMITS.memory_mb,
        "files": _LIMITS.open_files,
        "file_mb": _LIMITS.file_size_mb,
        "daemon_seconds": f"5000.{secrets.randbelow(10**12):012d}",
        "abstract": f"orchard-{mark}",
        "socket": str(folder / "s"),
    }
    targets["port"] = _listen(stack, targets)
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
    if level is Level.NETWORK:
        door = stack.enter_context(socket.socket(socket.AF_UNIX))
        _bind(door, folder / "d")
        box = replace(box, doors=(Door(socket=folder / "d", port=13128, proxy=True),))
    return targets, box


def _hidden_names(machine: Machine) -> list[str]:
    """Of the user's home, but for what leads to a program that every sandbox is shown."""
    home = machine.user_home
    if home is None or not home.is_dir():
        return []
    shown = [mount.target for mount in machine.system]
    return [path.name for path in home.iterdir() if not any(one.is_relative_to(path) for one in shown)]


def _listen(stack: ExitStack, targets: dict[str, Any]) -> int:
    """A service by address, one by name and one by path, as this machine's own would be."""
    by_path, by_name = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
    by_name.bind("\0" + targets["abstract"])
    by_name.listen()
    _bind(by_path, Path(targets["socket"]))
    by_path.listen()
    service = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port: int = service.getsockname()[1]
    return port


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
