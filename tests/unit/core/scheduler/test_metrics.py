from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scheduler.metrics import (
    CycleFact,
    HealthFacts,
    Use,
    average_cycle_time_hours,
    health_parts,
    resource_efficiency,
    system_health_score,
    total_stories_completed,
)

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def cycle(hours: float | None, *, done: bool = True) -> CycleFact:
    finished = None if hours is None else AT + timedelta(hours=hours)
    return CycleFact(begun_at=AT, finished_at=finished, done=done)


def test_without_facts_there_is_no_data() -> None:
    assert resource_efficiency([]) is None
    assert average_cycle_time_hours([]) is None
    assert total_stories_completed([]) is None
    assert system_health_score(HealthFacts()) is None


def test_efficiency_is_the_mean_over_resources() -> None:
    uses = [
        Use(resource="agents", allocated=4, used=3),
        Use(resource="agents", allocated=4, used=1),
        Use(resource="memory", allocated=1000, used=1000),
    ]
    assert resource_efficiency(uses) == pytest.approx((0.5 + 1.0) / 2)


def test_one_project_s_excess_does_not_make_up_for_another_s_idleness() -> None:
    uses = [Use(resource="cpu", allocated=2, used=4), Use(resource="cpu", allocated=2, used=0)]
    assert resource_efficiency(uses) == 0.5


@pytest.mark.parametrize("broken", [math.nan, math.inf, -1.0])
def test_a_failed_measurement_is_left_out(broken: float) -> None:
    good = Use(resource="cpu", allocated=2, used=1)
    assert resource_efficiency([good, Use(resource="cpu", allocated=2, used=broken)]) == 0.5
    assert resource_efficiency([good, Use(resource="cpu", allocated=broken, used=1)]) == 0.5
    assert resource_efficiency([Use(resource="cpu", allocated=0, used=1)]) is None
    assert system_health_score(HealthFacts(memory_used_share=broken)) is None


def test_only_done_cycles_tell_how_long_one_takes() -> None:
    facts = [cycle(2), cycle(4), cycle(100, done=False), cycle(None, done=False), cycle(-5)]
    assert average_cycle_time_hours(facts) == 3.0
    assert average_cycle_time_hours([cycle(None, done=False)]) is None


def test_none_completed_is_not_no_data() -> None:
    assert total_stories_completed([cycle(None, done=False)]) == 0
    assert total_stories_completed([cycle(1), cycle(2), cycle(3, done=False)]) == 2


def test_one_broken_part_shows() -> None:
    well = HealthFacts(
        workers_wanted=4, workers_alive=4, stories_open=10, stories_blocked=0, cycles_done=5, cycles_aborted=0
    )
    assert system_health_score(well) == 1.0
    broken = HealthFacts(
        workers_wanted=4, workers_alive=0, stories_open=10, stories_blocked=0, cycles_done=5, cycles_aborted=0
    )
    assert system_health_score(broken) == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize(("used", "part"), [(0.5, 1.0), (0.8, 1.0), (0.9, 0.5), (1.0, 0.0), (3.0, 0.0)])
def test_a_resource_is_short_from_four_fifths_on(used: float, part: float) -> None:
    assert health_parts(HealthFacts(disk_used_share=used)) == {"disk": pytest.approx(part)}


def test_nothing_wanted_says_nothing() -> None:
    facts = HealthFacts(workers_wanted=0, workers_alive=0, stories_open=0, stories_blocked=0, cycles_done=1)
    assert health_parts(facts) == {}


ANY = st.floats(allow_nan=True, allow_infinity=True)
USES = st.lists(st.builds(Use, resource=st.sampled_from("abc"), allocated=ANY, used=ANY))
COUNT = st.none() | st.integers(-3, 10**9)
SHARE = st.none() | ANY
FACTS = st.builds(
    HealthFacts,
    workers_wanted=COUNT, workers_alive=COUNT, stories_open=COUNT, stories_blocked=COUNT,
    cycles_done=COUNT, cycles_aborted=COUNT, memory_used_share=SHARE, disk_used_share=SHARE,
)  # fmt: skip
TIMES = st.datetimes(timezones=st.just(UTC))
CYCLES = st.lists(
    st.builds(CycleFact, begun_at=TIMES, finished_at=st.none() | TIMES, done=st.booleans()), max_size=30
)


@given(USES)
def test_efficiency_is_a_share(uses: list[Use]) -> None:
    found = resource_efficiency(uses)
    assert found is None or 0.0 <= found <= 1.0


@given(USES, st.floats(0, 1e9), st.floats(0, 1))
def test_using_more_of_what_one_has_never_lowers_it(uses: list[Use], allocated: float, share: float) -> None:
    less = resource_efficiency([*uses, Use(resource="a", allocated=allocated, used=allocated * share)])
    more = resource_efficiency([*uses, Use(resource="a", allocated=allocated, used=allocated)])
    assert (less is None) == (more is None)
    assert less is None or more is None or less <= more + 1e-12


@given(CYCLES)
def test_the_mean_lies_between_the_shortest_and_the_longest(facts: list[CycleFact]) -> None:
    hours = [
        (fact.finished_at - fact.begun_at).total_seconds() / 3600
        for fact in facts
        if fact.done and fact.finished_at is not None and fact.finished_at >= fact.begun_at
    ]
    found = average_cycle_time_hours(facts)
    assert (found is None) == (not hours)
    assert found is None or min(hours) * (1 - 1e-12) <= found <= max(hours) * (1 + 1e-12)
    done = total_stories_completed(facts)
    assert done is None or 0 <= done <= len(facts)


@given(FACTS)
def test_health_is_a_share_between_its_worst_and_its_best_part(facts: HealthFacts) -> None:
    found, parts = system_health_score(facts), health_parts(facts)
    assert (found is None) == (not parts)
    assert all(0.0 <= part <= 1.0 for part in parts.values())
    assert found is None or 0.0 <= min(parts.values()) <= found <= max(parts.values()) + 1e-12 <= 1.0 + 1e-12
