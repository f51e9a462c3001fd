"""Readings as OpenMetrics text. PURE.

The format: https://prometheus.io/docs/specs/om/open_metrics_spec/. Written here rather than by a library,
which takes seven times as long for a hundred projects; a test reads it with prometheus_client.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import product

from core.domain.metric import (
    BOUNDS,
    LABEL_VALUES,
    METRICS,
    Count,
    Labels,
    Metric,
    MetricKind,
    Sample,
    Series,
    Unit,
)

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PREFIX = "orchard_"
_TYPES = {
    MetricKind.GAUGE: "gauge",
    MetricKind.COUNTER: "counter",
    MetricKind.OBSERVATION: "histogram",
}


def family_of(metric: Metric) -> str:
    """The name of its family: with the unit at its end, as the format asks."""
    name, unit = f"{PREFIX}{metric.name}", metric.unit.value
    return name if metric.unit is Unit.NONE or name.endswith(f"_{unit}") else f"{name}_{unit}"


def names_of(metric: Metric) -> tuple[str, ...]:
    """Of its samples, as queries write them."""
    family = family_of(metric)
    if metric.kind is MetricKind.COUNTER:
        return (f"{family}_total",)
    if metric.kind is MetricKind.OBSERVATION:
        return (f"{family}_bucket", f"{family}_count", f"{family}_sum")
    return (family,)


def openmetrics(
    readings: Iterable[Sample], tallies: Mapping[Series, Count], projects: Iterable[str], version: str
) -> str:
    """Gauges as they were read last; what has no data has no line. Counters and observations of every project
    and label are there from the beginning on, with 0, so that their first rise is seen as one. `tallies`: of
    those, since the store was made; a counter that is not among them is its reading."""
    names = tuple(projects)
    by_metric: dict[str, dict[Labels, float]] = {name: {} for name in METRICS}
    for sample in readings:
        if math.isfinite(sample.value):
            by_metric[sample.metric][sample.labels] = sample.value
    counted: dict[str, dict[Labels, Count]] = {}
    for (name, labels), tally in tallies.items():
        counted.setdefault(name, {})[labels] = tally
    lines: list[str] = []
    for metric in METRICS.values():
        lines += _head(metric)
        if metric.kind is MetricKind.GAUGE:
            family = family_of(metric)
            lines += [f"{family}{_labels(at)} {_number(v)}" for at, v in by_metric[metric.name].items()]
        elif metric.kind is MetricKind.COUNTER:
            lines += _counter(metric, names, by_metric[metric.name], counted.get(metric.name, {}))
        else:
            lines += _observation(metric, names, counted.get(metric.name, {}))
    lines += [
        f"# TYPE {PREFIX}build info",
        f"# HELP {PREFIX}build What runs.",
        f"{PREFIX}build_info{_labels((('version', version),))} 1",
        "# EOF",
    ]
    return "\n".join(lines) + "\n"


def all_labels(metric: Metric, projects: Iterable[str]) -> tuple[Labels, ...]:
    """Every combination that is known before anything happened."""
    values = [tuple(projects) if name == "project" else LABEL_VALUES.get(name, ()) for name in metric.labels]
    return tuple(tuple(zip(metric.labels, one, strict=True)) for one in product(*values))


def _counter(
    metric: Metric, projects: tuple[str, ...], read: Mapping[Labels, float], counted: Mapping[Labels, Count]
) -> list[str]:
    (name,) = names_of(metric)
    found = dict.fromkeys(all_labels(metric, projects), 0.0) | dict(read)
    found |= {labels: tally.total for labels, tally in counted.items()}
    return [f"{name}{_labels(labels)} {_number(value)}" for labels, value in found.items()]


def _observation(metric: Metric, projects: tuple[str, ...], counted: Mapping[Labels, Count]) -> list[str]:
    found: dict[Labels, Count] = dict.fromkeys(all_labels(metric, projects), Count())
    return [
        _histogram(metric.name, labels, tally.count, tally.total, tuple(tally.buckets.items()))
        for labels, tally in (found | dict(counted)).items()
    ]


@lru_cache(maxsize=2_000)  # most are as they were with the last scrape
def _histogram(
    metric: str, labels: Labels, count: int, total: float, buckets: tuple[tuple[float, int], ...]
) -> str:
    """Its lines."""
    bucket_name, count_name, sum_name = names_of(METRICS[metric])
    said = _labels(labels)
    inside = said.removeprefix("{").removesuffix("}") + "," if said else ""
    lines = [
        f'{bucket_name}{{{inside}le="{_number(bound)}"}} {number}' for bound, number in cumulated(buckets)
    ]
    lines += [
        f'{bucket_name}{{{inside}le="+Inf"}} {count}',
        f"{count_name}{said} {count}",
        f"{sum_name}{said} {_number(total)}",
    ]
    return "\n".join(lines)


def cumulated(buckets: Iterable[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    """For each of BOUNDS, how many were at most that; also of what was counted by other bounds."""
    known = tuple(buckets)
    return tuple((bound, sum(number for at, number in known if at <= bound)) for bound in BOUNDS)


def _head(metric: Metric) -> list[str]:
    family = family_of(metric)
    lines = [f"# TYPE {family} {_TYPES[metric.kind]}", f"# HELP {family} {_escaped(metric.help)}"]
    if metric.unit is not Unit.NONE:
        lines.insert(1, f"# UNIT {family} {metric.unit.value}")
    return lines


@lru_cache(maxsize=20_000)
def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return repr(float(value))
