from __future__ import annotations

import math

import pytest

from core.scheduler.decision import Allocation
from core.scheduler.quota import quotas
from core.scheduler.resources import NOTHING, UNLIMITED, Resources

MACHINE = Resources(agents=10, cpu=8, memory_mb=16384)


def allocation(name: str, agents: float, *, held: float = 0.0, **amounts: float) -> Allocation:
    return Allocation(
        name, Resources(agents=agents, **amounts), Resources(agents=held), held / 10, 0.5, weight=1.5
    )


def test_it_has_the_names_that_people_know_and_the_reason() -> None:
    (quota,) = quotas([allocation("shop", 5, cpu=3.2, memory_mb=2048)], MACHINE)
    known = quota.as_dict()
    reason = known.pop("reason")
    assert known == {
        "project_name": "shop",
        "allocated_agents": 5,
        "allocated_memory_mb": 2048,
        "allocated_cpu_percent": 40.0,
        "priority_weight": 1.5,
    }
    assert reason == ("shop holds 0 %, is entitled to 50 % by weight 1.5; it may use 5 agents.")


@pytest.mark.parametrize(
    ("amounts", "whole"),
    [
        pytest.param([2.5, 2.5], [3, 2], id="a half each: the first by order"),
        pytest.param([3.7, 3.2, 3.1], [4, 3, 3], id="the largest rest"),
        pytest.param([3.4, 3.3, 3.3], [4, 3, 3], id="ten are ten"),
        pytest.param([0.5, 0.4], [0, 0], id="not a whole one there is"),
        pytest.param([2.0, 0.0, 1.0], [2, 0, 1], id="nothing to round"),
        pytest.param([2.9999999999, 1.0], [3, 1], id="a hair below is the whole"),
    ],
)
def test_whole_agents_never_above_what_there_is(amounts, whole) -> None:
    found = quotas([allocation(f"p{at}", one) for at, one in enumerate(amounts)], MACHINE)
    assert [quota.allocated_agents for quota in found] == whole


def test_among_equal_rests_the_one_that_holds_less_comes_first() -> None:
    found = quotas([allocation("a", 2.5, held=2), allocation("b", 2.5, held=1)], MACHINE)
    assert [quota.allocated_agents for quota in found] == [2, 3]


def test_no_limit_is_none_and_memory_and_processors_are_rounded_down() -> None:
    (quota,) = quotas([Allocation("free", UNLIMITED, NOTHING, 0.0, 1.0, 1.0)], UNLIMITED)
    assert (quota.allocated_agents, quota.allocated_memory_mb) == (None, None)
    assert quota.allocated_cpu_percent == 100.0
    (quota,) = quotas([allocation("a", 1, cpu=1.0, memory_mb=1023.9)], MACHINE._replace(cpu=3.0))
    assert (quota.allocated_memory_mb, quota.allocated_cpu_percent) == (1023, 33.3)


@pytest.mark.parametrize(
    ("cpu", "there", "percent"), [(9.0, 8.0, 100.0), (0.0, 0.0, 0.0), (2.0, math.inf, 100.0)]
)
def test_percent_of_the_processors_is_from_0_to_100(cpu, there, percent) -> None:
    (quota,) = quotas([allocation("a", 1, cpu=cpu)], MACHINE._replace(cpu=there))
    assert quota.allocated_cpu_percent == percent


def test_of_nothing_there_is_nothing() -> None:
    assert quotas([], MACHINE) == ()
