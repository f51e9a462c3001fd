from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.isolation.limits import Breach, ProjectLimits, Resource, nice_of, quota_of, shares_of, weight_of

WEIGHTS = st.floats(0.01, 100)


@pytest.mark.parametrize("name", ["memory_mb", "cpu_weight", "cpu_cores", "processes", "disk_mb"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf])
def test_a_limit_is_a_number_above_zero(name: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=name):
        ProjectLimits(**{name: value})


@given(WEIGHTS, WEIGHTS)
def test_more_weight_is_never_a_smaller_share(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert nice_of(less) >= nice_of(more)
    assert shares_of(less) <= shares_of(more)
    assert weight_of(less) <= weight_of(more)


@given(WEIGHTS)
def test_the_kernel_takes_every_weight(weight: float) -> None:
    assert 0 <= nice_of(weight) <= 19
    assert 2 <= shares_of(weight) <= 262144
    assert 1 <= weight_of(weight) <= 10000


# kernel/sched/core.c, sched_prio_to_weight: what niceness n weighs
WEIGHT_OF_NICE = [1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15]


@given(st.floats(0.14, 9))  # beyond, niceness has no more steps
def test_niceness_is_the_nearest_there_is(weight: float) -> None:
    got = WEIGHT_OF_NICE[nice_of(weight)] / WEIGHT_OF_NICE[nice_of(1.0)]
    assert got == pytest.approx(weight, rel=0.16)


def test_a_quota_is_never_below_what_the_kernel_takes() -> None:
    assert [quota_of(cores) for cores in (None, 0.0001, 0.25, 2)] == [None, 1000, 25000, 200000]


@pytest.mark.parametrize(
    ("breach", "text"),
    [
        (
            Breach(
                project="shop", resource=Resource.MEMORY, limit=100, used=100.4, ended=1,
                pid=7, program="node", program_mb=81.6,
            ),
            "shop used 100 MB of its 100 MB of memory: node (process 7) with 82 MB was ended.",
        ),
        (
            Breach(project="shop", resource=Resource.PROCESSES, limit=20, used=31, ended=11, pid=7,
                   program="sh"),
            "shop had 31 processes and may have 20: sh (process 7) was ended, and 10 more.",
        ),
        (
            Breach(project="shop", resource=Resource.DISK, limit=10, used=12),
            "shop used 12 MB of its 10 MB of disk.",
        ),
        (
            Breach(project="shop", resource=Resource.MEMORY, limit=10, used=10, ended=2),
            "shop used 10 MB of its 10 MB of memory: 2 processes were ended.",
        ),
    ],
)  # fmt: skip
def test_a_breach_says_who_and_how_much(breach: Breach, text: str) -> None:
    assert str(breach) == text
