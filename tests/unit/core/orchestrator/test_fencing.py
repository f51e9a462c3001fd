"""Projects' settings around live processes, and what is measured of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.settings import ProjectSettings
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import Event, EventKind
from core.errors import Unavailable
from core.isolation import contain
from core.isolation.contain import stat_fields
from core.isolation.limits import ProjectLimits
from core.orchestrator.fencing import Fencing, end_trees, limits_of
from core.store import events
from core.store.database import Store
from core.store.processes import ProcessRow
from tests.waiting import until


class Shop:
    """The settings of one project, to be changed; None: they cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.limits: dict[str, Any] | None = {}

    def settings(self, name: str) -> ProjectSettings:
        if name != "shop" or self.limits is None:
            raise Unavailable(f"{name} has no settings.")
        return ProjectSettings(name=name, path=str(self._path), resource_limits=self.limits)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@asynccontextmanager
async def opened(
    shop: Shop, folder: Path, *, cgroups: bool = False, **seconds: float
) -> AsyncIterator[tuple[Fencing, Store]]:
    async with (
        Store.open(folder / "orchard.db", clock=SystemClock(), bus=Bus()) as store,
        Fencing.open(store, shop.settings, folder, cgroups=cgroups, **seconds) as fencing,
    ):
        yield fencing, store


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def ticks(pid: int) -> int:
    fields = stat_fields(pid)
    assert fields is not None
    return int(fields[19])


def test_settings_become_limits(tmp_path: Path, shop: Shop) -> None:
    assert limits_of(shop.settings("shop")) == ProjectLimits(
        memory_mb=4096, cpu_weight=1, cpu_cores=None, processes=4096, disk_mb=10240
    )
    shop.limits = {"max_memory_mb": 512, "cpu_priority": 0.001, "max_cpu_cores": 1.5, "max_disk_mb": 9}
    found = limits_of(shop.settings("shop"))
    assert (found.memory_mb, found.cpu_weight, found.cpu_cores, found.disk_mb) == (512, 0.01, 1.5, 9)


@pytest.mark.parametrize("cgroups", [True, False], ids=["cgroups", "watchdog"])
async def test_new_settings_are_around_what_lives(shop: Shop, tmp_path: Path, *, cgroups: bool) -> None:
    async with opened(shop, tmp_path, cgroups=cgroups) as (fencing, _):
        assert len(fencing.enforcement) == 4
        fence = fencing.fences.fence("shop")
        assert fence.limits == limits_of(shop.settings("shop"))
        await until(lambda: fencing._applied)
        shop.limits = {"max_memory_mb": 512, "cpu_priority": 3}
        await until(lambda: fence.limits.memory_mb == 512)  # by itself
        assert fence.limits.cpu_weight == 3
        shop.limits = None  # they cannot be used now: nothing changes
        fencing.apply()
        assert fence.limits.memory_mb == 512
        with pytest.raises(Unavailable):
            fencing.fences.fence("other")


async def test_a_limit_that_is_not_held_here_is_a_problem(shop: Shop, tmp_path: Path) -> None:
    async with opened(shop, tmp_path) as (fencing, _):
        fencing.fences.fence("shop")
        shop.limits = {"max_cpu_cores": 1}
        fencing.apply()
        assert "needs a cgroup" in fencing.problems("shop")[0]
        shop.limits = {}
        fencing.apply()
        assert fencing.problems("shop") == fencing.problems("other") == ()


async def test_use_is_measured_a_second_at_a_time(
    shop: Shop, tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.orchestrator.fencing._FRESH_SECONDS", 3600.0)  # however busy the machine
    async with opened(shop, tmp_path) as (fencing, _):
        assert fencing.measured("shop") is None
        fencing.fences.fence("shop").admit(sleeper.pid, ticks(sleeper.pid))
        use = fencing.measured("shop")
        assert use is not None
        assert use.processes == 1
        assert fencing.measured("shop") is use


async def test_a_project_over_its_disk_is_barred_until_there_is_room(shop: Shop, tmp_path: Path) -> None:
    shop.limits = {"max_disk_mb": 3}
    big = tmp_path / "worktrees" / "shop" / "big"
    big.parent.mkdir(parents=True)
    big.write_bytes(b"x" * (5 << 20))
    (tmp_path / "worktrees" / "post").mkdir()
    async with opened(shop, tmp_path, disk_seconds=0.1) as (fencing, store):
        assert fencing.over_disk("shop") == ""
        fencing.fences.fence("shop")
        await until(lambda: fencing.over_disk("shop"))
        assert "shop takes 5 MB of its 3 MB of disk" in fencing.over_disk("shop")
        assert fencing.over_disk("post") == ""
        told: tuple[Event, ...] = ()
        while not told:
            told = await store.read(lambda conn: events.since(conn, after=0, limit=10))
        (event,) = told
        assert (event.kind, event.project) == (EventKind.LIMIT_BREACHED, "shop")
        assert (event.data["resource"], event.data["ended"]) == ("disk", 0)
        big.unlink()
        await until(lambda: not fencing.over_disk("shop"))


def row(pid: int, start_ticks: int) -> ProcessRow:
    return ProcessRow(
        pid=pid,
        start_ticks=start_ticks,
        group=pid,
        kind="agent",
        project="shop",
        story_id="shop-1",
        argv=("agent",),
        started_at=datetime.now(UTC),
    )


def test_an_agent_is_ended_by_identity_with_all_that_it_started(
    sleeper: subprocess.Popen[bytes],
) -> None:
    keeper = [sys.executable, "-I", "-S", contain.__file__, "--", "sh", "-c", "sleep 60 & echo $!; wait"]
    with subprocess.Popen(keeper, stdout=subprocess.PIPE, start_new_session=True) as kept:
        assert kept.stdout is not None
        child = int(kept.stdout.readline())
        end_trees([row(kept.pid, ticks(kept.pid)), row(sleeper.pid, ticks(sleeper.pid) - 1)])
        assert kept.wait(20) == 128 + signal.SIGKILL  # its program's code
    assert (fields := stat_fields(child)) is None or fields[0] in ("Z", "X")
    assert sleeper.poll() is None  # its number was another's
