"""Fences around real processes, by the cgroups of this machine and, everywhere, by the watchdog."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.isolation import cgroup, enter, watchdog
from core.isolation.cgroup_probe import probe_enforcement
from core.isolation.contain import stat_fields
from core.isolation.fence import Fence
from core.isolation.fences import Fences
from core.isolation.limits import Breach, Means, ProjectLimits, Resource
from tests.waiting import until, wait_until

pytestmark = pytest.mark.timeout(180)

HOG = "import time; kept = []\nfor _ in range({mb}): kept.append(bytearray(1 << 20)); time.sleep(0.002)\n"
WAIT = "import time; time.sleep(60)"
FORK = (
    "import os, time\nfor _ in range({count}):\n"
    "    if os.fork() == 0:\n        time.sleep(60); os._exit(0)\nprint('all', flush=True); time.sleep(60)"
)
BUSY = "end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
PROGRAM = Path(__file__).parent / "programs" / "fenced.py"
BURN = (sys.executable, "-I", "-S", str(PROGRAM.with_name("burner.py")), "60")

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def by_cgroup() -> None:
    weak = [
        one for one in probe_enforcement() if one.means is Means.WATCHDOG and one.resource != Resource.DISK
    ]
    if weak:
        pytest.skip(f"cgroups cannot be written here: {weak[0]}")


@pytest.fixture
def told() -> list[Breach]:
    return []


@pytest.fixture(params=["cgroup", "watchdog"])
async def fences(request: pytest.FixtureRequest, told: list[Breach]) -> AsyncIterator[Fences]:
    if request.param == "cgroup":
        request.getfixturevalue("by_cgroup")
    async with Fences.open(told.append, look_seconds=0.05, cgroups=request.param == "cgroup") as opened:
        yield opened
        own = opened._ground.name
    assert groups_named(own) == []


@pytest.fixture
async def fenced(by_cgroup: None, told: list[Breach]) -> AsyncIterator[Fences]:
    async with Fences.open(told.append, look_seconds=0.05) as opened:
        yield opened


@pytest.fixture
def start(mark: dict[str, str]) -> Iterator[Start]:
    """`start(fence, *argv)`: a program whose first process enters the fence. Nothing of it is left after the
    test."""
    started: list[subprocess.Popen[bytes]] = []

    def run(fence: Fence, *argv: str) -> subprocess.Popen[bytes]:
        into = [sys.executable, "-I", "-S", enter.__file__, json.dumps(fence.entry), "--"]
        process = subprocess.Popen(
            [*into, *argv], stdout=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **mark}
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def worker(fence: Fence, start: Start, script: str = WAIT) -> subprocess.Popen[bytes]:
    """A program that is admitted: what it starts is the project's, and it is not what is ended."""
    process = start(fence, sys.executable, "-c", script)
    fields = stat_fields(process.pid)
    assert fields is not None
    fence.admit(process.pid, int(fields[19]))
    return process


def with_child(script: str) -> str:
    return f"import subprocess, sys; subprocess.run([sys.executable, '-c', {script!r}]); {WAIT}"


