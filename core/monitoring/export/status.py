"""What stands in status/system-health.json and status/performance-metrics.json. PURE. null is "no data"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.domain.metric import Count, Sample, Series

HEALTH, PERFORMANCE = "system-health.json", "performance-metrics.json"
_SOUND, _WEAK = 0.8, 0.5  # of the health: healthy from there on, unhealthy below
_MACHINE = {
    "cpu": "machine_cpu",
    "load": "machine_load",
    "memory_available_bytes": "machine_memory_available",
    "disk_free_bytes": "machine_disk_free",
}
_ORCHARD = {
    "cpu_cores": "control_cpu",
    "memory_bytes": "control_memory",
    "loop_lag_seconds": "loop_lag",
    "store_latency_seconds": "store_latency",
    "store_bytes": "store_size",
    "posts_waiting": "outbox_pending",
    "posts_given_up": "outbox_dead",
}
_OF_A_PROJECT = {
    "health": "project_health",
    "cpu_cores": "project_cpu",
    "memory_bytes": "project_memory",
    "agents": "agents_running",
    "stories_waiting": "stories_waiting",
    "stories_blocked": "stories_blocked",
    "completion_rate": "completion_rate",
    "error_rate": "error_rate",
}


def status_documents(
    readings: Iterable[Sample],
    tallies: Mapping[Series, Count],
    projects: Sequence[str],
    troubles: Sequence[str],
    now: datetime,
) -> dict[str, dict[str, Any]]:
    """By the file's name. The performance's fields are those that people know from before Orchard."""
    system: dict[str, float] = {}
    of_projects: dict[str, dict[str, float]] = {name: {} for name in projects}
    for sample in readings:
        found = system if sample.project is None else of_projects.get(sample.project)
        if found is not None and math.isfinite(sample.value) and len(sample.labels) <= 1:
            found[sample.metric] = sample.value
    score = system.get("system_health")
    health = {
        "updated_at": now.isoformat(),
        "status": _word(score),
        "system_health_score": score,
        "projects": {"registered": len(projects), "active": system.get("projects_active")},
        "machine": _picked(system, _MACHINE),
        "orchard": _picked(system, _ORCHARD),
        "troubles": list(troubles),
    }
    cycles, seconds = _sum("cycle_time", tallies)
    performance = {
        "updated_at": now.isoformat(),
        "resource_efficiency": system.get("resource_efficiency"),
        "average_cycle_time_hours": seconds / cycles / 3600 if cycles else None,
        "cross_project_insights": None,
        "total_stories_completed": round(_sum("stories_done", tallies)[1]),
        "system_health_score": score,
        "projects": {name: _picked(found, _OF_A_PROJECT) for name, found in of_projects.items()},
    }
    return {HEALTH: health, PERFORMANCE: performance}


def _word(score: float | None) -> str:
    if score is None:
        return "unknown"
    return "healthy" if score >= _SOUND else "degraded" if score >= _WEAK else "unhealthy"


def _picked(found: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float | None]:
    return {said: found.get(metric) for said, metric in names.items()}


def _sum(metric: str, tallies: Mapping[Series, Count]) -> tuple[int, float]:
    found = [tally for (name, _), tally in tallies.items() if name == metric]
    return sum(one.count for one in found), sum(one.total for one in found)
