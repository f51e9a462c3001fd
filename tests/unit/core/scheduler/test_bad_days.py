"""Crowds, clocks that jump, and what goes away in the middle."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest

from core.domain.story import Priority
from core.scheduler.dynamic import Dynamic
from core.scheduler.fair_share import FairShare
from core.scheduler.priority import PriorityBased
from core.scheduler.resources import UNLIMITED, Resources, total
from core.scheduler.snapshot import ProjectShare, Snapshot, Task

STRATEGIES = (FairShare(), PriorityBased(), Dynamic())
every = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
NEED = Resources(agents=1.0, cpu=0.5, memory_mb=2048.0)
MACHINE = Resources(agents=15.0, cpu=16.0, memory_mb=24 * 1024.0)


def crowd(name: str, count: int, **others) -> ProjectShare:
    return ProjectShare(
        name=name, waiting=tuple(Task(f"{name}-{at:05}", NEED, 0.0) for at in range(count)), **others
    )


@every
def test_ten_thousand_stories_at_once_start_what_fits_and_all_have_a_reason(strategy) -> None:
    """Fifteen agents of 2 GB each on 24 GB: twelve start."""
    world = Snapshot(now=0.0, capacity=MACHINE, projects=(crowd("a", 9000), crowd("b", 1000)))
    decision = strategy.decide(world)
    assert Counter(start.project for start in decision.starts) == {"a": 6, "b": 6}
    assert all(there >= 0.0 for there in decision.free)
    assert sum(len(wait.task_ids) for wait in decision.waits) == 9988
    assert "memory" in decision.why("a-08999")


@every
def test_ten_thousand_different_stories_at_once(strategy) -> None:
    """No two need the same, so that no two lie in one row."""
    tasks = tuple(
        Task(f"t-{at:05}", NEED._replace(memory_mb=100.0 + at / 10.0), float(-at % 97))
        for at in range(10_000)
    )
    decision = strategy.decide(
        Snapshot(now=0.0, capacity=MACHINE, projects=(ProjectShare(name="a", waiting=tasks),))
    )
    assert len(decision.starts) == 15
    assert total([start.demand for start in decision.starts]).fits(MACHINE)


def test_ten_thousand_stories_come_one_by_one_to_a_live_ledger() -> None:
    ledger = FairShare().live(Snapshot(now=0.0, capacity=MACHINE, projects=(crowd("a", 0), crowd("b", 0))))
    started = []
    for at in range(10_000):
        ledger.submit("ab"[at % 2], Task(f"t-{at:05}", NEED, 0.0))
        while (start := ledger.next()) is not None:
            started.append(start)
    assert len(started) == 12
    ledger.release("a", NEED)
    assert [start.project for start in ledger.starts()] == ["a"]


def test_a_project_that_goes_away_frees_what_it_holds_for_the_others() -> None:
    world = Snapshot(now=0.0, capacity=MACHINE, projects=(crowd("a", 20), crowd("b", 20)))
    ledger = FairShare().live(world)
    assert Counter(start.project for start in ledger.starts()) == {"a": 6, "b": 6}
    ledger.remove("a")
    assert Counter(start.project for start in ledger.starts()) == {"b": 6}
    ledger.release("a", NEED)  # an end that was on its way
    ledger.submit("a", Task("a-late", NEED))
    assert not ledger.withdraw("a", "a-00001")
    assert ledger.starts() == []


def test_with_one_place_for_projects_the_next_comes_when_the_first_is_removed() -> None:
    world = Snapshot(
        now=0.0, capacity=MACHINE, projects=(crowd("a", 2), crowd("b", 2)), max_concurrent_projects=1.0
    )
    ledger = FairShare().live(world)
    assert {start.project for start in ledger.starts()} == {"a"}
    ledger.remove("a")
    assert {start.project for start in ledger.starts()} == {"b"}


@every
@pytest.mark.parametrize("jump", [-1e9, -3600.0, 1e12, -math.inf, math.inf, math.nan])
def test_whatever_the_clock_does_as_much_starts(strategy, jump) -> None:
    world = Snapshot(now=1e6 + jump, capacity=MACHINE, projects=(crowd("a", 20), crowd("b", 20)))
    decision = strategy.decide(world)
    assert len(decision.starts) == 12
    assert all("nan" not in part.reason for part in (*decision.starts, *decision.waits))


@every
@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(UNLIMITED._replace(agents=0.0), id="zero"),
        pytest.param(UNLIMITED._replace(agents=-1.0), id="below zero"),
        pytest.param(UNLIMITED._replace(agents=math.nan), id="no number"),
        pytest.param(UNLIMITED._replace(agents=None), id="missing"),
    ],
)
def test_a_project_with_such_a_limit_starts_nothing_and_harms_nobody(strategy, limit) -> None:
    world = Snapshot(now=0.0, capacity=MACHINE, projects=(crowd("a", 20, limit=limit), crowd("b", 20)))
    decision = strategy.decide(world)
    assert Counter(start.project for start in decision.starts) == {"b": 12}
    assert "the limit of a is 0" in decision.why("a-00000")


@every
def test_guarantees_above_the_machine_are_no_reason_to_start_more_than_fits(strategy) -> None:
    promised = Resources(agents=100.0, memory_mb=1e6)
    world = Snapshot(
        now=0.0,
        capacity=MACHINE,
        projects=tuple(crowd(name, 20, guaranteed=promised, lends=0.0) for name in "abc"),
    )
    decision = strategy.decide(world)
    assert Counter(start.project for start in decision.starts) == {"a": 4, "b": 4, "c": 4}
    assert "each is cut to" in decision.problems[0]


def test_a_machine_of_nothing_starts_nothing_and_says_so() -> None:
    for capacity in (Resources(), Resources(agents=5.0)):
        decision = FairShare().decide(Snapshot(now=0.0, capacity=capacity, projects=(crowd("a", 3),)))
        assert decision.starts == ()
        assert "it can never start" in decision.why("a-00000")


def test_one_that_waits_longest_is_served_when_all_others_are_more_important() -> None:
    """Its age alone brings it before the highest tier in the end."""
    important = replace(crowd("a", 20), tier=Priority.CRITICAL)
    patient = ProjectShare(name="z", tier=Priority.LOW, waiting=(Task("z-1", NEED, 0.0),))
    for hours, first in ((1, "a"), (25, "z")):
        fresh = replace(
            important, waiting=tuple(t._replace(submitted_at=hours * 3600.0) for t in important.waiting)
        )
        world = Snapshot(now=hours * 3600.0, capacity=MACHINE, projects=(fresh, patient))
        assert PriorityBased().decide(world).starts[0].project == first
