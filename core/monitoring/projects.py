"""Samples of each project from what was looked up: its trees, its stories, its counts. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from core.domain.metric import Sample
from core.monitoring.recent import Recent
from core.monitoring.trees import TreeUse
from core.store.metric_standing import ProjectStanding, Standing

WEEK_HOURS = 168
DAY_HOURS = 24
FAILED = ("gate_failures", "agent_failures")
ENDED_WELL = ("gates_passed",)
DONE, NOT_DONE = ("stories_done",), ("stories_failed",)
RECENT = (*FAILED, *ENDED_WELL, *DONE, *NOT_DONE)


def tree_samples(trees: Mapping[str, TreeUse], now: datetime) -> Iterator[Sample]:
    for project, use in trees.items():
        measured = {
            "project_cpu": use.cores,
            "project_memory": use.memory_bytes,
            "project_processes": use.processes,
        }
        yield from _of(project, measured, now, use.source)
        disk_io = {
            "project_disk_read": use.read_bytes_a_second,
            "project_disk_written": use.written_bytes_a_second,
        }
        yield from _of(project, disk_io, now, "psutil")
        yield from _of(project, {"project_disk": use.disk_bytes}, now, "disk")


def standing_samples(standing: Standing, recent: Recent, now: datetime) -> Iterator[Sample]:
    for project, own in standing.projects.items():
        yield from _of(project, _work(own), now, "store")
        shares = {
            "completion_rate": recent.share(DONE, NOT_DONE, project, now, hours=WEEK_HOURS),
            "error_rate": recent.share(FAILED, ENDED_WELL, project, now, hours=DAY_HOURS),
        }
        yield from _of(project, shares, now, "events")
    system = {
        "outbox_pending": standing.outbox_pending,
        "outbox_dead": standing.outbox_dead,
        "projects_active": standing.active,
    }
    for metric, value in system.items():
        yield Sample(metric=metric, value=value, at=now, source="store")


def _work(own: ProjectStanding) -> dict[str, float | None]:
    return {
        "agents_running": own.agents,
        "cycles_running": own.cycles,
        "stories_waiting": own.waiting,
        "queue_age": own.queue_seconds,
        "stories_blocked": own.blocked,
        "approvals_pending": own.questions,
    }


def _of(project: str, measured: Mapping[str, float | None], now: datetime, source: str) -> Iterator[Sample]:
    for metric, value in measured.items():
        if value is not None:
            labels = (("project", project),)
            yield Sample(metric=metric, value=float(value), at=now, source=source, labels=labels)
