from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from core.scheduler.custom import CustomStrategy
from tests.oracles.instances import project, snapshot, started

WORLD = snapshot({"slots": 4}, project("a", {"slots": 1}, 9), project("b", {"slots": 1}, 9, weight=3))


@pytest.fixture
def own() -> Iterator[Callable[[str], CustomStrategy]]:
    made: list[CustomStrategy] = []

    def make(name: str) -> CustomStrategy:
        made.append(
            CustomStrategy(f"tests.unit.core.scheduler.own_strategies:{name}", time_limit_seconds=1.0)
        )
        return made[-1]

    yield make
    for strategy in made:
        strategy.close()


def test_a_good_one_decides(own) -> None:
    decision = own("Halves").decide(WORLD)
    assert started(decision) == {"a": 2, "b": 2}  # by weight it would be 1 and 3
    assert decision.problems == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Greedy", "gives away 8 agents of 4"),
        ("Raises", "ZeroDivisionError: no projects today"),
        ("Hangs", "took longer than 1 s and was stopped"),
        ("Dies", "ended its process"),
        ("Nonsense", "agents of a is nan"),
        ("NoStrategy", "is no subclass of SchedulingStrategy"),
        ("Missing", "has no attribute 'Missing'"),
    ],
)
def test_a_bad_one_is_refused_and_shares_are_fair(own, name, said) -> None:
    decision = own(name).decide(WORLD)
    assert said in decision.problems[0]
    assert started(decision) == {"a": 1, "b": 3}


def test_the_last_good_allocation_stays(own) -> None:
    strategy = own("GoodOnce")
    even = replace(WORLD, projects=tuple(replace(one, weight=1.0) for one in WORLD.projects))
    assert started(strategy.decide(even)) == {"a": 1, "b": 3}
    later = strategy.decide(replace(even, now=1.0))
    assert "not twice" in later.problems[0]
    assert "last good allocation stays" in later.problems[0]
    assert started(later) == {"a": 1, "b": 3}


def test_one_that_hangs_is_not_asked_again_at_once(own) -> None:
    strategy = own("Hangs")
    strategy.decide(WORLD)
    began = time.monotonic()
    assert strategy.decide(replace(WORLD, now=30.0)).problems
    assert time.monotonic() - began < 0.5
