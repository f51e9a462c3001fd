from __future__ import annotations

import math

import pytest

from core.scheduler.resources import NOTHING, Resources
from core.scheduler.usage import decay_factor, decayed_use, entry_penalty, weighted_use

DAY = 86400.0
TWO = Resources(agents=2.0)


def test_what_is_no_longer_held_is_halved_every_half_life() -> None:
    found = [
        decayed_use(TWO, NOTHING, elapsed_seconds=days * DAY, half_life_seconds=DAY) for days in (0, 1, 2, 10)
    ]
    assert [use.agents for use in found] == pytest.approx([2.0, 1.0, 0.5, 2 / 1024])


def test_the_steps_do_not_matter() -> None:
    """As much in a day as in 1,440 minutes."""
    use = NOTHING
    for _ in range(1440):
        use = decayed_use(use, TWO, elapsed_seconds=60.0, half_life_seconds=DAY)
    assert use.agents == pytest.approx(
        decayed_use(NOTHING, TWO, elapsed_seconds=DAY, half_life_seconds=DAY).agents
    )


@pytest.mark.parametrize("elapsed", [0.0, -1.0, -DAY, math.nan, -math.inf])
def test_a_clock_that_jumped_back_is_no_time_at_all(elapsed) -> None:
    assert decayed_use(TWO, NOTHING, elapsed_seconds=elapsed) == TWO


def test_a_clock_that_jumped_far_ahead_forgets_all() -> None:
    assert decayed_use(TWO, NOTHING, elapsed_seconds=math.inf) == NOTHING


@pytest.mark.parametrize("half_life", [0.0, -1.0, math.nan])
def test_without_a_half_life_only_what_is_held_counts(half_life) -> None:
    assert decay_factor(300.0, half_life) == 1.0
    assert decayed_use(NOTHING, TWO, elapsed_seconds=1.0, half_life_seconds=half_life) == TWO


def test_small_steps_keep_their_digits() -> None:
    assert decay_factor(1e-9, DAY) == pytest.approx(math.log(2) * 1e-9 / DAY, rel=1e-9)


def test_a_hundred_admissions_count_a_hundred_times_at_once() -> None:
    one = entry_penalty(TWO, sample_seconds=DAY, half_life_seconds=DAY)
    assert one.agents == pytest.approx(1.0)
    assert entry_penalty(TWO.times(100), sample_seconds=DAY, half_life_seconds=DAY).agents == pytest.approx(
        100.0
    )


def test_a_weight_makes_use_smaller() -> None:
    assert weighted_use({"cpu": 4.0}, {}, 2.0) == 2.0
    assert weighted_use({}, {"cpu": 2.0}) == 0.0
