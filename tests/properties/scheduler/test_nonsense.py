"""Whatever comes in, a decision comes out, and it promises nothing that is not there."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from core.scheduler.dynamic import Dynamic
from core.scheduler.fair_share import FairShare
from core.scheduler.priority import PriorityBased
from core.scheduler.quota import quotas
from core.scheduler.resources import total
from core.scheduler.soundness import is_sound, make_sound
from tests.properties.scheduler.worlds import nonsenses

STRATEGIES = (FairShare(), PriorityBased(), Dynamic())
every = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)


def known(amount) -> float:
    """What may be counted on: what is no number, or below zero, is nothing."""
    try:
        number = float(amount)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if number >= 0 else 0.0


@every
@given(several=nonsenses)
def test_nonsense_gives_a_defined_result(strategy, several) -> None:
    for world in several:
        decision = strategy.decide(world)
        for part in (*decision.starts, *decision.waits, *decision.preemptions, *decision.allocations):
            assert part.reason
        for start in decision.starts:
            assert is_sound(start.demand)
        grown = total([start.demand for start in decision.starts])
        for more, there in zip(grown, world.capacity, strict=True):
            assert not more or more <= known(there) * (1 + 1e-9) + 1e-9
        for project in world.projects:
            own = [start.demand for start in decision.starts if start.project == project.name]
            limits = [one.limit for one in world.projects if one.name == project.name]
            for at, more in enumerate(total(own)):
                assert not more or more <= max(known(limit[at]) for limit in limits) * (1 + 1e-9) + 1e-9
        for one in decision.allocations:
            assert not any(math.isnan(amount) or amount < 0 for amount in one.amounts)
        quotas(decision.allocations, make_sound(world).snapshot.capacity)


@given(several=nonsenses)
def test_what_was_made_sound_is_sound(several) -> None:
    for world in several:
        sound = make_sound(world)
        assert make_sound(sound.snapshot).problems == ()
        names = [project.name for project in sound.snapshot.projects]
        assert names == sorted(set(names))


@given(several=nonsenses)
def test_a_live_ledger_of_nonsense_starts_what_a_pass_starts(several) -> None:
    for world in several:
        assert tuple(FairShare().live(world).starts()) == FairShare().decide(world).starts
