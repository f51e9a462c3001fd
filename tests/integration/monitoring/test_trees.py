"""What is seen of real processes: by the cgroups of this machine and, everywhere, by the watchdog's tree."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.isolation import enter
from core.isolation.cgroup_probe import probe_enforcement
from core.isolation.contain import stat_fields
from core.isolation.fence import Fence
from core.isolation.fences import Fences
from core.isolation.limits import Means, Resource
from core.monitoring.trees import Trees, TreeUse

# A worker whose child begins a session of its own, starts another there and ends: that has no parent left.
ORPHANED = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    subprocess.Popen([sys.executable, "-I", "-S", "-c", {script!r}])
    os._exit(0)
os.wait()
time.sleep(600)
"""
WAIT = "import time; time.sleep(600)"
BUSY = "while True: pass"
WRITE = """
import os, sys, time
with open({path!r}, "wb") as file:
    while True:
        file.seek(0)
        file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
        time.sleep(0.02)
"""
Start = Callable[[Fence, str], "subprocess.Popen[bytes]"]


def has_cgroups() -> bool:
    weak = (Means.WATCHDOG,)
    return all(one.means not in weak for one in probe_enforcement() if one.resource is not Resource.DISK)


@pytest.fixture(params=["cgroup", "psutil"])
async def fences(request: pytest.FixtureRequest) -> AsyncIterator[Fences]:
    if request.param == "cgroup" and not has_cgroups():
        pytest.skip("cgroups cannot be written here")
    async with Fences.open(lambda _breach: None, cgroups=request.param == "cgroup") as opened:
        yield opened


@pytest.fixture
def start() -> Iterator[Start]:
    """A worker that enters the fence and is admitted."""
    started: list[subprocess.Popen[bytes]] = []

    def run(fence: Fence, script: str) -> subprocess.Popen[bytes]:
        into = [sys.executable, "-I", "-S", enter.__file__, json.dumps(fence.entry), "--"]
        process = subprocess.Popen([*into, sys.executable, "-I", "-S", "-c", script], start_new_session=True)
        started.append(process)
        fields = stat_fields(process.pid)
        assert fields is not None
        fence.admit(process.pid, int(fields[19]))
        return process

    yield run
    for process in started:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """With all below it: outside of a group of the kernel's nobody else would."""
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    for one in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()


async def seen(fences: Fences, trees: Trees, good: Callable[[TreeUse], bool]) -> TreeUse:
    """Looked at until it is so."""
    deadline = time.monotonic() + 30
    while True:
        found = (await asyncio.to_thread(trees.read, fences.live())).get("shop")
        if found is not None and good(found):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)


async def test_all_that_a_project_runs_is_counted(fences: Fences, start: Start) -> None:
    busy = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {BUSY!r}])"
    threads = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); "
    start(fences.fence("shop"), threads + busy)  # threads are no processes

    # One look that stood still in its middle makes the next one's share too large, and only that one's.
    found = await seen(fences, Trees(), lambda use: use.processes == 2 and 0.01 < (use.cores or 0) <= 1.5)

    assert found.source == ("cgroup" if fences.fence("shop").is_grouped else "psutil")
    assert (found.memory_bytes or 0) > 1 << 20


async def test_who_left_its_parent_and_session_is_still_the_projects(start: Start) -> None:
    if not has_cgroups():
        pytest.skip("cgroups cannot be written here")
    async with Fences.open(lambda _breach: None) as fences:
        start(fences.fence("shop"), ORPHANED.format(script=BUSY))

        found = await seen(fences, Trees(), lambda use: use.processes == 2 and (use.cores or 0) > 0.01)

    assert found.source == "cgroup"


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """A folder that is not kept in memory."""
    for place in (None, "/var/tmp"):
        with tempfile.TemporaryDirectory(dir=place) as name:
            asked = ["stat", "--file-system", "--format=%T", name]
            kind = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
            if kind not in ("tmpfs", "ramfs"):
                yield Path(name)
                return
    pytest.skip("all temporary folders are in memory")


async def test_what_is_written_to_disks_is_seen(fences: Fences, start: Start, on_disk: Path) -> None:
    start(fences.fence("shop"), WRITE.format(path=str(on_disk / "written")))

    found = await seen(fences, Trees(), lambda use: (use.written_bytes_a_second or 0) > 50_000)

    assert found.read_bytes_a_second is not None


async def test_rates_begin_with_the_second_look(fences: Fences, start: Start) -> None:
    start(fences.fence("shop"), WAIT)
    trees = Trees()

    first = await seen(fences, trees, lambda use: use.processes == 1)
    await asyncio.sleep(0.05)
    second = await seen(fences, trees, lambda use: use.cores is not None)

    assert first.memory_bytes is not None
    assert second.cores is not None
    assert second.cores >= 0


async def test_a_project_that_runs_nothing_is_not_looked_at(fences: Fences, start: Start) -> None:
    trees = Trees()
    worker = start(fences.fence("shop"), WAIT)
    fences.fence("idle")
    await seen(fences, trees, lambda use: use.processes == 1)

    worker.kill()
    worker.wait()
    deadline = time.monotonic() + 30
    while await asyncio.to_thread(trees.read, fences.live()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
