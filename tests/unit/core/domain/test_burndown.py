"""The series of what is left of a sprint."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.domain.burndown import Share, points_of, remaining

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def test_it_falls_when_stories_end_and_rises_when_one_joins() -> None:
    shares = [
        Share(points=3, joined_at=at(0), ended_at=at(2)),
        Share(points=5, joined_at=at(-1)),
        Share(points=2, joined_at=at(1), ended_at=at(4)),
    ]
    assert remaining(shares, start=at(0), until=at(3)) == (
        (at(0), 8),
        (at(1), 10),
        (at(2), 7),
        (at(3), 7),
    )


def test_a_sprint_without_stories_is_flat() -> None:
    assert remaining([], start=at(0), until=at(1)) == ((at(0), 0), (at(1), 0))
    assert remaining([], start=at(0), until=at(0)) == ((at(0), 0),)


def test_a_story_without_an_estimate_counts_one() -> None:
    assert [points_of(estimate) for estimate in (None, 0, 8)] == [1, 0, 8]


@st.composite
def a_share(draw: st.DrawFn) -> Share:
    joined = draw(st.integers(-10, 120))
    lasted = draw(st.none() | st.integers(0, 100))
    return Share(
        points=draw(st.integers(0, 20)),
        joined_at=at(joined),
        ended_at=None if lasted is None else at(joined + lasted),
    )


shares = st.lists(a_share(), max_size=12)


@given(shares, st.integers(0, 100))
def test_it_is_never_negative_and_ends_at_what_is_open(found: list[Share], hours: int) -> None:
    series = remaining(found, start=START, until=at(hours))
    assert (series[0][0], series[-1][0]) == (START, at(hours))
    assert all(left >= 0 for _, left in series)
    still_open = [
        share for share in found if share.joined_at <= at(hours) and (share.ended_at or at(999)) > at(hours)
    ]
    assert series[-1][1] == sum(share.points for share in still_open)


@given(shares, st.integers(0, 100))
def test_it_only_rises_where_a_story_joins(found: list[Share], hours: int) -> None:
    series = remaining(found, start=START, until=at(hours))
    joins = {share.joined_at for share in found}
    for (before, more), (after, less) in itertools.pairwise(series):
        assert before < after
        assert less <= more or after in joins
