"""Tokens a minute: never more over time than was said, and always something in the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.gateway.rate import ALL, Buckets, Rates


def of(project: int | None = None, together: int | None = None) -> Buckets:
    buckets = Buckets()
    projects = {} if project is None else {"shop": project}
    buckets.set(Rates(together=together, projects=projects), 0.0)
    return buckets


def test_without_a_limit_nobody_waits() -> None:
    buckets = of()
    buckets.reserve("a", "shop", 10**9)
    assert buckets.wait("shop", 0.0) == (0.0, ALL)


def test_what_was_used_beyond_the_limit_is_waited_for() -> None:
    buckets = of(project=600)
    buckets.reserve("a", "shop", 100)
    buckets.settle("a", 1200, 0.0)
    buckets.settle("a", 1200, 0.0)  # twice counts once
    wait, whose = buckets.wait("shop", 0.0)
    assert (round(wait, 1), whose) == (60.1, "shop")
    assert buckets.wait("other", 0.0)[0] == 0
    assert buckets.wait("shop", 60.2)[0] == 0
    assert buckets.worded("shop") == "shop may use 600 tokens a minute"


def test_calls_under_way_have_reserved_and_give_back_what_they_did_not_use() -> None:
    buckets = of(project=1000, together=5000)
    buckets.reserve("a", "shop", 2500)
    assert buckets.wait("shop", 0.0)[0] > 0
    buckets.settle("a", 10, 0.0)
    assert buckets.wait("shop", 0.0)[0] == 0


def test_all_projects_share_what_is_said_for_all() -> None:
    buckets = of(together=600)
    buckets.reserve("a", "shop", 0)
    buckets.settle("a", 660, 0.0)
    wait, whose = buckets.wait("bank", 0.0)
    assert wait > 0
    assert buckets.worded(whose) == "all projects together may use 600 tokens a minute"


def test_another_limit_holds_at_once_and_forgets_nothing_that_was_used() -> None:
    buckets = of(project=600)
    buckets.reserve("a", "shop", 0)
    buckets.settle("a", 700, 0.0)
    buckets.set(Rates(projects={"shop": 1200}), 0.0)
    assert buckets.wait("shop", 0.0)[0] == 0
    buckets.set(Rates(projects={"shop": 60}), 0.0)
    assert buckets.wait("shop", 0.0)[0] > 60
    buckets.set(Rates(), 0.0)
    assert buckets.wait("shop", 0.0)[0] == 0


@given(
    st.integers(1, 5000),
    st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 9000), st.floats(0, 20)), max_size=30),
)
def test_over_time_no_more_is_used_than_was_said_and_one_call(per_minute, calls) -> None:
    buckets, now, used, most = of(project=per_minute), 0.0, 0, 0
    for number, (estimate, took, later) in enumerate(calls):
        while (wait := buckets.wait("shop", now)[0]) > 0:
            now += wait + 0.001
        assert used <= per_minute * (now / 60 + 1) + 1
        buckets.reserve(str(number), "shop", estimate)
        buckets.settle(str(number), took, now)
        used, most, now = used + took, max(most, took), now + later
    assert used <= per_minute * (now / 60 + 1) + most + 1
