from __future__ import annotations

import json
from datetime import UTC, datetime

from core.domain.metric import METRICS, Count, MetricKind, Sample
from core.monitoring.export.openmetrics import all_labels
from core.monitoring.export.otlp import otlp, plain

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
NANO = str(int(NOW.timestamp()) * 10**9)


READINGS = [
    Sample(metric="project_cpu", value=1.5, at=NOW, source="cgroup", labels=(("project", "shop"),)),
    Sample(metric="project_cpu", value=float("nan"), at=NOW, source="cgroup", labels=(("project", "bank"),)),
    Sample(metric="cycle_time", value=9.0, at=NOW, source="events", labels=(("project", "shop"),)),
    Sample(metric="discord_rate_limited", value=2.0, at=NOW, source="discord"),
]
TALLIES = {
    ("cycle_time", (("project", "shop"),)): Count(count=2, total=90.0, buckets={30.0: 1}),
    ("stories_done", (("project", "shop"),)): Count(count=2, total=2.0),
}


def metrics_of(body):
    (resource,) = json.loads(body)["resourceMetrics"]
    (scope,) = resource["scopeMetrics"]
    return {one["name"]: one for one in scope["metrics"]}


def test_a_gauge_a_counter_and_an_observation_are_what_otlp_calls_them():
    found = metrics_of(otlp(READINGS, TALLIES, NOW, "1"))
    shop = [{"key": "project", "value": {"stringValue": "shop"}}]
    assert found["orchard.project_cpu"]["gauge"]["dataPoints"] == [
        {"timeUnixNano": NANO, "attributes": shop, "asDouble": 1.5}
    ]
    done = found["orchard.stories_done"]["sum"]
    assert (done["aggregationTemporality"], done["isMonotonic"]) == (2, True)
    assert done["dataPoints"][0]["asDouble"] == 2.0
    assert found["orchard.cycle_time"]["unit"] == "s"
    (cycle,) = found["orchard.cycle_time"]["histogram"]["dataPoints"]
    assert (cycle["count"], cycle["sum"], cycle["attributes"]) == ("2", 90.0, shop)
    between = dict(zip((*cycle["explicitBounds"], "above"), cycle["bucketCounts"], strict=True))
    assert {at: number for at, number in between.items() if number != "0"} == {30.0: "1", "above": "1"}
    assert found["orchard.discord_rate_limited"]["sum"]["dataPoints"][0]["asDouble"] == 2.0


def test_plain_json_says_the_same_in_fewer_words():
    said = json.loads(plain(READINGS, TALLIES, NOW, "1"))
    assert (said["service"], said["at"]) == ("orchard", NOW.isoformat())
    by_name = {one["metric"]: one for one in said["samples"]}
    assert by_name["project_cpu"] == {
        "metric": "project_cpu",
        "kind": "gauge",
        "unit": "cores",
        "labels": {"project": "shop"},
        "at": NOW.isoformat(),
        "value": 1.5,
    }
    assert (by_name["cycle_time"]["count"], by_name["cycle_time"]["sum"]) == (2, 90.0)
    assert len(said["samples"]) == 4


def test_every_metric_can_be_sent():
    readings, tallies = [], {}
    for metric in METRICS.values():
        for labels in all_labels(metric, ("shop",)):
            if metric.kind is MetricKind.GAUGE:
                readings.append(Sample(metric=metric.name, value=1.0, at=NOW, source="x", labels=labels))
            else:
                tallies[metric.name, labels] = Count(count=1, total=1.0)
    assert metrics_of(otlp(readings, tallies, NOW, "1")).keys() == {f"orchard.{name}" for name in METRICS}
