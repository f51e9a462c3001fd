"""What dominant resource fairness promises for tasks that may be divided (Ghodsi et al., NSDI 2011, 3; where
some resources are not needed: Parkes, Procaccia and Shah, EC 2012). Four instances an example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from core.scheduler.division import divide
from tests.properties.scheduler.draws import Draws, several

INF = float("inf")
AMOUNTS = (1.0, 0.0, 0.05, 0.3, 0.5, 2.0, 4.0, 7.7, 10.0, 0.0)


def needs(draws: Draws) -> tuple[float, ...]:
    found = tuple(draws.of(AMOUNTS) for _ in range(3))
    return found if any(found) else (1.0, 0.0, 0.0)


def instance(draws: Draws):
    """Capacity, demands and weights, and a lie of the first project's."""
    count = 1 + draws.number(7)
    capacity = np.array([5.0 + draws.number(96) for _ in range(3)])
    demands = np.array([needs(draws) for _ in range(count)])
    weights = np.array([draws.of((1.0, 0.2, 0.5, 2.0, 5.0)) for _ in range(count)])
    return capacity, demands, weights, needs(draws)


instances = several(instance, size=48)


def tasks_of(bundle, demand) -> float:
    """How many tasks of that demand a bundle of resources is enough for."""
    needed = np.asarray(demand) > 0
    return float((np.asarray(bundle)[needed] / np.asarray(demand)[needed]).min())


@given(drawn=instances)
def test_never_above_capacity_and_whoever_stops_needs_what_is_used_up(drawn) -> None:
    for capacity, demands, weights, _ in drawn:
        used = divide(capacity, demands, weights=weights).tasks @ demands
        assert (used <= capacity * (1 + 1e-9)).all()
        full = used >= capacity * (1 - 1e-6)
        assert ((demands > 0) & full).any(axis=1).all()  # Pareto efficiency


@given(drawn=instances)
def test_sharing_incentive(drawn) -> None:
    """Nobody would do better with its part of the machine alone, also by weight."""
    for capacity, demands, weights, _ in drawn:
        found = divide(capacity, demands, weights=weights)
        for tasks, demand, weight in zip(found.tasks, demands, weights, strict=True):
            assert tasks >= tasks_of(capacity * weight / weights.sum(), demand) * (1 - 1e-6)


@given(drawn=instances)
def test_nobody_envies(drawn) -> None:
    """Nobody could run more tasks with what another one has, scaled to its own weight."""
    for capacity, demands, weights, _ in drawn:
        found = divide(capacity, demands, weights=weights)
        for tasks, demand, weight in zip(found.tasks, demands, weights, strict=True):
            for others, theirs, heavier in zip(found.tasks, demands, weights, strict=True):
                assert tasks >= tasks_of(others * theirs * weight / heavier, demand) * (1 - 1e-6)


@given(drawn=instances)
def test_a_lie_does_not_pay(drawn) -> None:
    for capacity, demands, weights, lie in drawn:
        honest = divide(capacity, demands, weights=weights).tasks[0]
        lied = divide(capacity, [lie, *demands[1:]], weights=weights).tasks[0]
        assert tasks_of(lied * np.array(lie), demands[0]) <= honest * (1 + 1e-6)


@given(drawn=instances)
def test_when_one_leaves_nobody_has_less(drawn) -> None:
    """Population monotonicity, where all need something of everything."""
    for capacity, some, weights, _ in drawn:
        demands = np.maximum(some, 0.05)
        before = divide(capacity, demands, weights=weights).tasks
        after = divide(capacity, demands[1:], weights=weights[1:]).tasks
        assert (after >= before[1:] * (1 - 1e-6)).all()


def test_when_one_leaves_others_may_have_less_where_not_all_need_everything() -> None:
    """By hand: with A the third resource stops A, B and C at 5/3 each, and D has the 6 - 10/3 that are left
    of the second. Without A nothing stops B and C before the second is used up, by all three at 3/8."""
    capacity, demands = [8, 6, 5], [[1, 0, 1], [1, 1, 1], [1, 1, 1], [1, 1, 0]]
    assert divide(capacity, demands).tasks == pytest.approx([5 / 3, 5 / 3, 5 / 3, 8 / 3])
    assert divide(capacity, demands[1:]).tasks == pytest.approx([15 / 8, 15 / 8, 9 / 4])


