"""Priorities against Slurm's documentation of its multifactor plugin
(https://slurm.schedmd.com/priority_multifactor.html). P numbers: the project's own list of oracles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.story import Priority
from core.scheduler.priority import (
    PriorityBased,
    PriorityWeights,
    age_factor,
    fair_share_factor,
    normalised_priorities,
)
from core.scheduler.resources import Resources
from tests.oracles.instances import parked, project, snapshot, started

DAY = 86400.0
PRIORITY = PriorityBased()


def test_p1_set_priorities_are_normalised_by_the_highest() -> None:
    assert normalised_priorities(5000, [20, 10]) == [5000, 2500]


def test_p2_weights_add_up_and_age_saturates() -> None:
    weights = PriorityWeights(fair_share=5000, size=1000, age=1000)
    assert weights.maximum == 7000
    assert weights.priority(fair_share=1, age=1, size=1) == 7000
    assert weights.priority(fair_share=1, age=age_factor(99 * DAY, 7 * DAY), size=1) == 7000


def test_p3_small_differences_are_told_apart() -> None:
    """Slurm cuts priorities to whole numbers, so a weight of 10 makes 0.595 and 0.500 the same. Ours are not
    cut: the order is right with small weights too."""
    factors = [0.59534, 0.50002]
    assert [int(10 * factor) for factor in factors] == [5, 5]
    small = PriorityWeights(fair_share=10, age=0, size=0)
    first, second = (small.priority(fair_share=factor, age=0, size=0) for factor in factors)
    assert first > second
    large = PriorityWeights(fair_share=1000, age=0, size=0)
    assert [int(large.priority(fair_share=factor, age=0, size=0)) for factor in factors] == [595, 500]


def _with(name: str, *, tier=Priority.NORMAL, used=0, **task):
    """A project with one task."""
    made = project(name, {"slots": 1}, 1, used=used, tier=tier)
    return replace(made, waiting=(made.waiting[0]._replace(**task),))


@pytest.mark.parametrize(
    ("later", "sooner"),
    [
        pytest.param({"reserved": True}, {"may_preempt": True}, id="may pre-empt before reservation"),
        pytest.param({"tier": Priority.CRITICAL}, {"reserved": True}, id="reservation before tier"),
        pytest.param({}, {"tier": Priority.HIGH, "used": 3}, id="tier before priority"),
        pytest.param({"used": 2, "submitted_at": -50.0}, {}, id="priority before time of submission"),
        pytest.param({}, {"submitted_at": -1e-3}, id="time of submission before id"),
    ],
)
def test_p5_the_order_is_total(later, sooner) -> None:
    decision = PRIORITY.decide(snapshot({"slots": 20}, _with("a", **later), _with("z", **sooner)))
    assert [start.project for start in decision.starts] == ["z", "a"]


def test_p5_the_id_breaks_the_last_tie() -> None:
    projects = [_with("a", id="2"), _with("b", id="1")]
    decision = PRIORITY.decide(snapshot({"slots": 20}, *projects))
    assert [start.task_id for start in decision.starts] == ["1", "2"]


def test_fair_share_is_a_half_for_who_uses_its_share() -> None:
    """Slurm, classic fair share (https://slurm.schedmd.com/classic_fair_share.html): F = 2^(-U/S)."""
    factors = [fair_share_factor(used, 0.2) for used in (0.0, 0.2, 0.4)]
    assert factors == pytest.approx([1.0, 0.5, 0.25])


def test_age_rises_evenly_to_the_maximum_age() -> None:
    """Slurm: PriorityMaxAge, 7 days by default."""
    assert [age_factor(days * DAY, 7 * DAY) for days in (0, 3.5, 7, 8)] == [0, 0.5, 1, 1]


def test_a_task_that_needs_the_whole_machine_has_size_one() -> None:
    """Slurm, job size: a job that requests all the nodes gets a factor of 1.0."""
    assert Resources(cpu=16, memory_mb=1).share(Resources(cpu=16, memory_mb=4096)) == 1.0
    large = project("z", {"slots": 8}, 1)
    small = project("a", {"slots": 1}, 1)
    decision = PRIORITY.decide(snapshot({"slots": 8}, small, large))
    assert started(decision) == {"z": 1}  # else equal
    favoured = replace(PRIORITY, favour_small=True).decide(snapshot({"slots": 8}, small, large))
    assert started(favoured) == {"a": 1}


def test_only_lower_tiers_are_pre_empted() -> None:
    """Kubernetes, pod priority and preemption: victims have a lower priority than who pre-empts."""
    wants = _with("wants", tier=Priority.HIGH, may_preempt=True)
    same = project("same", {"slots": 1}, 0, used=2, tier=Priority.HIGH)
    low = project("low", {"slots": 1}, 0, used=2, tier=Priority.LOW)
    assert parked(PRIORITY.decide(snapshot({"slots": 4}, wants, same, low))) == {"low": 1}
    assert parked(PRIORITY.decide(snapshot({"slots": 2}, wants, same))) == {}
