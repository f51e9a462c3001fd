# ruff: noqa: DTZ001 - the zone is put in where it matters
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.domain.quiet import QuietHours, quiet_until

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Pacific/Apia",  # left out a whole day in 2011
    "Africa/Casablanca",
)
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(start=time(22), end=time(7), time_zone="Europe/Berlin")

minutes = st.integers(0, 1439).map(lambda n: time(n // 60, n % 60))
hours = (
    st.tuples(minutes, minutes, st.sampled_from(ZONES))
    .filter(lambda drawn: drawn[0] != drawn[1])
    .map(lambda drawn: QuietHours(start=drawn[0], end=drawn[1], time_zone=drawn[2]))
)
instants = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


def until(now: datetime, quiet: QuietHours) -> datetime | None:
    return quiet_until(now, quiet, ZoneInfo(quiet.time_zone))


def clock_shows(at: datetime, quiet: QuietHours) -> bool:
    """Whether a clock on the wall is between the two times."""
    shown = at.astimezone(ZoneInfo(quiet.time_zone)).time().replace(tzinfo=None)
    if quiet.start < quiet.end:
        return quiet.start <= shown < quiet.end
    return shown >= quiet.start or shown < quiet.end


def clocks_change(at: datetime, quiet: QuietHours) -> bool:
    """Whether they do within two days."""
    zone = ZoneInfo(quiet.time_zone)
    return len({(at + timedelta(hours=h)).astimezone(zone).utcoffset() for h in range(-48, 49)}) > 1


@given(instants, hours)
def test_quiet_is_what_the_clock_on_the_wall_says(now: datetime, quiet: QuietHours) -> None:
    assume(not clocks_change(now, quiet))
    end = until(now, quiet)
    assert (end is not None) == clock_shows(now, quiet)
    if end is not None:
        assert end.astimezone(ZoneInfo(quiet.time_zone)).time() == quiet.end
        assert end - now <= timedelta(hours=24)


@given(instants, hours)
def test_whoever_is_told_at_the_end_is_not_in_quiet_hours_then(now: datetime, quiet: QuietHours) -> None:
    end = until(now, quiet)
    if end is not None:
        assert now < end
        assert until(end, quiet) is None


@given(instants, hours, st.floats(0, 0.999))
def test_the_end_stays_the_same_until_it_comes(now: datetime, quiet: QuietHours, part: float) -> None:
    end = until(now, quiet)
    assume(end is not None)
    assert end is not None
    assert until(now + (end - now) * part, quiet) == end


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (datetime(2026, 7, 1, 21, 59), None),
        (datetime(2026, 7, 1, 22, 0), datetime(2026, 7, 2, 7, 0)),
        (datetime(2026, 7, 2, 0, 0), datetime(2026, 7, 2, 7, 0)),
        (datetime(2026, 7, 2, 6, 59), datetime(2026, 7, 2, 7, 0)),
        (datetime(2026, 7, 2, 7, 0), None),
        (datetime(2026, 3, 28, 23, 0), datetime(2026, 3, 29, 7, 0)),  # clocks are put forward: 7 hours
        (datetime(2026, 10, 24, 23, 0), datetime(2026, 10, 25, 7, 0)),  # and back: 9 hours
    ],
)
def test_a_night_in_berlin(now: datetime, end: datetime | None) -> None:
    found = quiet_until(now.replace(tzinfo=BERLIN), NIGHT, BERLIN)
    assert found == (end.replace(tzinfo=BERLIN) if end else None)


def test_the_night_on_which_clocks_go_forward_is_an_hour_shorter() -> None:
    began = datetime(2026, 3, 28, 22, 0, tzinfo=BERLIN).astimezone(UTC)
    end = quiet_until(began, NIGHT, BERLIN)
    assert end is not None
    assert end - began == timedelta(hours=8)


def test_an_end_that_is_shown_twice_is_the_later_one() -> None:
    quiet = QuietHours(start=time(22), end=time(2, 30), time_zone="Europe/Berlin")
    end = quiet_until(datetime(2026, 10, 24, 23, 0, tzinfo=BERLIN), quiet, BERLIN)
    assert end == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_an_end_that_is_never_shown_comes_all_the_same() -> None:
    quiet = QuietHours(start=time(22), end=time(2, 30), time_zone="Europe/Berlin")
    end = quiet_until(datetime(2026, 3, 28, 23, 0, tzinfo=BERLIN), quiet, BERLIN)
    assert end == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