def groups_named(name: str) -> list[Path]:
    places = [home.path for home in cgroup.homes().values() if home.path is not None]
    return [path / name for path in places if (path / name).exists()]


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [one for one in psutil.Process(process.pid).children(recursive=True) if _lives(one)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it went while it was looked at
        return False


async def test_only_the_project_over_its_memory_loses_an_agent(
    fences: Fences, told: list[Breach], start: Start
) -> None:
    shop, post = fences.fence("shop"), fences.fence("post")
    assert fences.apply("shop", ProjectLimits(memory_mb=80)) == ()
    neighbour = worker(post, start)
    own = worker(shop, start, with_child(HOG.format(mb=400) + WAIT))
    await until(lambda: told)
    breach = told[0]
    assert (breach.project, breach.resource, breach.limit, breach.ended) == ("shop", Resource.MEMORY, 80, 1)
    assert breach.pid not in (None, own.pid, neighbour.pid)
    assert breach.program.startswith("python")
    assert breach.program_mb is not None
    assert 40 < breach.program_mb < 500  # all that it would take: who looks may be late
    assert (own.poll(), neighbour.poll()) == (None, None)
    await until(lambda: not children(own))


async def test_a_limit_below_what_lives_makes_room_at_once(
    fences: Fences, told: list[Breach], start: Start
) -> None:
    fence = fences.fence("shop")
    fences.apply("shop", ProjectLimits(memory_mb=400))
    own = worker(fence, start, with_child(HOG.format(mb=120) + WAIT))
    await until(lambda: (fence.use().memory_mb or 0) > 110)
    assert told == []
    fences.apply("shop", ProjectLimits(memory_mb=60))
    await until(lambda: told)
    assert (told[0].resource, told[0].ended) == (Resource.MEMORY, 1)
    await until(lambda: (fence.use().memory_mb or 0) < 60)
    assert own.poll() is None
    assert len(told) == 1


async def test_one_that_takes_its_time_to_end_is_ended_once_and_nobody_in_its_place(
    fences: Fences, told: list[Breach], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []

    def end_later(one: watchdog.Seen) -> bool:
        ended.append(one.pid)
        return True

    monkeypatch.setattr(watchdog, "end", end_later)
    monkeypatch.setattr(watchdog, "_DYING_SECONDS", 600)
    fence = fences.fence("shop")
    fences.apply("shop", ProjectLimits(memory_mb=400))
    worker(fence, start, with_child(with_child(HOG.format(mb=120) + WAIT)))
    await until(lambda: (fence.use().memory_mb or 0) > 110)
    fences.apply("shop", ProjectLimits(memory_mb=60))
    await until(lambda: told)
    await asyncio.sleep(0.3)  # some looks
    assert len(ended) == len(told) == 1


async def test_more_processes_than_allowed_do_not_stay(
    fences: Fences, told: list[Breach], start: Start
) -> None:
    fence = fences.fence("shop")
    fences.apply("shop", ProjectLimits(processes=12))
    own = worker(fence, start, with_child(FORK.format(count=40)))
    await until(lambda: told)
    await until(lambda: len(children(own)) + 1 <= 12)
    assert told[0].resource is Resource.PROCESSES
    assert own.poll() is None


async def test_more_processes_are_allowed_without_a_restart(fenced: Fences, start: Start) -> None:
    fence = fenced.fence("shop")
    fenced.apply("shop", ProjectLimits(processes=5))
    script = "import os, time\nwhile True:\n  try:\n    if os.fork() == 0: time.sleep(60); os._exit(0)\n"
    own = worker(fence, start, script + "  except OSError: pass\n  time.sleep(0.005)")
    await until(lambda: fence.use().processes == 5)
    await asyncio.sleep(0.1)
    assert fence.use().processes == 5
    fenced.apply("shop", ProjectLimits(processes=9))
    await until(lambda: fence.use().processes == 9)
    assert own.poll() is None


async def test_a_quota_holds_what_runs_already(fenced: Fences, start: Start) -> None:
    fence = fenced.fence("shop")
    start(fence, *BURN)
    await until(lambda: (fence.use().cpu_seconds or 0) > 0.05)
    fenced.apply("shop", ProjectLimits(cpu_cores=0.1))
    await asyncio.sleep(0.3)
    began, before = time.monotonic(), fence.use().cpu_seconds  # so that a wait in between only adds time
    await asyncio.sleep(2.0)
    after, seconds = fence.use().cpu_seconds, time.monotonic() - began
    assert before is not None
    assert after is not None
    assert (after - before) / seconds < 0.1 * 1.15 + 0.1 / seconds  # and a period more at either end


async def test_without_cgroups_a_quota_is_said_not_to_be_held(told: list[Breach]) -> None:
    async with Fences.open(told.append, cgroups=False) as fences:
        (problem,) = fences.apply("shop", ProjectLimits(cpu_cores=1))
        assert "needs a cgroup" in problem
        means = {one.resource: one.means for one in fences.enforcement}
        assert set(means.values()) == {Means.WATCHDOG}
        assert len(means) == 4


async def test_use_counts_what_lives_inside(fences: Fences, start: Start) -> None:
    fence = fences.fence("shop")
    worker(
        fence,
        start,
        with_child(HOG.format(mb=60) + BUSY),
    )
    await until(lambda: (fence.use().cpu_seconds or 0) > 0.4 and (fence.use().memory_mb or 0) > 60)
    use = fence.use()
    assert use.memory_mb is not None
    assert use.processes is not None
    assert 60 < use.memory_mb < 200
    assert use.processes == 2
    assert fences.use("nobody") is None


DAEMON = (
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(60)\n"
    "    os._exit(0)\n"
)


async def test_nothing_inside_survives_the_end(fenced: Fences, start: Start) -> None:
    fence = fenced.fence("shop")
    own = start(fence, sys.executable, "-c", DAEMON + FORK.format(count=10))
    await until(lambda: (fence.use().processes or 0) >= 12)
    inside = fence._groups.members()
    await fenced.end("shop")
    assert own.wait(50) == -signal.SIGKILL
    assert not [pid for pid in inside if psutil.pid_exists(pid) and not gone(pid)]
    assert not any(path.exists() for path in fence._groups.folders)


def gone(pid: int) -> bool:
    fields = stat_fields(pid)
    return fields is None or fields[0] in ("Z", "X")


async def test_a_fence_can_be_used_after_everything_in_it_was_ended(fences: Fences, start: Start) -> None:
    fence = fences.fence("shop")
    fences.apply("shop", ProjectLimits(processes=20))
    worker(fence, start)
    await fence.kill()
    async with fence.admitting():
        again = worker(fence, start, "import os\nif os.fork(): os.wait(); print('forked')\n")
    assert await asyncio.to_thread(again.wait, 50) == 0


def crash() -> dict[str, Any]:
    with subprocess.Popen([sys.executable, str(PROGRAM)], stdout=subprocess.PIPE, text=True) as crashed:
        assert crashed.stdout is not None
        left = json.loads(crashed.stdout.readline())
        # Before it dies: from then on any Orchard that starts beside this test may remove it.
        assert groups_named(left["group"])
        assert psutil.pid_exists(left["pid"])
        crashed.kill()
    assert isinstance(left, dict)
    return left


async def test_what_a_killed_orchard_left_is_found_and_removed(
    by_cgroup: None, told: list[Breach], fenced: Fences
) -> None:
    living = fenced.fence("post")
    left = crash()
    async with Fences.open(told.append):
        assert groups_named(left["group"]) == []
        await until(lambda: gone(left["pid"]))
        assert all(path.exists() for path in living._groups.folders)  # its Orchard is this one, and lives


async def test_a_fence_that_somebody_removed_is_made_again_with_its_limits(fenced: Fences) -> None:
    fenced.apply("shop", ProjectLimits(processes=7))
    groups = fenced.fence("shop")._groups
    assert groups.remove()
    fenced.fence("shop")
    assert (groups._parts["pids"].path / "pids.max").read_text().strip() == "7"


async def test_disk_over_the_limit_is_told_once_and_ends_nothing(
    fences: Fences, told: list[Breach], start: Start, tmp_path: Path
) -> None:
    own = worker(fences.fence("shop"), start)
    fences.apply("shop", ProjectLimits(disk_mb=4))
    assert await fences.measure_disk("shop", [tmp_path]) is not None
    assert fences.over_disk("shop") is None
    (tmp_path / "big").write_bytes(b"x" * (6 << 20))
    for _ in range(2):
        await fences.measure_disk("shop", [tmp_path])
    assert [(one.resource, one.ended) for one in told] == [(Resource.DISK, 0)]
    assert str(fences.over_disk("shop")) == "shop used 6 MB of its 4 MB of disk."
    fences.apply("shop", ProjectLimits(disk_mb=8))
    assert fences.over_disk("shop") is None
    assert own.poll() is None
    assert (use := fences.use("shop"))
    assert use.disk_mb == pytest.approx(6, abs=0.2)


async def test_folders_are_measured_by_themselves(told: list[Breach], tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (3 << 20))
    async with Fences.open(told.append, disk_seconds=0.05, cgroups=False) as fences:
        fences.apply("shop", ProjectLimits(disk_mb=1))
        fences.watch_disk("shop", lambda: [tmp_path])
        await until(lambda: told)


@pytest.mark.parametrize("during_a_look", [False, True])
async def test_without_the_kernel_s_log_the_one_missing_is_named(
    fenced: Fences,
    told: list[Breach],
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    during_a_look: bool,
) -> None:
    fenced._log.close()
    fence = fenced.fence("shop")
    fenced.apply("shop", ProjectLimits(memory_mb=80))
    go_on = tmp_path / "go on"
    wait = f"import os\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)\n"
    own = worker(fence, start, with_child(HOG.format(mb=50) + wait + "kept.append(bytearray(400 << 20))"))
    await until(lambda: len(fence._big) == 2)
    kills = fence._groups.memory_kills

    def kills_before_it_went_on() -> int:
        before = kills()
        if not go_on.exists():
            go_on.touch()
            wait_until(lambda: kills() and fence._groups.members() == [own.pid])
        return before

    if during_a_look:
        monkeypatch.setattr(fence._groups, "memory_kills", kills_before_it_went_on)
    else:
        go_on.touch()
    await until(lambda: told)
    assert told[0].pid not in (None, own.pid)
    assert told[0].program.startswith("python")


async def test_what_a_dead_worker_left_is_ended_and_the_next_one_is_not(
    fenced: Fences, start: Start, tmp_path: Path
) -> None:
    fence = fenced.fence("shop")
    async with fence.admitting():
        own = worker(fence, start, with_child(DAEMON + WAIT))
    await until(lambda: (fence.use().processes or 0) >= 3)
    left = [pid for pid in fence._groups.members() if pid != own.pid]
    own.kill()
    own.wait()
    await until(lambda: all(gone(pid) for pid in left))
    await until(lambda: fence.asleep)
    assert fence._groups.members() == []
    async with fence.admitting():
        after = worker(fence, start)
    for _ in range(3):
        await fence.tidy()
    assert after.poll() is None
    assert not fence.asleep


async def test_it_is_known_what_was_above_who_was_ended(
    fences: Fences, told: list[Breach], start: Start, tmp_path: Path
) -> None:
    fence = fences.fence("shop")
    fences.apply("shop", ProjectLimits(memory_mb=120))
    go_on = tmp_path / "go on"
    wait = f"import os\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)\n"
    grow = HOG.format(mb=80) + wait + "kept.append(bytearray(400 << 20)); time.sleep(60)"
    own = worker(fence, start, with_child(with_child(grow)))
    await until(lambda: fence.near_limit and len(children(own)) == 2)
    middle, hog = children(own)
    await until(lambda: not fence.is_grouped or {middle.pid, hog.pid} <= set(fence._parents))
    go_on.touch()
    await until(lambda: told)
    assert told[0].pid == hog.pid
    assert {hog.pid, middle.pid, own.pid} <= told[0].above


async def test_limits_are_there_before_anything_enters(by_cgroup: None, told: list[Breach]) -> None:
    async with Fences.open(told.append, opened=lambda project: ProjectLimits(processes=9)) as fences:
        part = fences.fence("shop")._groups._parts["pids"]
        assert (part.path / "pids.max").read_text().strip() == "9"


async def test_a_new_project_is_measured_at_once_and_a_known_one_in_its_time(
    told: list[Breach], tmp_path: Path
) -> None:
    asked: list[str] = []

    def folders(project: str) -> Callable[[], list[Path]]:
        return lambda: [tmp_path] if asked.append(project) is None else []

    async with Fences.open(told.append, disk_seconds=3600, cgroups=False) as fences:
        for project in ("shop", "post"):
            fences.fence(project)
            for _ in range(3):
                fences.watch_disk(project, folders(project))
            await until(lambda: project in asked)  # noqa: B023
            await asyncio.sleep(0.2)
        measured = list(asked)
        fences.watch_disk("shop", folders("shop"))
        await asyncio.sleep(0.2)
    assert asked == measured
    assert asked.count("post") == 1


async def test_what_cannot_be_ended_in_one_fence_hides_no_other(
    fences: Fences, told: list[Breach], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process that waits for a network drive: it does not react to KILL for minutes."""
    stuck, other = fences.fence("stuck"), fences.fence("other")
    entered, over, end = asyncio.Event(), asyncio.Event(), stuck.kill

    async def never() -> None:
        entered.set()
        await over.wait()
        await end()

    monkeypatch.setattr(stuck, "kill", never)
    gone = worker(stuck, start)
    gone.kill()
    gone.wait()
    async with asyncio.timeout(50):
        await entered.wait()
    other.apply(ProjectLimits(memory_mb=100))
    worker(other, start, with_child(HOG.format(mb=400)))
    await until(lambda: told)
    assert {breach.project for breach in told} == {"other"}
    over.set()
    await until(lambda: stuck.asleep)


@pytest.fixture
def on_disk(not_in_memory: Path) -> Path:
    words = ["stat", "-f", "-c", "%T", not_in_memory]
    if subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "tmpfs":
        pytest.skip("files in memory are memory in use")
    return not_in_memory


async def test_files_that_the_kernel_keeps_in_its_cache_are_no_memory_in_use(
    fenced: Fences, start: Start, on_disk: Path
) -> None:
    """Else a project that reads and writes much would keep its own next agent from starting."""
    fence = fenced.fence("shop")
    fenced.apply("shop", ProjectLimits(memory_mb=1000))
    write = f"import os\nwith open({str(on_disk / 'big')!r}, 'wb') as file:\n"
    write += (
        "    for _ in range(200): file.write(bytes(1 << 20))\n    file.flush(); os.fsync(file.fileno())\n"
    )
    worker(fence, start, write + WAIT)
    await until((on_disk / "big").exists)
    await until(lambda: (fence._groups.full_memory_mb() or 0) > 190)
    await until(lambda: (fence.use().memory_mb or 1000) < 100)
