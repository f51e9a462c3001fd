"""The four figures of how well all projects do."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.domain.lifecycles import ProjectStatus
from core.orchestrator import overview
from core.orchestrator.commands.topic import Engine, Topic
from core.orchestrator.resource_views import Metrics, ResourcesView
from core.scheduler import metrics
from core.scheduler.metrics import CycleFact, HealthFacts, Use
from core.scheduler.resources import Resource
from core.store import figures, projects

_EFFICIENCY_SPAN = timedelta(hours=24)
_OUTCOMES_SPAN = timedelta(days=30)
# WorkerView.state; its enum lives with all that runs workers, which a command line should not wait for.
_ALIVE, _LOST = "running", ("backing off", "quarantined")


class Figures(Topic):
    async def metrics(self) -> Metrics:
        """resource_efficiency of the last 24 hours, average_cycle_time_hours and total_stories_completed
        since Orchard's first story, system_health_score of now and the last 30 days' outcomes.

        Beside no running Orchard the health is made of what the store knows.
        """
        now = datetime.now(UTC)
        found, cycles, used, active = await self._store.read(lambda conn: _look(conn, now))
        if self._engine is not None:
            found = _with_workers(found, self._engine, active)
            found = _with_limits(found, await self._engine.resources())
        return Metrics(
            resource_efficiency=metrics.resource_efficiency(used),
            average_cycle_time_hours=metrics.average_cycle_time_hours(cycles),
            total_stories_completed=metrics.total_stories_completed(cycles),
            system_health_score=metrics.system_health_score(found),
            parts=metrics.health_parts(found),
        )


def _look(
    conn: sqlite3.Connection, now: datetime
) -> tuple[HealthFacts, Sequence[CycleFact], Sequence[Use], tuple[str, ...]]:
    every = figures.cycle_facts(conn)
    recent = [c for c in every if c.finished_at is not None and c.finished_at >= now - _OUTCOMES_SPAN]
    done = sum(cycle.done for cycle in recent)
    tallies = overview.tallies(conn).values()
    blocked = sum(tally["blocked"] for tally in tallies)
    found = HealthFacts(
        stories_open=blocked + sum(tally["running"] + tally["waiting"] for tally in tallies),
        stories_blocked=blocked,
        cycles_done=done,
        cycles_aborted=len(recent) - done,
    )
    used = figures.uses(conn, since=now - _EFFICIENCY_SPAN, until=now)
    active = tuple(one.name for one in projects.every(conn) if one.status is ProjectStatus.ACTIVE)
    return found, every, used, active


def _with_workers(found: HealthFacts, engine: Engine, active: Sequence[str]) -> HealthFacts:
    """A project without work has no worker, and that is as it should be."""
    states = [engine.worker_view(name).state for name in active]
    alive = states.count(_ALIVE)  # one that starts is neither alive nor lost
    return replace(found, workers_alive=alive, workers_wanted=alive + sum(state in _LOST for state in states))


def _with_limits(found: HealthFacts, view: ResourcesView) -> HealthFacts:
    shares = {
        one.resource: one.used / one.limit
        for one in view.total
        if one.used is not None and one.limit is not None and one.limit > 0
    }
    return replace(
        found,
        memory_used_share=shares.get(Resource.MEMORY_MB),
        disk_used_share=shares.get(Resource.DISK_MB),
    )
