import random

import pytest

from bot.discord.pacing import Backoff, IdentifyBudget

DAY = 86_400.0


def test_pauses_double_from_five_seconds_to_two_minutes() -> None:
    pauses = [Backoff().delay(failures, 0.0) for failures in range(1, 8)]
    assert pauses == [5, 10, 20, 40, 80, 120, 120]


def test_chance_only_lengthens_a_pause() -> None:
    for failures in range(1, 2000, 37):
        assert 5 <= Backoff().delay(failures, random.random()) <= 150


@pytest.mark.parametrize("eagerness_seconds", [0.0, 1.0, 5.0, 90.0])
def test_however_eager_fewer_than_a_thousand_identifies_in_any_day(eagerness_seconds: float) -> None:
    budget, now, taken = IdentifyBudget(), 0.0, []
    while now < 2 * DAY:
        wait = budget.take(now)
        if wait == 0.0:
            taken.append(now)
        now += max(wait, eagerness_seconds, 0.001)
    busiest = max(sum(at <= other < at + DAY for other in taken) for at in taken[::20])
    assert busiest < 1000


def test_a_quiet_bot_never_waits() -> None:
    budget = IdentifyBudget()
    assert all(budget.take(hour * 3600.0) == 0.0 for hour in range(100))
