"""What is measured of a story's whole way, by a running Orchard."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import Phase

SHOP = (("project", "calc"),)


@pytest.mark.timeout(150)
async def test_a_storys_way_is_measured_once(quick_farm: Any) -> None:
    quick_farm.add("calc")
    quick_farm.settings = {"budgets": {"project": {"turns": 10}}}
    async with quick_farm.running() as orchard:
        monitoring = orchard.runtime.monitoring
        await orchard.sprint("calc", "Multiply")
        at_work = asyncio.create_task(_seen_at_work(monitoring))
        ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
        assert ended.kind is EventKind.STORY_MERGED, ended.data
        async with asyncio.timeout(50):
            while monitoring.readings.value("stories_done", project="calc") != 1:
                await monitoring.look()
                await asyncio.sleep(0.1)
        busy = await at_work
        figures = await monitoring._sources.figures.look()
        monitoring._seen.figures_at = float("-inf")  # as a minute later
        await monitoring.look()
        health = monitoring.readings.value("project_health", project="calc")
        counts, troubles = monitoring.counts, monitoring.troubles
        events = await orchard.runtime.commands.events(after=0, limit=1000)
    async with quick_farm.running() as again:
        await again.runtime.monitoring.look()
        recounted = again.runtime.monitoring.counts

    passed = {phase.value: counts["gates_passed", (*SHOP, ("phase", phase.value))].total for phase in Phase}
    took = {
        phase.value: counts["phase_duration", (*SHOP, ("phase", phase.value))].count
        for phase in Phase
        if ("phase_duration", (*SHOP, ("phase", phase.value))) in counts
    }
    started = [event for event in events if event.kind is EventKind.PHASE_STARTED]
    assert troubles == ()
    assert passed == {phase.value: 1 for phase in Phase}
    assert took == {phase.value: 1 for phase in Phase}
    assert counts["queue_time", SHOP].count == len(started)
    assert counts["cycle_time", SHOP].count == 1
    assert 0 < counts["cycle_time", SHOP].total < 300
    assert counts["test_duration", SHOP].count >= 1
    assert figures.projects["calc"].budget_used == 0.3  # of ten turns: red, green, refactor
    assert figures.system_health is not None
    assert health is not None
    assert busy["project_processes"] >= 1
    assert busy["project_memory"] > 1 << 20
    assert {series: recounted[series] for series in counts} == counts  # nothing twice after a restart


async def _seen_at_work(monitoring: Any) -> dict[str, float]:
    """What was seen of its processes while they were there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        await monitoring.look()
        found = {one.metric: one.value for one in monitoring.readings.latest(project="calc")}
        if "project_processes" in found and "cycles_running" in found and found["cycles_running"] == 1:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("its processes were never seen")
