"""Fair shares of one resource in whole tasks, where laws hold that do not hold for several resources."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from core.scheduler.fair_share import FairShare
from tests.properties.scheduler.worlds import slot_world, slot_worlds

FAIR = FairShare()


def started(there, projects) -> Counter:
    return Counter(start.project for start in FAIR.decide(slot_world(there, projects)).starts)


@given(several=slot_worlds)
def test_nothing_is_left_while_somebody_waits(several) -> None:
    for there, projects in several:
        assert sum(started(there, projects).values()) == min(there, sum(tasks for _, _, tasks in projects))


@given(several=slot_worlds)
def test_sharing_incentive(several) -> None:
    """Equal weights: nobody has less than an equal part, rounded down (with weights that does not hold)."""
    for there, projects in several:
        same = [(name, 1.0, tasks) for name, _, tasks in projects]
        found = started(there, same)
        for name, _, tasks in same:
            assert found[name] >= min(tasks, there // len(same))


@given(several=slot_worlds)
def test_nobody_envies_another_more_than_one_task(several) -> None:
    """By weight, who still waits: taking one task away from the other, it would not have less than I."""
    for there, projects in several:
        found = started(there, projects)
        for name, weight, tasks in projects:
            for other, others, _ in projects:
                if found[name] < tasks:
                    assert found[name] / weight >= (found[other] - 1) / others - 1e-9


@given(several=slot_worlds, more=st.integers(1, 5))
def test_with_more_there_nobody_has_less(several, more) -> None:
    for there, projects in several:
        before, after = started(there, projects), started(there + more, projects)
        assert all(after[name] >= before[name] for name, _, _ in projects)


@given(several=slot_worlds)
def test_when_one_leaves_nobody_has_less(several) -> None:
    for there, projects in several:
        before, after = started(there, projects), started(there, projects[1:])
        assert all(after[name] >= before[name] for name, _, _ in projects[1:])


@given(several=slot_worlds, more=st.integers(1, 5))
def test_asking_for_more_than_one_needs_brings_nothing(several, more) -> None:
    """Strategy-proofness: who pretends to have more tasks gets no more of its true ones, and no fewer."""
    for there, projects in several:
        if projects:
            (name, weight, tasks), *others = projects
            honest = started(there, projects)[name]
            lied = started(there, [(name, weight, tasks + more), *others])[name]
            assert min(lied, tasks) == honest


@given(several=slot_worlds)
def test_a_heavier_weight_never_brings_less(several) -> None:
    for there, projects in several:
        if projects:
            (name, weight, tasks), *others = projects
            before = started(there, projects)[name]
            assert started(there, [(name, weight * 2, tasks), *others])[name] >= before
