"""Real sandboxes on this machine, at each level that it gives."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from core.isolation.launch import Completed, run
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Machine, Sandbox, plan_launch
from tests.waiting import until


@pytest.fixture
def mark() -> Iterator[dict[str, str]]:
    """For the environment of what a test starts: all of that is ended with the test, wherever it went."""
    found = {"ORCHARD_TEST": uuid.uuid4().hex}
    yield found
    words = f"ORCHARD_TEST={found['ORCHARD_TEST']}".encode()
    deadline = time.monotonic() + 20
    while left := [pid for pid in psutil.pids() if words in _environment(pid)]:
        assert time.monotonic() < deadline, f"{left} cannot be ended"
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


@pytest.fixture
async def machine() -> Machine:
    return await probe_machine()


@pytest.fixture(
    params=[Level.PROCESS, pytest.param(Level.FILESYSTEM, marks=pytest.mark.bwrap)],
    ids=lambda level: str(level),
)
def level(request: pytest.FixtureRequest, machine: Machine) -> Level:
    wanted: Level = request.param
    if wanted not in machine.levels:
        pytest.skip(machine.reasons[wanted])
    return wanted


@pytest.fixture
def box(tmp_path: Path, level: Level) -> Sandbox:
    return make_box(tmp_path, level)


@pytest.fixture
def closed_box(tmp_path: Path, machine: Machine) -> Sandbox:
    """At level filesystem only."""
    if Level.FILESYSTEM not in machine.levels:
        pytest.skip(machine.reasons[Level.FILESYSTEM])
    return make_box(tmp_path, Level.FILESYSTEM)


def make_box(folder: Path, level: Level) -> Sandbox:
    worktree, home = folder / "worktree", folder / "home"
    (worktree / "tests").mkdir(parents=True)
    home.mkdir()
    return Sandbox(level=level, cwd=worktree, home=home, writable=(worktree,))


@pytest.fixture
def sh(machine: Machine) -> Callable[..., object]:
    """`await sh(box, script, **changes to run)` -> Completed"""

    async def run_script(
        box: Sandbox, script: str, *, timeout_seconds: float = 30.0, **options: object
    ) -> Completed:
        planned = plan_launch(["/bin/sh", "-c", script], box, machine)
        return await run(planned, timeout_seconds=timeout_seconds, **options)  # type: ignore[arg-type]

    return run_script


class Tag:
    """A word in the command line of processes, to find them by from outside."""

    def __init__(self) -> None:
        # `sleep` takes a fraction: a number nobody else sleeps for.
        self.seconds = f"5000.{uuid.uuid4().int % 10**12:012d}"

    def alive(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            if words[:1] == [b"sleep"] and self.seconds.encode() in words and state != b"Z":
                found.append(int(entry.name))
        return found

    async def wait_until(self, count: int) -> None:
        await until(lambda: len(self.alive()) == count, f"{count} processes")


@pytest.fixture
async def tag() -> AsyncIterator[Tag]:
    made = Tag()
    yield made
    for pid in made.alive():
        os.kill(pid, 9)
