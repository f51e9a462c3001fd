"""The four figures as people ask for them; what runs is told by plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from core.orchestrator.commands import Commands, Engine
from core.orchestrator.resource_views import Metrics, ResourcesView, ResourceView
from core.orchestrator.views import WorkerView
from core.scheduler.resources import Resource, Resources
from core.store import load
from core.store.load import Sample


@dataclass
class Running:
    """What the figures ask of a running Orchard."""

    workers: Mapping[str, str]
    used: Mapping[Resource, float | None]

    def worker_view(self, project: str) -> WorkerView:
        return WorkerView(state=self.workers.get(project, "stopped"))

    async def resources(self) -> ResourcesView:
        total = tuple(
            ResourceView(resource=name, unit="MB", used=used, reserved=0, allocated=None, limit=limit)
            for name, used in self.used.items()
            for limit in (1000.0,)
        )
        return ResourcesView(
            at=datetime.now(UTC),
            strategy="fair_share",
            total=total,
            projects=(),
            locks=(),
            enforcement=(),
            problems=(),
        )


def beside(commands: Commands, running: Running) -> Commands:
    return Commands(commands._store, commands._registry, cast(Engine, running))


async def sprint(commands: Commands, *titles: str) -> list[str]:
    added = [
        await commands.add_story("shop", title, acceptance_criteria=("it works",), actor="cli")
        for title in titles
    ]
    await commands.plan_sprint("shop", actor="cli")
    await commands.start_sprint("shop", actor="cli")
    return [story.id for story in added]


async def ended(commands: Commands, story_id: str, state: str, hours: float, days_ago: float = 0) -> None:
    """As if its cycle had begun so long before its end."""
    end = datetime.now(UTC) - timedelta(days=days_ago)
    begun = end - timedelta(hours=hours)
    await commands._store.write(
        lambda tx: (
            tx.conn.execute(
                "UPDATE cycles SET state = ?, started_at = ?, updated_at = ? WHERE story_id = ?",
                (
                    state,
                    begun.isoformat(timespec="microseconds"),
                    end.isoformat(timespec="microseconds"),
                    story_id,
                ),
            ).rowcount
        )
    )
    if state == "done":
        await commands._store.write(
            lambda tx: tx.conn.execute("UPDATE stories SET state = 'done' WHERE id = ?", (story_id,)).rowcount
        )


async def test_an_orchard_without_projects_has_no_data(orchard: Commands) -> None:
    assert await orchard.metrics() == Metrics(
        resource_efficiency=None,
        average_cycle_time_hours=None,
        total_stories_completed=None,
        system_health_score=None,
    )


async def test_the_figures_of_work_that_was_done(started: Commands) -> None:
    one, two, three, _ = await sprint(started, "One", "Two", "Three", "Four")
    await ended(started, one, "done", 2)
    await ended(started, two, "done", 3)
    await ended(started, three, "aborted", 50)
    sample = Sample(
        project="shop",
        at=datetime.now(UTC) - timedelta(minutes=1),
        seconds=300,
        used=Resources(agents=3),
        measured=None,
        allocated=Resources(agents=4),
        waiting=0,
    )
    await started._store.write(lambda tx: load.add(tx, [sample]))
    found = await started.metrics()
    assert found.resource_efficiency == pytest.approx(0.75)
    assert found.average_cycle_time_hours == pytest.approx(2.5)
    assert found.total_stories_completed == 2
    assert found.parts == pytest.approx({"flow": 1.0, "outcomes": 2 / 3})
    assert found.system_health_score == pytest.approx((5 / 6 + 2 / 3) / 2)


async def test_outcomes_of_two_months_ago_say_nothing_of_the_health(started: Commands) -> None:
    one, two = await sprint(started, "One", "Two")
    await ended(started, one, "aborted", 1, days_ago=31)
    await ended(started, two, "done", 1, days_ago=29)
    found = await started.metrics()
    assert found.parts["outcomes"] == 1
    assert found.total_stories_completed == 1


async def test_a_blocked_story_is_part_of_the_flow(started: Commands) -> None:
    one, *_ = await sprint(started, "One", "Two", "Three", "Four")
    await started._store.write(
        lambda tx: (
            tx.conn.execute(
                "UPDATE cycles SET blocked_reason = 'out of retries' WHERE story_id = ?", (one,)
            ).rowcount
        )
    )
    assert (await started.metrics()).parts == {"flow": 0.75}


@pytest.mark.parametrize(
    ("states", "part"),
    [
        ({"shop": "running", "post": "quarantined"}, 0.5),
        ({"shop": "running", "post": "backing off"}, 0.5),
        ({"shop": "running", "post": "stopped"}, 1.0),  # it has no work
        ({"shop": "running", "post": "starting"}, 1.0),
        ({"shop": "stopped", "post": "stopped"}, None),
    ],
)
async def test_workers_that_should_live_and_do(
    register: Callable[[str], Any], states: Mapping[str, str], part: float | None
) -> None:
    await register("shop")
    orchard = await register("post")
    found = await beside(orchard, Running(states, {})).metrics()
    assert found.parts.get("workers") == part


async def test_a_stopped_project_wants_no_worker(started: Commands) -> None:
    await started.stop_project("shop", actor="cli")
    found = await beside(started, Running({"shop": "quarantined"}, {})).metrics()
    assert "workers" not in found.parts


async def test_memory_and_disk_of_the_limits(started: Commands) -> None:
    used = {Resource.MEMORY_MB: 900.0, Resource.DISK_MB: 100.0, Resource.AGENTS: 1000.0}
    found = await beside(started, Running({}, used)).metrics()
    assert found.parts == pytest.approx({"memory": 0.5, "disk": 1.0})
    unknown = await beside(started, Running({}, {Resource.MEMORY_MB: None})).metrics()
    assert unknown.parts == {}
