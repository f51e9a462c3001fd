from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from core.domain.metric import Sample
from core.monitoring.readings import Readings

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def cpu(project: str, value: float) -> Sample:
    labels = (("project", project),)
    return Sample(metric="project_cpu", value=value, at=NOON, source="cgroup", labels=labels)


def load(value: float) -> Sample:
    return Sample(metric="machine_load", value=value, at=NOON, source="psutil")


def test_the_last_sample_of_each_series_is_shown() -> None:
    readings = Readings()
    readings.publish([cpu("shop", 1.0), cpu("blog", 2.0), load(0.5)])
    readings.publish([cpu("shop", 3.0)])

    assert readings.value("project_cpu", project="shop") == 3.0
    assert readings.value("project_cpu", project="blog") == 2.0
    assert readings.value("machine_load") == 0.5
    assert {sample.value for sample in readings.latest("project_cpu")} == {3.0, 2.0}
    assert readings.latest(project="blog") == (cpu("blog", 2.0),)


def test_no_data_is_none_and_a_name_that_there_is_not_is_an_error() -> None:
    readings = Readings()

    assert readings.value("project_cpu", project="shop") is None
    assert readings.latest("project_cpu") == ()
    for wrong in ({"metric": "no_such_metric"}, {"metric": "project_cpu"}):
        with pytest.raises(KeyError):
            readings.value(**wrong)
    with pytest.raises(KeyError):
        readings.publish([Sample(metric="no_such_metric", value=1, at=NOON, source="x")])


def test_what_is_forgotten_or_dropped_is_no_data() -> None:
    readings = Readings()
    readings.publish([cpu("shop", 1.0), cpu("blog", 2.0), load(1.0)])

    readings.forget("shop")
    readings.drop([load(0).series, ("project_memory", (("project", "blog"),))])

    assert readings.latest() == (cpu("blog", 2.0),)


async def test_a_listener_hears_batches() -> None:
    readings = Readings()
    readings.publish([cpu("shop", 1.0)])  # before it listens
    with readings.subscribe() as batches:
        readings.publish([cpu("shop", 2.0), load(1.0)])
        assert await anext(batches) == (cpu("shop", 2.0), load(1.0))
        waiting = asyncio.ensure_future(anext(batches))
        readings.publish([])
        await asyncio.sleep(0)
        assert not waiting.done()
        readings.publish([load(2.0)])
        assert await waiting == (load(2.0),)


async def test_a_slow_listener_gets_the_newest_of_each_series_and_no_more() -> None:
    readings = Readings()
    with readings.subscribe() as batches:
        for number in range(10_000):
            readings.publish([cpu("shop", number), cpu("blog", -number)])

        assert await anext(batches) == (cpu("shop", 9999), cpu("blog", -9999))


async def test_who_no_longer_listens_is_given_nothing() -> None:
    readings = Readings()
    with readings.subscribe():
        pass
    readings.publish([load(1.0)])

    assert not readings._listeners
