"""A project's settings as the scheduler counts with them."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, tzinfo

from config.settings import ProjectSettings, WorkHours
from core.orchestrator.scheduling.demand import Terms, terms_of
from core.scheduler.workhours import Hours


def project_terms(name: str, settings: ProjectSettings) -> Terms:
    return terms_of(
        name,
        settings.resource_limits,
        tier=settings.priority,
        hours=hours_of(settings.work_hours),
        shared=settings.shared_resources,
    )


def hours_of(settings: WorkHours | None) -> Hours | None:
    """The settings' hours; None: around the clock."""
    if settings is None:
        return None
    # UTC is known also where there is no time zone data.
    zone: tzinfo = UTC if settings.timezone == "UTC" else zoneinfo.ZoneInfo(settings.timezone)
    return Hours.named(start=settings.start, end=settings.end, days=settings.days, zone=zone)
