from __future__ import annotations

from core.github.api.facts import PageKey
from core.github.api.pages import first_page, following, listing_path

AT = "2026-11-22T09:00:{:02d}Z"


def test_the_first_page_begins_a_second_before_the_cursor() -> None:
    assert first_page("2026-11-22T09:00:00Z") == PageKey(since="2026-11-22T08:59:59Z", page=1)
    assert first_page("") == PageKey(since="", page=1)


def test_the_next_page_begins_where_the_last_one_ended() -> None:
    times = [AT.format(second) for second in range(10)]
    after = following(PageKey(since="", page=3), times, has_next=True)
    assert after == PageKey(since=AT.format(8), page=1)


def test_where_too_much_would_come_again_the_number_counts_up() -> None:
    times = [AT.format(0)] * 5 + [AT.format(9)] * 5
    key = PageKey(since="", page=1)
    assert following(key, times, has_next=True) == PageKey(since="", page=2)


def test_a_page_without_a_next_or_without_anything_is_the_last() -> None:
    assert following(PageKey(since="", page=1), [AT.format(1)], has_next=False) is None
    assert following(PageKey(since="", page=1), [], has_next=True) is None


def test_a_path_is_the_same_for_the_same_question() -> None:
    assert listing_path("/issues", PageKey(since=AT.format(1), page=2), state="all") == (
        "/issues?state=all&sort=updated&direction=asc&per_page=100&since=2026-11-22T09%3A00%3A01Z&page=2"
    )
