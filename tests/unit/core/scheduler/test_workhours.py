from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.scheduler.workhours import Hours, WorkTime, may_work, work_time

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
EVERY_DAY = (*WEEKDAYS, "saturday", "sunday")
ZONES = sorted(available_timezones()) or ["UTC"]
MICROSECOND = timedelta(microseconds=1)


def hours(start: str, end: str, days: tuple[str, ...] = EVERY_DAY, zone: str = "UTC") -> Hours:
    return Hours.named(
        start=time.fromisoformat(start), end=time.fromisoformat(end), days=days, zone=ZoneInfo(zone)
    )


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def test_without_hours_agents_always_work() -> None:
    assert work_time(at("2026-03-01T03:00"), None) == WorkTime(allowed=True, until=None)


@pytest.mark.parametrize(
    ("now", "allowed", "until"),
    [
        ("2026-03-02T08:59:59", False, "2026-03-02T09:00"),  # a Monday
        ("2026-03-02T09:00", True, "2026-03-02T17:00"),
        ("2026-03-02T16:59:59.999999", True, "2026-03-02T17:00"),
        ("2026-03-02T17:00", False, "2026-03-03T09:00"),
        ("2026-03-06T17:00", False, "2026-03-09T09:00"),  # over the weekend
    ],
)
def test_office_hours(now: str, allowed: bool, until: str) -> None:
    office = hours("09:00", "17:00", WEEKDAYS)
    assert work_time(at(now), office) == WorkTime(allowed=allowed, until=at(until))


@pytest.mark.parametrize(
    ("now", "allowed", "until"),
    [
        ("2026-03-06T21:00", False, "2026-03-06T22:00"),  # Friday
        ("2026-03-06T23:00", True, "2026-03-07T06:00"),
        ("2026-03-07T05:59", True, "2026-03-07T06:00"),  # Saturday morning is Friday's night
        ("2026-03-07T23:00", False, "2026-03-13T22:00"),
    ],
)
def test_a_night_belongs_to_the_day_it_began_on(now: str, allowed: bool, until: str) -> None:
    nights = hours("22:00", "06:00", ("friday",))
    assert work_time(at(now), nights) == WorkTime(allowed=allowed, until=at(until))


def test_the_zone_decides_which_day_it_is() -> None:
    mondays = hours("09:00", "17:00", ("monday",), "Pacific/Auckland")
    assert may_work(datetime(2026, 3, 1, 20, 30, tzinfo=UTC), mondays)  # Sunday in London, 09:30 on Monday


def test_a_start_that_clocks_skip_is_the_moment_they_do() -> None:
    early = hours("02:30", "10:00", zone="Europe/Berlin")
    change = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 becomes 03:00
    assert work_time(change - timedelta(hours=1), early) == WorkTime(allowed=False, until=change)
    assert work_time(change, early) == WorkTime(allowed=True, until=at("2026-03-29T10:00", "Europe/Berlin"))


def test_an_hour_shown_twice_is_worked_in_twice() -> None:
    night = hours("02:15", "02:45", zone="Europe/Berlin")
    first = at("2026-10-25T02:15", "Europe/Berlin")
    last = at("2026-10-25T02:45", "Europe/Berlin", fold=1)
    assert last.astimezone(UTC) - first.astimezone(UTC) == timedelta(minutes=90)
    assert work_time(first, night) == WorkTime(allowed=True, until=last.astimezone(UTC))
    assert not may_work(first.astimezone(UTC) - MICROSECOND, night)


def test_half_an_hour_of_summer_time_is_known() -> None:
    howe = hours("02:10", "09:00", zone="Australia/Lord_Howe")
    change = datetime(2026, 10, 3, 15, 30, tzinfo=UTC)  # 02:00 becomes 02:30
    assert work_time(change - timedelta(minutes=1), howe).until == change


def test_a_day_that_a_zone_left_out_has_no_work() -> None:
    fridays = hours("09:00", "17:00", ("friday",), "Pacific/Apia")  # 30 December 2011 never was
    found = work_time(at("2011-12-29T12:00", "Pacific/Apia"), fridays)
    assert found == WorkTime(allowed=False, until=at("2012-01-06T09:00", "Pacific/Apia"))


def test_hours_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidInput, match="same time"):
        hours("09:00", "09:00")
    with pytest.raises(InvalidInput, match="no days"):
        hours("09:00", "17:00", ())
    with pytest.raises(InvalidInput, match="caturday"):
        hours("09:00", "17:00", ("caturday",))
    with pytest.raises(InvalidInput, match="no time zone"):
        may_work(datetime(2026, 3, 2), hours("09:00", "17:00"))  # noqa: DTZ001


MINUTES = st.builds(time, hour=st.integers(0, 23), minute=st.integers(0, 59))
INSTANTS = st.datetimes(
    min_value=datetime(1905, 1, 1),  # noqa: DTZ001
    max_value=datetime(2037, 12, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@st.composite
def any_hours(draw: st.DrawFn) -> Hours:
    start, end = draw(MINUTES), draw(MINUTES)
    assume(start != end)
    days = draw(st.frozensets(st.integers(0, 6), min_size=1))
    return Hours(start=start, end=end, days=days, zone=ZoneInfo(draw(st.sampled_from(ZONES))))


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[datetime, Hours]:
    """An instant within two days of one at which the zone's offset changes, where it has any."""
    found = draw(any_hours())
    now = draw(INSTANTS)
    for _ in range(60):
        before, after = (t.astimezone(found.zone).utcoffset() for t in (now, now + timedelta(days=7)))
        if before != after:
            break
        now += timedelta(days=7)
    return now + timedelta(seconds=draw(st.integers(-172800, 777600))), found


def by_the_wall_clock(now: datetime, found: Hours) -> bool:
    """The plain reading of the configuration, where a clock shows the time once."""
    wall = now.astimezone(found.zone).replace(tzinfo=None)
    for day in (wall.date(), wall.date() - timedelta(days=1)):
        last = day if found.start < found.end else day + timedelta(days=1)
        if day.weekday() in found.days and (
            datetime.combine(day, found.start) <= wall < datetime.combine(last, found.end)
        ):
            return True
    return False


def shown_twice(now: datetime, found: Hours) -> bool:
    local = now.astimezone(found.zone)
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


@given(near_a_change())
def test_it_is_what_the_wall_clock_says(case: tuple[datetime, Hours]) -> None:
    now, found = case
    if shown_twice(now, found):
        assert may_work(now, found) >= by_the_wall_clock(now, found)
    else:
        assert may_work(now, found) == by_the_wall_clock(now, found)


@given(near_a_change(), st.floats(0, 1, exclude_max=True))
@example((datetime(2011, 12, 29, tzinfo=UTC), hours("00:00", "23:59", zone="Pacific/Apia")), 0.5)
@example((datetime(1969, 9, 30, tzinfo=UTC), hours("00:00", "23:59", zone="Pacific/Kwajalein")), 0.5)
def test_nothing_changes_until_the_next_change_and_then_it_does(
    case: tuple[datetime, Hours], share: float
) -> None:
    now, found = case
    state = work_time(now, found)
    assert state.until is not None
    assert state.until > now
    between = now + (state.until - now) * share
    if between < state.until:
        assert work_time(between, found) == state
    assert may_work(state.until - MICROSECOND, found) is state.allowed
    assert may_work(state.until, found) is not state.allowed
