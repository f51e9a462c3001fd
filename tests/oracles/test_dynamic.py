"""Decay, penalties and reclaims against Kueue's documentation (admission fair sharing; KEP-4136) and the
tests of Hadoop YARN's ProportionalCapacityPreemptionPolicy, by their names. D numbers: the project's own list
of oracles."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from core.scheduler.dynamic import Dynamic
from core.scheduler.reclaim import reaches, took_from
from core.scheduler.resources import NOTHING, Resources
from core.scheduler.snapshot import Reclaimed
from core.scheduler.usage import decayed_use, entry_penalty, weighted_use
from tests.oracles.instances import parked, project, snapshot, started

DYNAMIC = Dynamic()
HALF_LIFE = 168 * 3600.0


def test_d1_use_comes_near_what_is_held_by_half_lives() -> None:
    held = Resources(agents=2.0)
    use, seen = NOTHING, []
    for sample in range(1, 3 * 168 * 12 + 1):
        use = decayed_use(use, held, elapsed_seconds=300, half_life_seconds=HALF_LIFE)
        assert use.agents < 2.0
        if sample % (168 * 12) == 0:
            seen.append(use.agents)
    assert seen == pytest.approx([1.0, 1.5, 1.75])


@pytest.mark.parametrize(
    ("used", "weights", "expected"),
    [({"gpu": 2}, {"gpu": 3}, 6), ({"cpu": 4, "gpu": 2}, {"cpu": 1, "gpu": 5}, 14)],
)
def test_d2_resources_have_weights(used, weights, expected) -> None:
    assert weighted_use(used, weights) == expected


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan])
def test_d2_without_a_weight_use_is_infinite(weight) -> None:
    assert weighted_use({"cpu": 0}, {}, weight) == math.inf


@pytest.mark.parametrize("history_weight", [0.0, 0.5, 1.0])
def test_d3_a_burst_does_not_take_every_slot(history_weight) -> None:
    strategy = Dynamic(history_weight=history_weight)
    decision = strategy.decide(
        snapshot({"slots": 10}, project("a-burst", {"slots": 1}, 100), project("b", {"slots": 1}, 5))
    )
    assert started(decision) == {"a-burst": 5, "b": 5}


def test_d3_the_penalty_is_the_request_times_alpha() -> None:
    alpha = 1 - 0.5 ** (300 / HALF_LIFE)
    assert entry_penalty(Resources(agents=3)).agents == pytest.approx(3 * alpha)


def _queues(guaranteed, used, pending, **others):
    return [
        project(
            name, {"slots": 1}, pending[at], used=used[at], guaranteed={"slots": guaranteed[at]}, **others
        )
        for at, name in enumerate("ABCD"[: len(used)])
    ]


def test_d4_the_one_furthest_above_its_guarantee_gives_back() -> None:
    """YARN testPreemptCycle: C at 200 %, B at 150 %; after ten both are at 150 %. Ours splits the 100 by
    weight among the three, never below a guarantee: 40, 40, 20, the same."""
    decision = DYNAMIC.decide(snapshot({"slots": 100}, *_queues([40, 40, 20], [0, 60, 40], [10, 0, 0])))
    assert parked(decision) == {"C": 10}


def test_two_give_back_until_they_are_level() -> None:
    """YARN testPerQueueDisablePreemption, with nothing disabled: 4 of B and 6 of C for A's 10, after which
    they stand at 50 and 40 of 25 and 20."""
    decision = DYNAMIC.decide(snapshot({"slots": 100}, *_queues([55, 25, 20], [0, 54, 46], [10, 0, 0])))
    assert parked(decision) == {"B": 4, "C": 6}


def test_who_is_not_preemptible_keeps_what_it_has() -> None:
    """YARN testPerQueueDisablePreemption, with B's pre-emption disabled: all 10 come from C."""
    projects = _queues([55, 25, 20], [0, 54, 46], [10, 0, 0])
    stuck = tuple(task._replace(preemptible=False) for task in projects[1].running)
    projects[1] = replace(projects[1], running=stuck)
    assert parked(DYNAMIC.decide(snapshot({"slots": 100}, *projects))) == {"C": 10}