@given(drawn=instances)
def test_the_order_of_projects_and_resources_and_the_units_do_not_matter(drawn) -> None:
    for capacity, demands, weights, _ in drawn:
        tasks = divide(capacity, demands, weights=weights).tasks
        turned = divide(capacity[::-1], demands[::-1, ::-1], weights=weights[::-1] * 3).tasks
        assert turned[::-1] == pytest.approx(tasks, rel=1e-9)
        units = np.array([1000.0, 1.0, 0.001])
        assert divide(capacity * units, demands * units, weights=weights).tasks == pytest.approx(tasks)


def bounded(draws: Draws):
    count = 1 + draws.number(8)
    return (
        np.array([draws.of((10.0, 0.0, 3.0, INF)) for _ in range(3)]),
        np.array([[draws.of((0.0, 0.5, 1.0, 4.0, 0.0)) for _ in range(3)] for _ in range(count)]),
        np.array([draws.of((0.0, 0.5, 2.0, 0.0)) for _ in range(count)]),
        np.array([draws.of((INF, 0.0, 1.0, 3.5)) for _ in range(count)]),
        np.array([draws.of((1.0, 0.0, 2.5)) for _ in range(count)]),
    )


@given(drawn=several(bounded, size=64))
def test_floors_ceilings_and_needs_of_nothing(drawn) -> None:
    """Within capacity and ceilings; floors hold where they fit together; nobody is stopped who could rise."""
    for capacity, demands, least, most, weights in drawn:
        found = divide(capacity, demands, weights=weights, least=least, most=most)
        assert np.isfinite(found.tasks).all()
        assert (found.tasks >= 0).all()
        assert (found.tasks <= most + 1e-9).all()
        used = found.tasks @ demands
        assert (used <= capacity * (1 + 1e-9) + 1e-9).all()
        lowest = np.minimum(least, most)
        possible = ~((demands > 0) & (capacity == 0)).any(axis=1)
        if ((lowest * possible) @ demands <= capacity).all():
            assert (found.tasks[possible] >= lowest[possible] - 1e-9).all()
        full = used >= capacity * (1 - 1e-6) - 1e-9
        rises = (weights > 0) & demands[:, np.isfinite(capacity)].any(axis=1) & (found.tasks < most - 1e-6)
        assert (full & (demands > 0)).any(axis=1)[rises].all()


WILD = (1.0, float("nan"), INF, -INF, -1.0, 0.0, 1e308, 5e-324, 1e15, 1e16, 1e-300, 100.0)


def wild(draws: Draws):
    count = draws.number(6)

    def figures(many: int) -> list[float]:
        return [draws.of(WILD) for _ in range(many)]

    return figures(3), [figures(3) for _ in range(count)], figures(count), figures(count), figures(count)


@given(drawn=several(wild, size=64))
def test_nonsense_gives_a_defined_result(drawn) -> None:
    for capacity, demands, least, most, weights in drawn:
        need = np.array(demands).reshape(-1, 3)
        found = divide(capacity, need, weights=weights, least=least, most=most)
        assert np.isfinite(found.tasks).all()
        assert (found.tasks >= 0).all()
        for at, there in enumerate(capacity):
            known = there if there >= 0 else 0.0
            with np.errstate(over="ignore", invalid="ignore"):
                used = sum(tasks * one for tasks, one in zip(found.tasks, need[:, at], strict=True) if tasks)
            assert used <= known * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize("bad", [float("nan"), -1.0, INF])
def test_a_figure_that_makes_no_sense_gets_nothing_and_harms_nobody(bad) -> None:
    found = divide([9, 18], [[1, 4], [bad, 1], [3, 1]])
    assert found.tasks == pytest.approx([3, 0, 2])


def test_shapes_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 projects"):
        divide([9, 18], [[1, 4], [3, 1]], weights=[1])
