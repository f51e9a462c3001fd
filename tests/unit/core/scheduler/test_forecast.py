from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from core.scheduler.forecast import (
    HOURS,
    Durations,
    WeekProfile,
    expected_resources,
    forecast,
    hour_of_week,
)
from core.scheduler.resources import Resources

MONDAY_9 = datetime(2024, 1, 8, 9, 0, tzinfo=UTC).timestamp()
HOUR, WEEK = 3600.0, 7 * 86400.0


def busy_on_mondays(weeks: int = 6) -> WeekProfile:
    """Four agents each Monday from nine to ten, nothing else in the week."""
    profile = WeekProfile()
    for week in range(weeks):
        for hour in range(HOURS):
            at = MONDAY_9 + week * WEEK + hour * HOUR
            for part in range(12):
                profile = profile.observe(at=at + part * 300.0, agents=4.0 if hour == 0 else 0.0)
    return profile


def test_the_hours_of_the_week_begin_on_monday() -> None:
    assert hour_of_week(MONDAY_9) == 9
    assert hour_of_week(MONDAY_9 + 6 * 86400) == 6 * 24 + 9
    assert hour_of_week(0.0) == 3 * 24  # 1 January 1970 was a Thursday
    assert hour_of_week(-HOUR) == 3 * 24 - 1


def test_a_habit_is_foreseen_and_at_other_times_nothing() -> None:
    profile = busy_on_mondays()
    before = MONDAY_9 + 6 * WEEK - 600.0
    assert profile.wanted(before, 1200.0) == pytest.approx(
        3.0, abs=0.8
    )  # the mean of the week still counts a bit
    assert profile.wanted(before - 5 * HOUR, 1200.0) < 0.1


def test_an_hour_hardly_seen_leans_on_the_week() -> None:
    profile = WeekProfile().observe(at=MONDAY_9, agents=100.0, seconds=60.0)
    for hour in range(1, 50):
        profile = profile.observe(at=MONDAY_9 + hour * HOUR, agents=1.0, seconds=HOUR)
    assert 1.0 < profile.wanted(MONDAY_9, 0.0) < 5.0


def test_recent_weeks_count_more() -> None:
    profile = WeekProfile()
    for week in range(20):
        profile = profile.observe(at=MONDAY_9 + week * WEEK, agents=0.0 if week < 10 else 8.0, seconds=HOUR)
    assert profile.means[9] > 6.0


@pytest.mark.parametrize(
    "sample",
    [
        {"at": math.nan, "agents": 1.0},
        {"at": math.inf, "agents": 1.0},
        {"at": 0.0, "agents": math.nan},
        {"at": 0.0, "agents": -1.0},
        {"at": 0.0, "agents": math.inf},
        {"at": 0.0, "agents": 1.0, "seconds": 0.0},
        {"at": 0.0, "agents": 1.0, "seconds": -5.0},
        {"at": 0.0, "agents": 1.0, "seconds": math.inf},
    ],
)
def test_a_sample_that_makes_no_sense_changes_nothing(sample) -> None:
    assert WeekProfile().observe(**sample) == WeekProfile()


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_a_length_that_makes_no_sense_changes_nothing(seconds) -> None:
    assert Durations(mean_seconds=60.0, count=3).observe(seconds) == Durations(mean_seconds=60.0, count=3)


def test_the_mean_length_follows_the_last_ones() -> None:
    durations = Durations()
    for _ in range(20):
        durations = durations.observe(60.0)
    assert durations.mean_seconds == pytest.approx(60.0)
    for _ in range(60):
        durations = durations.observe(600.0)
    assert durations.mean_seconds == pytest.approx(600.0, rel=0.1)


def guess(backlog: int, *, mean: float = 600.0, count: int = 5, horizon: float = 3600.0, **others):
    return forecast(
        now=MONDAY_9,
        horizon_seconds=horizon,
        profile=others.pop("profile", WeekProfile()),
        durations=Durations(mean_seconds=mean, count=count),
        backlog_phases=backlog,
        **others,
    )


@pytest.mark.parametrize(
    ("backlog", "given", "agents"),
    [
        pytest.param(12, {}, 2.0, id="Little: 12 of 10 minutes in an hour keep 2 busy"),
        pytest.param(1, {}, 1.0, id="at least one"),
        pytest.param(0, {}, 0.0, id="nothing waits"),
        pytest.param(3, {"mean": 1e9}, 3.0, id="no more than there are phases"),
        pytest.param(12, {"most_agents": 1.0}, 1.0, id="no more than may be"),
        pytest.param(4, {"count": 0}, 4.0, id="of unknown length: all at once"),
        pytest.param(-3, {}, 0.0, id="below zero is nothing"),
        pytest.param(4, {"horizon": 0.0}, 1.0, id="no horizon"),
        pytest.param(4, {"most_agents": -1.0}, 0.0, id="none may be"),
    ],
)
def test_the_backlog_keeps_agents_busy(backlog, given, agents) -> None:
    found = guess(backlog, **given)
    assert found.agents == pytest.approx(agents)
    counted = "1 agent" if agents == 1 else f"{agents:g} agents"
    assert found.reason.startswith(f"is expected to want {counted} within ")


def test_the_words_name_what_is_known() -> None:
    profile = WeekProfile(means=(5.0,) * HOURS, weights=(9.0,) * HOURS)
    usual = "is expected to want 5 agents within 60 minutes: 5 as usual at this time of the week"
    assert guess(0, profile=profile).reason == usual
    assert guess(1, profile=profile, count=0).reason == f"{usual}, 1 for the phase that waits"
    assert guess(12, profile=profile).reason == f"{usual}, 2 for the 12 phases that wait, 10 minutes each"
    assert guess(3, profile=profile, mean=2.0).reason == f"{usual}, 1 for the 3 phases that wait"


def test_the_larger_of_habit_and_backlog_counts() -> None:
    profile = WeekProfile(means=(5.0,) * HOURS, weights=(9.0,) * HOURS)
    found = guess(12, profile=profile)
    assert (found.by_week, found.by_backlog, found.agents) == (
        pytest.approx(5.0),
        pytest.approx(2.0),
        found.by_week,
    )


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_when_it_is_not_known_what_time_it_is_the_mean_of_the_week_is_expected(now) -> None:
    profile = WeekProfile(means=(5.0,) * HOURS, weights=(9.0,) * HOURS)
    assert profile.wanted(now, 600.0) == pytest.approx(5.0)


def test_what_agents_need_is_expected_of_every_resource() -> None:
    each = Resources(agents=1.0, cpu=0.5, memory_mb=1024.0)
    assert expected_resources(guess(12), each) == pytest.approx(each.times(2.0))
