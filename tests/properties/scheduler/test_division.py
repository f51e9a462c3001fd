"""What dominant resource fairness promises for tasks that may be divided (Ghodsi et al., NSDI 2011, 3)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.scheduler.division import divide

many = settings()

amounts = st.floats(0.05, 10.0)
rows = st.lists(st.tuples(amounts, amounts, amounts), min_size=1, max_size=8)
capacities = st.tuples(*[st.floats(5.0, 100.0)] * 3)


def _tasks_of(bundle, demand) -> float:
    """How many tasks of that demand a bundle of resources is enough for."""
    return float(np.min(np.asarray(bundle) / np.asarray(demand)))


@many
@given(capacity=capacities, demands=rows)
def test_never_above_capacity_and_nothing_left_for_anybody(capacity, demands) -> None:
    used = divide(capacity, demands).tasks @ np.array(demands)
    assert (used <= np.array(capacity) * (1 + 1e-9)).all()
    assert (used >= np.array(capacity) * (1 - 1e-6)).any()  # all need all three, so one is used up


@many
@given(capacity=capacities, demands=rows, data=st.data())
def test_sharing_incentive(capacity, demands, data) -> None:
    """Nobody would do better with its part of the machine alone, also by weight."""
    weights = data.draw(st.lists(st.floats(0.2, 5.0), min_size=len(demands), max_size=len(demands)))
    found = divide(capacity, demands, weights=weights)
    for tasks, demand, weight in zip(found.tasks, demands, weights, strict=True):
        assert tasks >= _tasks_of(np.array(capacity) * weight / sum(weights), demand) * (1 - 1e-6)


@many
@given(capacity=capacities, demands=rows)
def test_nobody_envies(capacity, demands) -> None:
    """Nobody could run more tasks with what another one has."""
    found = divide(capacity, demands)
    for tasks, demand in zip(found.tasks, demands, strict=True):
        for others, theirs in zip(found.tasks, demands, strict=True):
            assert tasks >= _tasks_of(others * np.array(theirs), demand) * (1 - 1e-6)


@many
@given(capacity=capacities, demands=rows, lie=st.tuples(amounts, amounts, amounts))
def test_a_lie_does_not_pay(capacity, demands, lie) -> None:
    honest = divide(capacity, demands).tasks[0]
    lied = divide(capacity, [lie, *demands[1:]]).tasks[0]
    assert _tasks_of(lied * np.array(lie), demands[0]) <= honest * (1 + 1e-6)


@many
@given(capacity=capacities, demands=rows.filter(lambda rows: len(rows) > 1))
def test_when_one_leaves_nobody_has_less(capacity, demands) -> None:
    before, after = divide(capacity, demands).tasks, divide(capacity, demands[1:]).tasks
    assert (after >= before[1:] * (1 - 1e-6)).all()


sparse = st.lists(st.tuples(*[st.sampled_from([0.0, 0.0, 0.5, 1.0, 4.0])] * 3), min_size=1, max_size=8)


@many
@given(
    capacity=st.tuples(*[st.sampled_from([0.0, 3.0, 10.0, float("inf")])] * 3), demands=sparse, data=st.data()
)
def test_floors_ceilings_and_needs_of_nothing(capacity, demands, data) -> None:
    """Within capacity and ceilings; floors hold where they fit together; nobody is stopped who could rise."""
    count = len(demands)
    column = lambda values: data.draw(st.lists(values, min_size=count, max_size=count))  # noqa: E731
    least = column(st.sampled_from([0.0, 0.0, 0.5, 2.0]))
    most = column(st.sampled_from([0.0, 1.0, 3.5, float("inf")]))
    weights = column(st.sampled_from([0.0, 1.0, 2.5]))
    found = divide(capacity, demands, weights=weights, least=least, most=most)
    assert np.isfinite(found.tasks).all()
    assert (found.tasks >= 0).all()
    assert (found.tasks <= np.array(most) + 1e-9).all()
    need, there = np.array(demands), np.array(capacity)
    used = found.tasks @ need
    assert (used <= there * (1 + 1e-9) + 1e-9).all()
    lowest = np.minimum(least, most)
    possible = ~((need > 0) & (there == 0)).any(axis=1)
    if ((lowest * possible) @ need <= there).all():
        assert (found.tasks[possible] >= lowest[possible] - 1e-9).all()
    full = used >= there * (1 - 1e-6) - 1e-9
    for tasks, demand, weight, high in zip(found.tasks, need, weights, most, strict=True):
        if weight > 0 and demand[np.isfinite(there)].any() and tasks < high - 1e-6:
            assert (full & (demand > 0)).any()


@pytest.mark.parametrize("bad", [float("nan"), -1.0, float("inf")])
def test_a_figure_that_makes_no_sense_gets_nothing_and_harms_nobody(bad) -> None:
    found = divide([9, 18], [[1, 4], [bad, 1], [3, 1]])
    assert found.tasks == pytest.approx([3, 0, 2])


def test_shapes_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 projects"):
        divide([9, 18], [[1, 4], [3, 1]], weights=[1])
