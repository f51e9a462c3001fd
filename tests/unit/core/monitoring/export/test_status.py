from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.domain.metric import METRICS, Count, Sample
from core.monitoring.export import status
from core.monitoring.export.status import HEALTH, PERFORMANCE, status_documents

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def read(metric, value, project=None):
    labels = () if project is None else (("project", project),)
    return Sample(metric=metric, value=value, at=NOW, source="x", labels=labels)


def test_without_data_nothing_is_made_up():
    made = status_documents([], {}, ("shop",), (), NOW)
    assert made[HEALTH]["status"] == "unknown"
    assert made[HEALTH]["system_health_score"] is None
    assert set(made[PERFORMANCE]["projects"]["shop"].values()) == {None}
    assert made[PERFORMANCE]["average_cycle_time_hours"] is None


def test_the_performance_has_the_fields_that_people_know():
    tallies = {
        ("cycle_time", (("project", "shop"),)): Count(count=1, total=3600.0),
        ("cycle_time", (("project", "bank"),)): Count(count=1, total=10800.0),
        ("stories_done", (("project", "shop"),)): Count(count=1, total=1.0),
        ("stories_done", (("project", "bank"),)): Count(count=1, total=1.0),
    }
    readings = [
        read("resource_efficiency", 0.87),
        read("system_health", 0.92),
        read("project_cpu", 2.0, "shop"),
    ]
    made = status_documents(readings, tallies, ("shop",), (), NOW)[PERFORMANCE]
    assert made["resource_efficiency"] == 0.87
    assert made["average_cycle_time_hours"] == 2.0
    assert made["total_stories_completed"] == 2
    assert made["system_health_score"] == 0.92
    assert made["projects"] == {"shop": made["projects"]["shop"]}
    assert made["projects"]["shop"]["cpu_cores"] == 2.0


@pytest.mark.parametrize(("score", "word"), [(0.9, "healthy"), (0.6, "degraded"), (0.1, "unhealthy")])
def test_a_score_has_a_word(score, word):
    assert status_documents([read("system_health", score)], {}, (), (), NOW)[HEALTH]["status"] == word


def test_all_that_it_shows_is_measured():
    assert {
        *status._MACHINE.values(),
        *status._ORCHARD.values(),
        *status._OF_A_PROJECT.values(),
    } <= METRICS.keys()
