"""Workers inside their project's fence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from core.executors.local import LocalExecutor
from core.isolation import enter
from core.isolation.cgroup_probe import probe_enforcement
from core.isolation.fences import Fences
from core.isolation.launch import launch
from core.isolation.limits import Breach, Means, ProjectLimits, Resource
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Sandbox, plan_launch
from tests.integration.nursery import forked_templates
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def fences() -> AsyncIterator[Fences]:
    told: list[Breach] = []
    async with Fences.open(told.append) as opened:
        yield opened
    assert told == []


@pytest.fixture
async def executor(tmp_path: Path, fences: Fences) -> AsyncIterator[LocalExecutor]:
    with forked_templates():
        async with LocalExecutor.open(tmp_path / "logs", fences=fences) as opened:
            yield opened


def inside(pid: int, fences: Fences) -> set[str]:
    """Of the groups that `pid` is in, those of a fence, by the project's folder: of all kinds, or of none."""
    own = groups(pid, fences)
    assert len(own) in (0, len(fences._ground.parts))
    return {Path(path).name for path in own}


def groups(pid: int, fences: Fences) -> list[str]:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return [line.rpartition(":")[2] for line in lines if fences._ground.name in line]


@pytest.fixture(scope="module")
def by_cgroup() -> None:
    cpu = next(one for one in probe_enforcement() if one.resource is Resource.CPU)
    if cpu.means is Means.WATCHDOG:
        pytest.skip(f"cgroups cannot be written here: {cpu.why}")


async def test_workers_live_in_their_project_s_fence(
    by_cgroup: None, executor: LocalExecutor, fences: Fences
) -> None:
    shop, post = await asyncio.gather(executor.start("shop"), executor.start("post"))
    assert await shop.reader.readline()  # it speaks: it entered before
    assert await post.reader.readline()
    assert inside(shop.pid, fences) == {"project-shop"}
    assert inside(post.pid, fences) == {"project-post"}
    assert inside(os.getpid(), fences) == set()
    assert executor._template is not None
    assert inside(executor._template.process.pid, fences) == set()
    assert fences.fence("shop")._tree.admitted() == [shop.pid]
    await fences.end("shop")
    assert (await shop.wait()).signal == signal.SIGKILL
    await post.stop(5)


async def test_what_a_lost_worker_left_is_ended_before_the_next_one_starts(
    by_cgroup: None, executor: LocalExecutor, fences: Fences, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fences, "look", lambda fence: None)
    monkeypatch.setattr(fences.fence("shop"), "tidy", asyncio.Event().wait)  # the next one comes sooner
    lost = await executor.start("shop")
    into = [sys.executable, "-I", "-S", enter.__file__, json.dumps(fences.fence("shop").entry), "--"]
    stray = await asyncio.create_subprocess_exec(*into, "sleep", "60", start_new_session=True)
    parts = len(fences._ground.parts)
    await until(lambda: len(groups(stray.pid, fences)) == parts, "in all of them, one after the other")
    await lost.stop(0)
    assert stray.returncode is None
    after = await executor.start("shop")
    assert await stray.wait() == -signal.SIGKILL
    assert await after.reader.readline()
    assert inside(after.pid, fences) == {"project-shop"}
    await after.stop(5)


async def test_a_worker_without_a_template_is_fenced_too(
    by_cgroup: None, executor: LocalExecutor, fences: Fences
) -> None:
    assert executor._template is not None
    executor._template_died(executor._template)
    worker = await executor.start("shop")
    assert await worker.reader.readline()
    assert inside(worker.pid, fences) == {"project-shop"}
    await worker.stop(5)


async def test_a_worker_that_cannot_enter_does_not_run_outside(
    by_cgroup: None, executor: LocalExecutor, fences: Fences, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence = fences.fence("shop")
    fence._groups.remove()
    monkeypatch.setattr(fence, "make", lambda: None)
    worker = await executor.start("shop")
    ended = await worker.wait()
    assert ended.code == 1
    assert "project-shop" in ended.detail


async def test_without_cgroups_a_worker_takes_its_niceness(tmp_path: Path) -> None:
    async with Fences.open(lambda breach: None, cgroups=False) as fences:
        fences.apply("shop", ProjectLimits(cpu_weight=1))
        async with LocalExecutor.open(tmp_path / "logs", fences=fences) as executor:
            worker = await executor.start("shop")
            assert await worker.reader.readline()
            assert psutil.Process(worker.pid).nice() == 10
            await worker.stop(5)


@pytest.mark.parametrize("level", [Level.PROCESS, pytest.param(Level.FILESYSTEM, marks=pytest.mark.bwrap)])
async def test_a_launched_program_is_ended_for_memory_before_who_launched_it(
    level: Level, tmp_path: Path
) -> None:
    box = Sandbox(level=level, cwd=tmp_path, home=tmp_path)
    before = Path("/proc/self/oom_score_adj").read_text()
    read = plan_launch(["cat", "/proc/self/oom_score_adj"], box, await probe_machine())
    process = await launch(read, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert int(await process.stdout.read()) > int(before)
    finally:
        await process.kill_tree()
    assert Path("/proc/self/oom_score_adj").read_text() == before