def test_d6_within_the_dead_zone_nothing_is_reclaimed() -> None:
    """YARN testDeadzone: 43 of 40 and 21 of 20 are within 10 %."""
    projects = _queues([40, 40, 20], [39, 43, 21], [10, 0, 0])
    assert parked(DYNAMIC.decide(snapshot({"slots": 100}, *projects))) == {}
    strict = replace(DYNAMIC, reclaim=replace(DYNAMIC.reclaim, dead_zone=0.0))
    assert parked(strict.decide(snapshot({"slots": 103}, *projects))) == {"B": 1}  # so the zone it was


def test_d7_for_nobody_nothing_is_reclaimed() -> None:
    """YARN testIgnore."""
    assert (
        parked(DYNAMIC.decide(snapshot({"slots": 100}, *_queues([40, 40, 20], [0, 60, 40], [0, 0, 0])))) == {}
    )


def test_d8_nothing_is_reclaimed_for_who_is_at_its_own_maximum() -> None:
    """YARN testMaxCap: B may have 45 at most and has them, so A keeps its 55 of 40."""
    projects = _queues([40, 40, 20], [55, 45, 0], [10, 10, 0])
    strict = replace(DYNAMIC, reclaim=replace(DYNAMIC.reclaim, dead_zone=0.0))
    bound = replace(projects[1], limit=Resources(*[45.0] * 6))
    assert parked(strict.decide(snapshot({"slots": 100}, projects[0], bound, projects[2]))) == {}


def test_two_that_borrow_are_levelled_outside_the_dead_zone_only() -> None:
    """YARN testOverCapacityImbalance: both hold more than their 40, C wants nothing. Hadoop 2 takes 5 of A
    for B, Hadoop 3 never does for one that borrows itself. Ours goes by what each is entitled to, 50, and
    leaves A alone with its 55 while that is within the dead zone."""
    world = snapshot({"slots": 100}, *_queues([40, 40, 20], [55, 45, 0], [10, 10, 0]))
    assert parked(DYNAMIC.decide(world)) == {}
    strict = replace(DYNAMIC, reclaim=replace(DYNAMIC.reclaim, dead_zone=0.0))
    assert parked(strict.decide(world)) == {"A": 5}


def test_only_as_much_as_is_wanted_and_nothing_from_who_is_below() -> None:
    """YARN testProportionalPreemption, whose capacities are our weights: D wants nothing, so 100 go
    10 : 40 : 20 and C is due 28.6. The first 15 come from A, which holds twice its 14.3, down to 15; whole
    tasks never bring one below its due, while YARN rounds and takes 16. The others come from B, down to 58 of
    its 57.1."""
    shares = {"A": (10, 30, 20), "B": (40, 60, 5), "C": (20, 10, 20), "D": (30, 0, 0)}
    projects = [
        project(name, {"slots": 1}, pending, used=used, weight=weight)
        for name, (weight, used, pending) in shares.items()
    ]
    strict = replace(DYNAMIC, reclaim=replace(DYNAMIC.reclaim, dead_zone=0.0))
    assert parked(strict.decide(snapshot({"slots": 100}, *projects))) == {"A": 15, "B": 2}


def _pair(history):
    """A waits below its due, B is above its own."""
    return snapshot(
        {"slots": 10},
        project("A", {"slots": 1}, 3, used=0),
        project("B", {"slots": 1}, 0, used=10),
        reclaimed=tuple(Reclaimed(taker=taker, victim=victim, at=-60.0) for taker, victim in history),
    )


@pytest.mark.parametrize(
    ("history", "allowed"),
    [
        pytest.param([], True, id="nothing happened"),
        pytest.param([("A", "B")], True, id="A took from B before"),
        pytest.param([("B", "A")], False, id="B took from A"),
        pytest.param([("B", "C"), ("C", "A")], False, id="B took from C, C from A"),
        pytest.param([("B", "C"), ("C", "D"), ("D", "A")], False, id="a chain of three"),
        pytest.param([("B", "C"), ("A", "C")], True, id="no chain to A"),
    ],
)
def test_d9_no_ping_pong(history, allowed) -> None:
    """Kueue, fair sharing: who was reclaimed from may not reclaim back, nor along a chain."""
    assert bool(parked(DYNAMIC.decide(_pair(history)))) is allowed


def test_d9_after_the_cool_down_it_may() -> None:
    took = took_from([Reclaimed(taker="B", victim="A", at=0.0)], 1000.0, 900.0)
    assert not reaches(took, "B", "A")
