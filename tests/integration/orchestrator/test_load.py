"""The load of the first documentation, with the real store, engine and history, and real git checkouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from core.monitoring.machine import Reading
from core.scheduler.resources import Resources, total
from core.store import cycles, leases, load
from tests.bench.load import ALL, EACH, METRICS, PROJECTS, TASKS, carry, opened, plant


def idle_machine() -> Reading:
    """What the load may use is less than what there is, whatever else runs where this is tested."""
    return Reading(
        cores=16,
        load_1m=0.0,
        memory_total_mb=65536,
        memory_available_mb=60000,
        disk_total_mb=10**6,
        disk_free_mb=10**6,
    )


async def test_ten_projects_fifty_tasks_and_a_hundred_metrics(tmp_path: Path) -> None:
    checkouts = plant(tmp_path)
    async with opened(tmp_path, idle_machine) as loaded:
        await carry(loaded, checkouts, beyond=1)
        assert len(loaded.stories) == TASKS + 1
        assert len({lease.story_id for lease in loaded.claimed}) == TASKS == len(loaded.claimed)
        assert Counter(lease.project for lease in loaded.claimed) == dict.fromkeys(checkouts, 5)
        assert await loaded.store.read(leases.held) == loaded.claimed

        samples = await loaded.store.read(lambda conn: load.samples(conn, since=loaded.claimed[0].claimed_at))
        assert len(samples) == METRICS
        assert Counter(sample.project for sample in samples) == dict.fromkeys(checkouts, METRICS // PROJECTS)
        last = {sample.project: sample for sample in samples}.values()
        held = total([sample.used for sample in last])
        assert held[:4] == pytest.approx(ALL[:4])
        assert {sample.used[:4] for sample in samples} == {EACH.times(5)[:4]}
        assert all(sample.used.fits(sample.allocated) for sample in samples)
        assert total([Resources(agents=s.allocated.agents, cpu=s.allocated.cpu) for s in last]).fits(ALL)

        (left,) = await loaded.store.read(cycles.runnable)
        assert left.story_id not in {lease.story_id for lease in loaded.claimed}
        assert loaded.engine.why(left.story_id).startswith("waits: ")
