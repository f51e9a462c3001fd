"""Fair share against published cases. F numbers: the project's own list of oracles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.scheduler.division import divide
from core.scheduler.fair_share import FairShare
from core.scheduler.sharing import share_out
from tests.oracles.instances import amounts, project, snapshot, started

FAIR = FairShare()
INF = float("inf")


@pytest.mark.parametrize(
    ("capacity", "weights", "demands", "expected"),
    [
        pytest.param((9, 18), (1, 1), ((1, 4), (3, 1)), {"A": 3, "B": 2}, id="F1 Ghodsi 2011, 4.1"),
        pytest.param((9, 18), (2, 1), ((1, 4), (3, 1)), {"A": 4, "B": 1}, id="F2 the same, weighted"),
        pytest.param((30, 30), (1, 1), ((1, 3), (1, 1)), {"A": 5, "B": 15}, id="F3 the same, theorem 1"),
    ],
)
def test_whole_tasks_as_in_the_paper(capacity, weights, demands, expected) -> None:
    projects = [
        project(name, {"cpu": cpu, "memory": memory}, 40, weight=weight)
        for name, weight, (cpu, memory) in zip("AB", weights, demands, strict=True)
    ]
    decision = FAIR.decide(snapshot({"cpu": capacity[0], "memory": capacity[1]}, *projects))
    assert started(decision) == expected


def test_f1_dominant_shares_are_equal() -> None:
    found = divide([9, 18], [[1, 4], [3, 1]])
    assert found.shares == pytest.approx([2 / 3, 2 / 3])
    assert found.tasks == pytest.approx([3, 2])


def test_f2_divisible_tasks_with_weights() -> None:
    # Half of A's share is B's: 4x/18/2 = 3y/9, so x = 3y. The memory is full at 12y + y = 18, with 6y < 9
    # of the processors in use.
    assert divide([9, 18], [[1, 4], [3, 1]], weights=[2, 1]).tasks == pytest.approx([54 / 13, 18 / 13])


def test_f5_a_lie_does_not_pay() -> None:
    """Ghodsi 2011, 6.1.2: with the lie, the number of true tasks does not rise."""
    truth = divide([100, 100], [[16, 1], [1, 2]]).tasks[0]
    lie = divide([100, 100], [[16, 8], [1, 2]]).tasks[0]
    assert lie <= truth + 1e-9
    whole = [
        started(
            FAIR.decide(
                snapshot(
                    {"cpu": 100, "memory": 100},
                    project("A", {"cpu": 16, "memory": memory}, 99),
                    project("B", {"cpu": 1, "memory": 2}, 99),
                )
            )
        )["A"]
        for memory in (1, 8)
    ]
    assert whole[1] <= whole[0]


YARN = [
    pytest.param(40, {}, [10, 10, 10, 10], id="YARN TestComputeFairShares.testEqualSharing"),
    pytest.param(40, {"limits": [100, 50, 11, 3]}, [13, 13, 11, 3], id="F6 YARN testLowMaxShares"),
    pytest.param(45, {"weights": [2, 1, 1, 0.5]}, [20, 10, 10, 5], id="F7 YARN testWeightedSharing"),
    pytest.param(40, {"floors": [20, 18, 0, 2]}, [20, 18, 0, 2], id="F9 YARN testMinShares"),
    # The first two are at their limits; 45 - 21 = 24 go 2 : 1.
    pytest.param(
        45,
        {"weights": [2, 1, 1, 0.5], "limits": [10, 11, 30, 20]},
        [10, 11, 16, 8],
        id="YARN testWeightedSharingWithMaxShares",
    ),
    # The first and the last have their minimum; 45 - 35 = 10 go 1 : 1, which is just the third's minimum.
    pytest.param(
        45,
        {"weights": [2, 1, 1, 0.5], "floors": [20, 0, 5, 15]},
        [20, 5, 5, 15],
        id="YARN testWeightedSharingWithMinShares",
    ),
    # S. Keshav, An Engineering Approach to Computer Networking, pages 215-217: what is wanted is the limit.
    pytest.param(10, {"limits": [2, 2.6, 4, 5]}, [2, 2.6, 2.7, 2.7], id="Keshav, max-min fairness"),
    # 2 and 4 have what they want with the first; the third gets 16 - 10 = 6 of the 10 that it wants.
    pytest.param(
        16,
        {"weights": [2.5, 4, 0.5, 1], "limits": [4, 2, 10, 4]},
        [4, 2, 6, 4],
        id="Keshav, weighted max-min fairness",
    ),
]


@pytest.mark.parametrize(("capacity", "given", "expected"), YARN)
def test_shares_of_one_resource(capacity, given, expected) -> None:
    columns = {"weights": [1] * 4, "floors": [0] * 4, "limits": [INF] * 4} | given
    found = share_out(capacity, columns["weights"], columns["floors"], columns["limits"])
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("capacity", "given", "expected"), YARN)
def test_water_filling_gives_the_same_shares(capacity, given, expected) -> None:
    columns = {"weights": [1] * 4, "floors": [0] * 4, "limits": [INF] * 4} | given
    found = divide(
        [capacity], [[1]] * 4, weights=columns["weights"], least=columns["floors"], most=columns["limits"]
    )
    assert found.tasks == pytest.approx(expected)


@pytest.mark.parametrize(
    ("capacity", "given", "expected"), [case for case in YARN if "Keshav, max-min" not in case.id]
)
def test_whole_slots_are_the_same_shares(capacity, given, expected) -> None:
    columns = {"weights": [1] * 4, "floors": [0] * 4, "limits": [INF] * 4} | given
    projects = [
        project(
            name,
            {"slots": 1},
            capacity + 1,
            weight=columns["weights"][at],
            guaranteed={"slots": columns["floors"][at]},
            limit={"slots": columns["limits"][at]},
        )
        for at, name in enumerate("ABCD")
    ]
    found = started(FAIR.decide(snapshot({"slots": capacity}, *projects)))
    assert [found.get(name, 0) for name in "ABCD"] == expected


def test_large_shares_stay_exact() -> None:
    """YARN TestComputeFairShares.testLargeShares; and a thousand times as much."""
    assert share_out(40e6, [1] * 4, [0] * 4, [INF] * 4) == [10e6] * 4
    assert share_out(40e9, [1] * 4, [0] * 4, [INF] * 4) == [10e9] * 4


def test_no_projects_no_shares() -> None:
    """YARN TestComputeFairShares.testEmptyList."""
    assert share_out(40, [], [], []) == []
    assert divide([40], np.zeros((0, 1))).tasks.tolist() == []


def _order(capacity, used, weights=None) -> list[str]:
    one = {"cpu": 0.001, "memory": 0.001}  # too little to change the order
    projects = [project(name, one, 1, weight=(weights or {}).get(name, 1)) for name in used]
    projects = [replace(each, used=amounts(used[each.name])) for each in projects]
    return [start.project for start in FAIR.decide(snapshot(capacity, *projects)).starts]


def test_f11_mesos_orders_by_weighted_dominant_share() -> None:
    """Mesos DRFSorterTest.WDRF."""
    used = {
        "a": {"cpu": 5, "memory": 5},
        "b": {"cpu": 6, "memory": 6},
        "c": {"cpu": 4, "memory": 4},
        "d": {"cpu": 10, "memory": 20},
    }
    order = _order({"cpu": 100, "memory": 100}, used, {"a": 1, "b": 2, "c": 1, "d": 10})
    assert order == ["d", "b", "c", "a"]


@pytest.mark.parametrize(
    ("used", "order"),
    [
        ({"a": (5, 5), "b": (6, 6)}, "ab"),
        ({"a": (5, 5), "b": (6, 6), "c": (1, 1), "d": (3, 1)}, "cdab"),
        # a has gone, b has given 4 of each back
        ({"b": (2, 2), "c": (1, 1), "d": (3, 1)}, "cbd"),
    ],
)
def test_mesos_orders_by_dominant_share(used, order) -> None:
    """After the first states of Mesos DRFSorterTest.DRF. By hand, shares in percent: 5, 6; 5, 6, 1, 3;
    2, 1, 3."""
    named = {name: {"cpu": cpu, "memory": memory} for name, (cpu, memory) in used.items()}
    assert _order({"cpu": 100, "memory": 100}, named) == list(order)


@pytest.mark.parametrize(("capacity", "first"), [((4000, 5), "s2"), ((8000, 6), "s1")])
def test_f14_the_dominant_resource_moves_with_the_capacity(capacity, first) -> None:
    """YARN TestDominantResourceFairnessPolicy."""
    used = {"s1": {"memory": 2000, "cpu": 1}, "s2": {"memory": 1000, "cpu": 2}}
    assert _order({"memory": capacity[0], "cpu": capacity[1]}, used)[0] == first


def test_who_has_no_weight_comes_last() -> None:
    """Kueue, fair sharing, zero weight: an infinite share, always at a disadvantage."""
    busy = project("busy", {"slots": 1}, 5, used=5)
    nobody = project("a-nobody", {"slots": 1}, 5, weight=0)
    decision = FAIR.decide(snapshot({"slots": 11}, busy, nobody))
    assert [start.project for start in decision.starts] == ["busy"] * 5 + ["a-nobody"]
