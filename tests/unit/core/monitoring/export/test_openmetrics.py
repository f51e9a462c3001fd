from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from core.domain.metric import METRICS, Count, MetricKind, Sample, Unit
from core.monitoring.export.openmetrics import all_labels, cumulated, family_of, names_of, openmetrics

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def read(metric, value, **labels):
    return Sample(metric=metric, value=value, at=NOW, source="test", labels=tuple(labels.items()))


def parsed(text):
    families = list(text_string_to_metric_families(text))
    return {(one.name, *sorted(one.labels.items())): one.value for each in families for one in each.samples}


def test_every_metric_reads_back_as_it_was_written():
    readings, tallies = [], {}
    for metric in METRICS.values():
        for labels in all_labels(metric, ("shop", "bank")):
            if metric.kind is MetricKind.GAUGE:
                readings.append(read(metric.name, 0.25, **dict(labels)))
            else:
                tallies[metric.name, labels] = Count(count=3, total=1.5, buckets={1.0: 3})
    found = parsed(openmetrics(readings, tallies, ("shop", "bank"), "1"))
    for metric in METRICS.values():
        for labels in all_labels(metric, ("shop", "bank")):
            names = names_of(metric)
            values = [found[name, *sorted(labels)] for name in names if not name.endswith("_bucket")]
            expected = {MetricKind.GAUGE: [0.25], MetricKind.COUNTER: [1.5], MetricKind.OBSERVATION: [3, 1.5]}
            assert values == expected[metric.kind], metric.name


def test_units_stand_at_the_end_of_names_once():
    assert family_of(METRICS["project_memory"]) == "orchard_project_memory_bytes"
    assert family_of(METRICS["tokens"]) == "orchard_tokens"
    assert names_of(METRICS["phase_duration"]) == (
        "orchard_phase_duration_seconds_bucket",
        "orchard_phase_duration_seconds_count",
        "orchard_phase_duration_seconds_sum",
    )


def test_an_observation_is_a_histogram_that_is_there_before_it_was_made():
    tallies = {
        ("queue_time", (("project", "shop"),)): Count(count=6, total=90_150.0, buckets={1.0: 2, 60.0: 3})
    }
    found = parsed(openmetrics([], tallies, ("shop", "bank"), "1"))

    def bucket(project, bound):
        return found["orchard_queue_time_seconds_bucket", ("le", bound), ("project", project)]

    assert [bucket("shop", at) for at in ("1.0", "30.0", "60.0", "86400.0", "+Inf")] == [2, 2, 5, 5, 6]
    assert [bucket("bank", at) for at in ("1.0", "86400.0", "+Inf")] == [0, 0, 0]


def test_what_was_counted_by_other_bounds_is_in_the_next_larger_of_todays():
    assert dict(cumulated([(0.5, 1), (20.0, 2)]))[15.0] == 1
    assert dict(cumulated([(0.5, 1), (20.0, 2)]))[30.0] == 3


def test_observations_are_in_seconds_as_their_bounds_are():
    units = {one.unit for one in METRICS.values() if one.kind is MetricKind.OBSERVATION}
    assert units == {Unit.SECONDS}


@given(st.text(min_size=1))
def test_any_name_is_a_label(name):
    found = parsed(openmetrics([read("project_cpu", 1.0, project=name)], {}, (), "1"))
    assert found["orchard_project_cpu_cores", ("project", name)] == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_data(value):
    assert "project_cpu_cores{" not in openmetrics([read("project_cpu", value, project="shop")], {}, (), "1")


def test_a_counter_that_nobody_counted_is_as_it_was_read():
    found = parsed(openmetrics([read("discord_rate_limited", 7.0)], {}, (), "1"))
    assert found[("orchard_discord_rate_limited_total",)] == 7.0
