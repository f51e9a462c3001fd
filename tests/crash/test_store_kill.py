"""SIGKILL of a writing process at random moments: what was acknowledged is there, and nothing is half."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import CycleState
from core.store import cycles, events, leases, outbox
from core.store.database import Store

WRITER = Path(__file__).with_name("store_writer.py")
ORDER = list(CycleState)
SECONDS = 120.0  # for a start and some lines, on a busy machine
ROUNDS = 10


def written_until_killed(path: Path, after_lines: int, seconds: float) -> list[str]:
    """What the child acknowledged: killed so many seconds after its n-th line."""
    with subprocess.Popen(
        [sys.executable, "-P", str(WRITER), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(WRITER.parents[2])},
        text=True,
    ) as child:
        assert child.stdout is not None
        lines: list[str] = []
        far_enough = threading.Event()

        def read() -> None:
            assert child.stdout is not None
            for line in child.stdout:
                lines.append(line)
                if len(lines) >= after_lines:
                    far_enough.set()
            far_enough.set()  # it ended by itself: the assertion below says so

        reading = threading.Thread(target=read)
        reading.start()
        far_enough.wait(SECONDS)
        time.sleep(seconds)
        alive = child.poll() is None
        child.kill()
        reading.join(SECONDS)
        assert child.stderr is not None
        assert alive, child.stderr.read()
        assert len(lines) >= after_lines
        return lines


def check(conn: sqlite3.Connection, acknowledged: dict[str, CycleState]) -> int:
    assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    there = {cycle.story_id: cycle for cycle in cycles.of_project(conn)}
    for story, state in acknowledged.items():
        assert ORDER.index(there[story].state) >= ORDER.index(state), f"{story} lost its {state}"
    told: dict[str, list[str]] = {}
    for event in events.since(conn, 0, limit=1_000_000):
        assert event.story_id is not None
        if event.kind is EventKind.STORY_ADDED:
            assert event.story_id not in told
            told[event.story_id] = []
        else:
            told[event.story_id].append(str(event.data["to"]))
    assert told.keys() == there.keys()
    for story, cycle in there.items():  # each event has its change and each change its event
        assert told[story] == ORDER[1 : ORDER.index(cycle.state) + 1]
        assert cycle.generation == len(told[story])
    assert leases.held(conn) == ()
    assert outbox.counts(conn)["pending"] == sum(map(len, told.values()))
    return len(there)


@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_and_nothing_is_half(tmp_path: Path) -> None:
    path = tmp_path / "orchard.db"
    chance = random.Random()
    acknowledged: dict[str, CycleState] = {}
    sizes = [0]
    for _ in range(ROUNDS):
        moment = chance.randint(1, 300), chance.uniform(0, 0.1)
        for line in written_until_killed(path, *moment):
            story, state = line.split()
            acknowledged[story] = CycleState(state)
        async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
            sizes.append(await store.read(lambda conn: check(conn, acknowledged)))
        assert sizes[-1] > sizes[-2]
