"""Shares of a processor, measured on busy processes of two projects with weights 1 and 3."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from core.isolation import enter
from core.isolation.cgroup_probe import probe_enforcement
from core.isolation.contain import stat_fields
from core.isolation.fence import Fence
from core.isolation.fences import Fences
from core.isolation.limits import Means, ProjectLimits, Resource
from tests.bench import neighbours

pytestmark = pytest.mark.timeout(180)

BURNER = str(Path(__file__).parent / "programs" / "burner.py")
EACH = 2  # busy processes of a project
ENOUGH_CPU_SECONDS = 2.0  # of both together: hundreds of turns of the kernel's scheduler
WEIGHTS = {"light": 1.0, "heavy": 3.0}


class Crowd:
    """Busy processes, all on one processor, so that they compete whatever else the machine does."""

    def __init__(self, mark: dict[str, str]) -> None:
        self._environment = {**os.environ, **mark}
        self.processor = max(os.sched_getaffinity(0))
        self.processes: list[subprocess.Popen[bytes]] = []

    def add(self, fence: Fence | None, number: int) -> None:
        entry = {} if fence is None else fence.entry
        argv = [sys.executable, "-I", "-S", enter.__file__, json.dumps(entry), "--"]
        argv += ["taskset", "-c", str(self.processor), sys.executable, "-I", "-S", BURNER, "120"]
        for _ in range(number):
            process = subprocess.Popen(argv, start_new_session=True, env=self._environment)
            self.processes.append(process)
            fields = stat_fields(process.pid)
            if fence is not None and fields is not None:
                fence.admit(process.pid, int(fields[19]))

    async def until_all_spin(self) -> None:
        deadline = time.monotonic() + 60
        while any(sum(psutil.Process(process.pid).cpu_times()[:2]) < 0.1 for process in self.processes):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


@pytest.fixture
def crowd(mark: dict[str, str]) -> Iterator[Crowd]:
    found = Crowd(mark)
    yield found
    for process in found.processes:
        process.kill()
        process.wait()


def processor_seconds(fences: Fences) -> dict[str, float]:
    """Of one moment: who is held up between two readings would count more for the second."""
    while True:
        began, found = time.monotonic(), {}
        for name in WEIGHTS:
            use = fences.use(name)
            assert use is not None
            assert use.cpu_seconds is not None
            found[name] = use.cpu_seconds
        if time.monotonic() - began < 0.02:
            return found


async def share_ratio(fences: Fences, enough_seconds: float = ENOUGH_CPU_SECONDS) -> float:
    """Processor time of `heavy` for each second of `light`, from now until both had enough."""
    before, deadline = processor_seconds(fences), time.monotonic() + 90
    while True:
        await asyncio.sleep(0.1)
        used = {name: seconds - before[name] for name, seconds in processor_seconds(fences).items()}
        if sum(used.values()) >= enough_seconds:
            return used["heavy"] / used["light"]
        assert time.monotonic() < deadline, f"the machine gave only {sum(used.values()):.1f} s"


async def test_weights_1_and_3_count_by_project_not_by_process(crowd: Crowd) -> None:
    cpu = next(one for one in probe_enforcement() if one.resource is Resource.CPU)
    if cpu.means is Means.WATCHDOG:
        pytest.skip(f"cgroups cannot be written here: {cpu.why}")
    async with Fences.open(lambda breach: None) as fences:
        for name, weight in WEIGHTS.items():
            assert fences.apply(name, ProjectLimits(cpu_weight=weight)) == ()
        crowd.add(fences.fence("light"), EACH)
        crowd.add(fences.fence("heavy"), 1)
        crowd.add(None, 1)  # a busy machine
        await crowd.until_all_spin()
        assert await share_ratio(fences) == pytest.approx(3.0, rel=0.10)


async def test_attacks_leave_their_neighbour_its_share(tmp_path: Path) -> None:
    """All at once, each in its project. Only the lower bound is asked: who is ended for its memory, or waits
    for the disk, leaves more. What each alone costs, and at what pace the neighbour works, the benchmark
    `neighbours` tells: paces differ by more than a tenth on a machine that has other things to do."""
    cpu = next(one for one in probe_enforcement() if one.resource is Resource.CPU)
    if cpu.means is Means.WATCHDOG:
        pytest.skip(f"cgroups cannot be written here: {cpu.why}")
    with ExitStack() as stack:
        async with Fences.open(lambda breach: None) as fences:
            for attack in neighbours.ATTACKS:
                fences.apply(attack, neighbours.LIMITS)
                neighbours.begin(stack, fences, attack, attack, tmp_path)
            neighbours.begin(stack, fences, "neighbour", "busy", tmp_path)
            everybody = ("neighbour", *neighbours.ATTACKS)
            deadline = time.monotonic() + 90
            while min(neighbours.used(fences, *everybody)) < 0.1:  # all of them are at it
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            before = neighbours.used(fences, *everybody)
            gone = [0.0]
            while sum(gone) < ENOUGH_CPU_SECONDS:
                assert time.monotonic() < deadline, f"the machine gave only {sum(gone):.1f} s"
                await asyncio.sleep(0.1)
                after = neighbours.used(fences, *everybody)
                gone = [now - then for now, then in zip(after, before, strict=True)]
    assert gone[0] / sum(gone) >= 0.9 / len(everybody)


async def test_niceness_comes_near_where_there_are_no_cgroups(crowd: Crowd) -> None:
    """With as many busy processes on each side: niceness counts by process. Its steps are a quarter wide and
    anything else on the processor is in the same race, so this asks for a third, not for a tenth."""
    async with Fences.open(lambda breach: None, cgroups=False, look_seconds=0.1) as fences:
        for name in WEIGHTS:
            crowd.add(fences.fence(name), EACH)
        await crowd.until_all_spin()
        for name, weight in WEIGHTS.items():
            assert fences.apply(name, ProjectLimits(cpu_weight=weight)) == ()
        await asyncio.sleep(0.3)
        nices = {os.getpriority(os.PRIO_PROCESS, process.pid) for process in crowd.processes}
        assert nices == {10, 5}
        ratio = await share_ratio(fences, enough_seconds=1.5)
    assert 2.0 < ratio < 4.0


def test_a_session_s_group_is_made_nice_as_well() -> None:
    place = Path("/proc/self/autogroup")
    if not place.exists():
        pytest.skip("this kernel makes no scheduling group for each session")
    entry = json.dumps({"nice": 7})
    done = subprocess.run(
        [sys.executable, "-I", "-S", enter.__file__, entry, "--", "cat", str(place)],
        capture_output=True, text=True, check=True, start_new_session=True,
    )  # fmt: skip
    assert done.stdout.strip().endswith("nice 7")
