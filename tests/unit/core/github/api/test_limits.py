from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.github.api.limits import hear

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
SECONDARY = '{"message": "You have exceeded a secondary rate limit."}'


def reset_in(seconds: int) -> str:
    return str(int((NOW + timedelta(seconds=seconds)).timestamp()))


def test_figures_of_an_answer_are_taken_and_nothing_waits() -> None:
    headers = {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "4999",
        "x-ratelimit-reset": reset_in(60),
    }
    found = hear(200, headers, "", NOW, 0)
    assert (found.limit, found.remaining, found.resets_at) == (5000, 4999, NOW + timedelta(seconds=60))
    assert (found.refused, found.wait_until) == (False, None)


def test_the_hours_last_request_makes_the_next_one_wait() -> None:
    found = hear(200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset_in(60)}, "", NOW, 0)
    assert (found.refused, found.wait_until) == (False, NOW + timedelta(seconds=61))


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "body", "times", "seconds"),
    [
        ({"retry-after": "7"}, SECONDARY, 0, 7),
        ({"retry-after": "0"}, SECONDARY, 0, 1),
        ({"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset_in(600)}, "", 0, 7),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset_in(600)}, "", 0, 601),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset_in(-9)}, "", 0, 60),
        ({}, SECONDARY, 0, 60),
        ({}, SECONDARY, 2, 240),
        ({}, SECONDARY, 50, 3840),
        ({"retry-after": "999999"}, "", 0, 7200),
    ],
)
def test_a_refusal_says_how_long_or_it_is_a_minute_and_more(
    status: int, headers: dict[str, str], body: str, times: int, seconds: int
) -> None:
    found = hear(status, headers, body, NOW, times)
    assert (found.refused, found.wait_until) == (True, NOW + timedelta(seconds=seconds))


def test_a_missing_right_is_no_limit() -> None:
    body = '{"message": "Resource not accessible by personal access token"}'
    headers = {"x-ratelimit-remaining": "12", "x-ratelimit-reset": reset_in(60)}
    assert not hear(403, headers, body, NOW, 0).refused


def test_the_limit_of_searches_is_not_that_of_the_rest() -> None:
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": reset_in(60),
        "x-ratelimit-resource": "search",
    }
    found = hear(200, headers, "", NOW, 0)
    assert (found.limit, found.remaining, found.wait_until) == (None, None, None)
