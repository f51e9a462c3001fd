"""Shares of a processor between two projects of a running Orchard, by settings that change as they work."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from core.isolation.cgroup import counters, homes, members
from core.isolation.cgroup_probe import probe_enforcement
from core.isolation.limits import Means, Resource
from core.store import processes

pytestmark = pytest.mark.timeout(300)

PYTHON = str(Path(sys.base_prefix, "bin", "python3"))
BURNER = (Path(__file__).parents[1] / "isolation" / "programs" / "burner.py").read_text()
NAMES = ("light", "heavy")
ENOUGH_CPU_SECONDS = 2.0  # of both together: hundreds of turns of the kernel's scheduler


@pytest.fixture
def busy(farm):
    """Two projects whose agents each keep a processor busy, by two programs, until they are ended."""
    cpu = next(one for one in probe_enforcement() if one.resource is Resource.CPU)
    if cpu.means is Means.WATCHDOG:
        pytest.skip(f"cgroups cannot be written here: {cpu.why}")
    for name in NAMES:
        farm.add(name)
    burn = f"for i in 1 2; do {PYTHON} -I -S -c '{BURNER}' 600 & done; wait"
    farm.script["stories"]["Burn"] = {"test_red": [{"run": burn}]}
    give(farm, light=1, heavy=3)
    return farm


def give(farm: Any, **priorities: float) -> None:
    farm.own_settings = {
        name: {"resource_limits": {"cpu_priority": priority}} for name, priority in priorities.items()
    }


def group_of(name: str, pid: int) -> Path:
    """Of the groups that the project's worker is in, the one that counts processor time."""
    places = homes(Path(f"/proc/{pid}"))
    own = [places[controller].path for controller in ("cpuacct", "") if controller in places]
    return next(path for path in own if path is not None and path.name == f"project-{name}")


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    """That each worker's group has used."""
    found = {}
    for name, pid in pids.items():
        group = group_of(name, pid)
        if (group / "cpuacct.usage").exists():
            found[name] = int((group / "cpuacct.usage").read_text()) / 1e9
        else:
            found[name] = counters(group / "cpu.stat")["usage_usec"] / 1e6
    return found


def put_on_one_processor(pids: dict[str, int]) -> None:
    """All of both projects, so that they share nothing else: a weight is of the whole machine."""
    processor = max(os.sched_getaffinity(0))
    for name, pid in pids.items():
        for member in members(group_of(name, pid)):
            for thread in Path(f"/proc/{member}/task").glob("*"):
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread.name), {processor})


async def ratio_of(pids: dict[str, int]) -> float:
    """Processor time of `heavy` for each second of `light`, from now until both had enough."""
    before, deadline = cpu_seconds(pids), time.monotonic() + 90
    while True:
        await asyncio.sleep(0.1)
        used = {name: seconds - before[name] for name, seconds in cpu_seconds(pids).items()}
        if sum(used.values()) >= ENOUGH_CPU_SECONDS:
            return used["heavy"] / used["light"]
        assert time.monotonic() < deadline, f"the machine gave only {sum(used.values()):.1f} s"


async def until_burning(orchard: Any) -> dict[str, int]:
    """Both projects' workers, once both projects' programs are at it: they have used a second and more."""
    deadline = time.monotonic() + 90
    while True:
        rows = await orchard.runtime.store.read(processes.every)
        pids = {row.project: row.pid for row in rows if row.kind == "worker"}
        agents = {row.project for row in rows if row.kind == "agent"}
        if agents == set(NAMES):
            started = cpu_seconds(pids)
            break
        assert time.monotonic() < deadline, "the agents did not start"
        await asyncio.sleep(0.05)
    while any(seconds - started[name] < 0.5 for name, seconds in cpu_seconds(pids).items()):
        assert time.monotonic() < deadline, "they are not busy"
        await asyncio.sleep(0.05)
    return pids


async def test_priorities_1_and_3_share_a_processor_so_and_a_new_priority_needs_no_restart(busy) -> None:
    async with busy.running() as orchard:
        for name in NAMES:
            await orchard.sprint(name, "Burn")
        pids = await until_burning(orchard)
        put_on_one_processor(pids)
        assert await ratio_of(pids) == pytest.approx(3.0, rel=0.10)
        give(busy, light=3, heavy=3)
        busy.write()
        await orchard.runtime.commands.start_project("light", actor="cli")  # the settings are read anew
        while (now := await ratio_of(pids)) > 1.5:
            continue  # the change comes with the next tick
        assert now == pytest.approx(1.0, rel=0.10) or await ratio_of(pids) == pytest.approx(1.0, rel=0.10)
