"""What is sent to external_metrics_endpoint: OTLP as JSON, or plain JSON. PURE.

OTLP: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding; 64-bit integers are texts there, and
the units are UCUM's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from core.domain.metric import BOUNDS, METRICS, Count, Labels, Metric, MetricKind, Sample, Series, Unit
from core.monitoring.export.openmetrics import cumulated

_UNITS = {
    Unit.NONE: "1",
    Unit.SECONDS: "s",
    Unit.BYTES: "By",
    Unit.CORES: "{core}",
    Unit.RATIO: "1",
    Unit.DOLLARS: "{dollar}",
    Unit.TOKENS: "{token}",
}
_CUMULATIVE = 2  # AggregationTemporality


def otlp(readings: Iterable[Sample], tallies: Mapping[Series, Count], now: datetime, version: str) -> bytes:
    """An ExportMetricsServiceRequest. Gauges as they were read last, counters and observations since the
    store was made."""
    by_metric = _by_metric(readings, tallies)
    scope = {
        "scope": {"name": "orchard", "version": version},
        "metrics": [_metric(METRICS[name], found, now) for name, found in by_metric.items()],
    }
    service = [_attribute("service.name", "orchard"), _attribute("service.version", version)]
    said = {"resourceMetrics": [{"resource": {"attributes": service}, "scopeMetrics": [scope]}]}
    return json.dumps(said, separators=(",", ":")).encode()


def plain(readings: Iterable[Sample], tallies: Mapping[Series, Count], now: datetime, version: str) -> bytes:
    """`{"service", "version", "at", "samples": [{"metric", "kind", "unit", "labels", "at", "value"}]}`; of an
    observation `count` and `sum` in the place of `value`."""
    samples = []
    for name, found in _by_metric(readings, tallies).items():
        metric = METRICS[name]
        head = {"metric": name, "kind": metric.kind.value, "unit": metric.unit.value}
        for labels, one in found.items():
            at = one.at if isinstance(one, Sample) else now
            samples.append(
                {**head, "labels": dict(labels), "at": at.isoformat(), **_plain_value(metric, one)}
            )
    said = {"service": "orchard", "version": version, "at": now.isoformat(), "samples": samples}
    return json.dumps(said, separators=(",", ":")).encode()


def _by_metric(
    readings: Iterable[Sample], tallies: Mapping[Series, Count]
) -> dict[str, dict[Labels, Sample | Count]]:
    """Of each series what is sent; an observation has no reading, a counter one if nobody counts it."""
    found: dict[str, dict[Labels, Sample | Count]] = {}
    for sample in readings:
        if METRICS[sample.metric].kind is not MetricKind.OBSERVATION and math.isfinite(sample.value):
            found.setdefault(sample.metric, {})[sample.labels] = sample
    for (name, labels), tally in tallies.items():
        if name in METRICS:
            found.setdefault(name, {})[labels] = tally
    return found


def _plain_value(metric: Metric, one: Sample | Count) -> dict[str, float]:
    if isinstance(one, Sample):
        return {"value": one.value}
    if metric.kind is MetricKind.OBSERVATION:
        return {"count": one.count, "sum": one.total}
    return {"value": one.total}


def _metric(metric: Metric, found: Mapping[Labels, Sample | Count], now: datetime) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": f"orchard.{metric.name}",
        "description": metric.help,
        "unit": _UNITS[metric.unit],
    }
    points = [_point(metric, labels, one, now) for labels, one in found.items()]
    if metric.kind is MetricKind.GAUGE:
        said["gauge"] = {"dataPoints": points}
    elif metric.kind is MetricKind.COUNTER:
        said["sum"] = {"aggregationTemporality": _CUMULATIVE, "isMonotonic": True, "dataPoints": points}
    else:
        said["histogram"] = {"aggregationTemporality": _CUMULATIVE, "dataPoints": points}
    return said


def _point(metric: Metric, labels: Labels, one: Sample | Count, now: datetime) -> dict[str, Any]:
    at = one.at if isinstance(one, Sample) else now
    said: dict[str, Any] = {
        "timeUnixNano": str(int(at.timestamp() * 1_000_000) * 1000),
        "attributes": [_attribute(name, value) for name, value in labels],
    }
    if isinstance(one, Sample):
        said["asDouble"] = one.value
    elif metric.kind is MetricKind.OBSERVATION:
        said |= {"count": str(one.count), "sum": one.total, **_buckets(one)}
    else:
        said["asDouble"] = one.total
    return said


def _buckets(tally: Count) -> dict[str, Any]:
    """How many are between the bounds; the last number is of those above all."""
    below = (0, *(number for _, number in cumulated(tally.buckets.items())), tally.count)
    counts = [str(after - before) for before, after in pairwise(below)]
    return {"bucketCounts": counts, "explicitBounds": list(BOUNDS)}


def _attribute(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}
