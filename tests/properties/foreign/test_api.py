"""Whatever a query of the API holds: it is read, or refused; and what was made is read as it was."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.web.api.paging import cursor_of, text_of
from bot.web.api.route import tags_of
from bot.web.api.timerange import LONGEST, MOST_POINTS, Granularity, read_range
from core.errors import InvalidInput

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
granularities = st.none() | st.sampled_from(Granularity)
nows = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
texts = (
    st.text(max_size=60)
    | st.from_regex(r"[0-9]{1,6}[mhdwy]", fullmatch=True)
    | st.builds("{}/{}".format, st.datetimes(), st.datetimes())
    | st.builds(lambda a, b: f"{a.isoformat()}Z/{b.isoformat()}+14:00", st.datetimes(), st.datetimes())
)


@given(text=texts, granularity=granularities)
def test_any_time_range_is_read_or_refused(text, granularity):
    with contextlib.suppress(InvalidInput):
        found = read_range(text, granularity, NOW)
        assert found.since.tzinfo is UTC
        assert timedelta() < found.until - found.since <= LONGEST
        points = (found.until - found.since).total_seconds() / found.granularity.seconds
        assert points <= MOST_POINTS
        assert granularity in (None, found.granularity)


@given(hours=st.integers(1, 20_000), granularity=granularities, now=nows)
def test_so_many_hours_back_are_so_many_hours_in_whole_spans(hours, granularity, now):
    with contextlib.suppress(InvalidInput):
        found = read_range(f"{hours}h", granularity, now)
        span = timedelta(seconds=found.granularity.seconds)
        assert timedelta() <= found.until - now < span
        assert timedelta() <= now - timedelta(hours=hours) - found.since < span
        assert {at.timestamp() % span.total_seconds() for at in (found.since, found.until)} == {0}


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_cursor_is_read_as_it_was_made(text):
    assert text_of(cursor_of(text)) == text


@given(cursor=st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{0,40}={0,2}", fullmatch=True))
def test_any_cursor_is_one_that_was_made_or_refused(cursor):
    with contextlib.suppress(InvalidInput):
        assert cursor_of(text_of(cursor)) == cursor


@given(said=st.text(max_size=80) | st.lists(st.text(max_size=10).map('"{}"'.format)).map(", ".join))
def test_any_list_of_tags_is_read(said):
    for tag in tags_of(said):
        assert tag in said
        assert tag.endswith('"')
