"""What an answer to a delivery means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.monitoring.delivery.answer import Answer, origin_of
from core.monitoring.delivery.verdict import LONGEST_PAUSE_SECONDS, Remedy, judge, retry_after, waiting

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
URL = "https://hooks.example/services/T/B/secret"


def answer(status: int, words: str = "", **headers: str) -> Answer:
    return Answer(status=status, words=words, headers=headers)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (200, Remedy.NONE),
        (204, Remedy.NONE),
        (302, Remedy.MEND),
        (400, Remedy.DROP),
        (401, Remedy.MEND),
        (403, Remedy.MEND),
        (404, Remedy.MEND),
        (408, Remedy.WAIT),
        (410, Remedy.MEND),
        (413, Remedy.DROP),
        (429, Remedy.WAIT),
        (500, Remedy.WAIT),
        (503, Remedy.WAIT),
    ],
)
def test_each_status(status: int, remedy: Remedy) -> None:
    said = judge(answer(status, "no_service"), URL, 0, 0.5, NOW)
    assert said.remedy is remedy
    assert "secret" not in said.reason
    assert (said.pause_seconds > 0) == (remedy in (Remedy.WAIT, Remedy.MEND))


def test_it_says_where_a_redirect_leads_but_not_its_path() -> None:
    said = judge(answer(302, location="https://other.example/token/abc"), URL, 0, 0.0, NOW)
    assert "https://other.example (" in said.reason
    assert "abc" not in said.reason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("999999999999999999", 3600.0),
        ("Mon, 04 May 2026 12:01:30 GMT", 90.0),
        ("Mon, 04 May 2026 11:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("１２", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after(text: str, seconds: float) -> None:
    assert retry_after(text, NOW) == seconds


def test_pauses_double_up_to_a_limit_and_never_shrink_below_what_is_asked() -> None:
    pauses = [waiting(failures, 0.0) for failures in range(40)]
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    asked = judge(answer(503, **{"retry-after": "1800"}), URL, 2, 0.9, NOW)
    assert asked.pause_seconds == 1800


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example:8443/x?y", "https://a.example:8443"),
        ("http://user:pass@a.example/x", "http://a.example"),
        ("http://[::1]:9/x", "http://[::1]:9"),
        ("http://[", "the address"),
    ],
)
def test_an_address_is_named_without_what_may_be_secret(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_an_answer_that_repeats_the_address_does_not_tell_it_on() -> None:
    url = "https://hooks.example.com/services/T0000000/B0000000/aSecretOfTheirs?key=anotherOne"
    for words in (f"no route {url}", "cannot POST /services/T0000000/B0000000/aSecretOfTheirs?key=anotherOne",
                  "unknown: aSecretOfTheirs, key=anotherOne"):  # fmt: skip
        said = judge(Answer(status=404, headers={}, words=words), url, 0, 0.0, NOW).reason
        assert "ecret" not in said
        assert "anotherOne" not in said
        assert said.startswith("https://hooks.example.com answered 404: ")
