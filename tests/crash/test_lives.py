"""Starts and ends of the control plane and its workers that are not as planned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.bus import Bus
from core.isolation.contain import stat_fields
from core.orchestrator.control import socket_path
from core.orchestrator.recovery import recover
from core.store import processes
from core.store.database import Store

pytestmark = pytest.mark.timeout(600)

HANG: dict[str, Any] = {"hang": {"ignore": []}}
DEAF: dict[str, Any] = {"hang": {"ignore": ["cancel", "eof", "term"]}}


@pytest.fixture
def hanging(play_honestly: Callable[[], dict[str, list[Any]]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A script whose agents do half of code_green and then hang."""

    def script(hang: dict[str, Any]) -> dict[str, Any]:
        half = {"write": {"path": "half.py", "text": "# half\n"}}
        return {"*": {**play_honestly(), "code_green": [half, hang]}}

    return script


def test_killed_while_it_starts_it_starts_again(orchard, play_honestly):
    orchard.add("shop")
    orchard.play({"*": play_honestly()})
    names = ("orchard.lock", "orchard.db", "logs/template.log")
    for there in (*(orchard.state / name for name in names), socket_path(orchard.state)):
        orchard.spawn()
        orchard.wait_until(there.exists, str(there))
        orchard.kill()
    orchard.start()
    orchard.sprint("shop")
    orchard.wait_for_event("phase_started", "shop-1")
    orchard.terminate()
    orchard.wait_until_nothing_is_left()
    assert len(orchard.events("project_registered")) == 1


def test_a_stop_in_the_middle_of_turns_leaves_nothing(orchard, hanging, play_honestly, git):
    checkouts = {name: orchard.add(name) for name in ("polite", "deaf")}
    orchard.play({"polite": hanging(HANG)["*"], "deaf": hanging(DEAF)["*"]})
    orchard.start()
    orchard.sprint(*checkouts)
    for name in checkouts:
        orchard.wait_until(lambda name=name: orchard.agent_hangs(name), f"the {name} agent hangs")
    orchard.terminate()
    orchard.wait_until_nothing_is_left()
    assert orchard.rows("SELECT * FROM leases WHERE released_at IS NULL") == []
    assert orchard.rows("SELECT * FROM processes") == []
    attempts = [row["attempt"] for row in orchard.rows("SELECT attempt FROM cycles")]
    assert attempts == [1, 1]  # stopping it is not its fault
    orchard.play({"*": play_honestly()})
    orchard.start()
    for name, checkout in checkouts.items():
        orchard.wait_for_event("story_merged", f"{name}-1")
        assert git(checkout, "show", f"refs/orchard/salvage/{name}-1/1:half.py") == "# half"
    orchard.terminate()


def test_a_stop_while_a_worker_starts_ends_at_once(orchard, hanging):
    orchard.add("shop")
    orchard.play(hanging(HANG))
    orchard.start()
    orchard.sprint("shop")
    orchard.wait_until(
        lambda: list((orchard.state / "logs").glob("worker-shop.log")), "the worker is being started"
    )
    orchard.terminate()
    orchard.wait_until_nothing_is_left()
    assert orchard.rows("SELECT * FROM leases WHERE released_at IS NULL") == []


def test_a_worker_that_crashes_in_a_loop_rests_until_somebody_starts_it(orchard, play_honestly, hanging):
    orchard.times = {"first_back_off": 0.05, "crashes_to_quarantine": 3, "quarantine": 3600}
    orchard.add("shop")
    orchard.play(hanging(HANG))
    orchard.start()
    orchard.sprint("shop")
    for number in range(1, 4):
        orchard.wait_until(lambda n=number: len(orchard.events("worker_started")) == n, "a worker starts")
        orchard.wait_until(
            lambda n=number: len(orchard.events("phase_started", "shop-1")) >= n, "it is given work"
        )
        os.kill(orchard.events("worker_started")[-1]["pid"], signal.SIGKILL)
    orchard.wait_for_event("worker_quarantined")
    assert orchard.events("worker_quarantined")[0]["restarts"] == 3
    view = orchard.ask(lambda commands: commands.project("shop"))
    assert view.worker.state == "quarantined"
    assert "start" in view.worker.detail
    assert len(orchard.events("worker_started")) == 3
    orchard.play({"*": play_honestly()})
    orchard.ask(lambda commands: commands.start_project("shop", actor="cli"))
    orchard.wait_for_event("story_merged", "shop-1")
    orchard.terminate()
    orchard.wait_until_nothing_is_left()


# --- processes of an earlier run


class FixedClock:
    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child of its own."""
    code = "import subprocess; subprocess.run(['sleep', '600'])"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        yield process
        if process.poll() is None:
            for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children()]:
                each.kill()


def ticks_of(pid: int) -> int:
    fields = stat_fields(pid)
    assert fields is not None
    return int(fields[19])


async def recovered(path: Path, child: Any, *, ticks: int, at: datetime) -> tuple[int, int]:
    """How many were ended, how many are still registered."""
    async with Store.open(path / "orchard.db", clock=FixedClock(at), bus=Bus()) as store:
        await store.write(
            lambda tx: processes.started(
                tx, pid=child.pid, start_ticks=ticks, group=child.pid, kind="agent", argv=("agent",)
            )
        )
        ended = await recover(store)
        return ended, len(await store.read(processes.every))


async def test_what_an_earlier_run_left_is_ended_with_its_children(tmp_path, child, orchard):
    family = orchard.wait_until(psutil.Process(child.pid).children, "it has a child")
    now = datetime.now(UTC)
    assert await recovered(tmp_path, child, ticks=ticks_of(child.pid), at=now) == (1, 0)
    assert child.poll() is not None
    orchard.wait_until(lambda: not any(one.is_running() for one in family), "its child ends")


async def test_a_pid_that_somebody_else_has_now_is_left_alone(tmp_path, child):
    now = datetime.now(UTC)
    assert await recovered(tmp_path, child, ticks=ticks_of(child.pid) - 1, at=now) == (0, 0)
    assert child.poll() is None


async def test_a_pid_and_start_time_from_before_the_boot_are_nobodys(tmp_path, child):
    before = datetime.fromtimestamp(psutil.boot_time(), UTC) - timedelta(seconds=1)
    assert await recovered(tmp_path, child, ticks=ticks_of(child.pid), at=before) == (0, 0)
    assert child.poll() is None
