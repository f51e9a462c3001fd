"""What GitHub, or whatever stands in its place, answers: any JSON, any headers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum

from hypothesis import given
from hypothesis import strategies as st

from core.github.api.check_parsers import newest, parse_check_run, parse_status
from core.github.api.facts import PageKey
from core.github.api.limits import hear
from core.github.api.pages import first_page, following
from core.github.api.parsers import (
    every,
    parse_annotation,
    parse_comment,
    parse_issue,
    parse_json,
    parse_label,
    parse_milestone,
    parse_permission,
    parse_pull,
    parse_release,
    parse_repository,
    parse_review,
    parse_review_comment,
    time_of,
)
from core.github.api.refusals import refusal, words_of

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
PARSERS: list[Callable[[object], object]] = [
    parse_annotation,
    parse_check_run,
    parse_comment,
    parse_issue,
    parse_label,
    parse_milestone,
    parse_permission,
    parse_pull,
    parse_release,
    parse_repository,
    parse_review,
    parse_review_comment,
    parse_status,
]
# Read as words, since it is a long list.
_NAMES = (
    "id number title body state labels name milestone assignees login user type html_url message "
    "merged_at url issue_url created_at updated_at pull_request head base ref sha repo full_name permissions "
    "merged status mergeable conclusion output summary text annotations_count app slug context "
    "description path start_line tag_name role_name permission state_reason started_at submitted_at line "
    "commit_id"
)
NAMES = st.sampled_from(_NAMES.split())
WORDS = st.sampled_from(
    [
        "open",
        "closed",
        "completed",
        "success",
        "APPROVED",
        "2026-11-22T09:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "\ud800",
        "\0",
        "x" * 300,
        "https://x/repos/a/b/issues/12",
        "admin",
        "9" * 30,
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | WORDS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner, max_size=8),
    max_leaves=25,
)
# With what makes a fact of it, so that the rest is read too.
FACTS = st.builds(
    lambda rest, more: {**rest, **more},
    st.dictionaries(NAMES, JSON, max_size=20),
    st.fixed_dictionaries(
        {"id": st.integers(0, 2**63 - 1), "number": st.integers(0, 2**53), "name": st.text(min_size=1)},
        optional={"full_name": st.text(), "context": st.text()},
    ),
)


def keeps(value: object) -> None:
    """What the store takes: valid UTF-8, whole numbers of 64 bits, nothing else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            keeps(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            keeps(each)
    elif isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, int):
        assert 0 <= value < 2**63
    else:
        assert value is None or isinstance(value, Enum), value


@given(st.sampled_from(PARSERS), JSON | FACTS)
def test_any_json_is_a_fact_that_can_be_kept_or_none(
    parse: Callable[[object], object], value: object
) -> None:
    keeps(parse(value))
    keeps(every([value, value], parse))


@given(st.text() | st.binary())
def test_any_body_is_json_or_nothing(body: str | bytes) -> None:
    keeps(every(parse_json(body), parse_issue))


def test_deep_and_endless_numbers_are_no_json() -> None:
    assert parse_json("[" * 200_000) is None
    assert parse_json("9" * 5000) is None


@given(st.text() | st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat))
def test_any_time_is_in_one_form_or_empty(text: str) -> None:
    found = time_of(text)
    assert found == "" or datetime.fromisoformat(found).tzinfo is not None
    assert time_of(found) == found


@given(
    st.lists(
        st.builds(
            dict,
            name=st.sampled_from("ab"),
            app=st.just({}),
            id=st.integers(0, 9),
            **{"status": st.sampled_from(["queued", "completed"]), "started_at": WORDS | st.none()},
        )
    )
)
def test_any_list_of_checks_has_one_of_each_name(values: list[object]) -> None:
    runs = every(values, parse_check_run)
    names = [run.check.name for run in newest(runs)]
    assert names == sorted({run.check.name for run in runs})


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "x-ratelimit-resource",
            "retry-after",
        ]
    ),
    st.sampled_from(
        ["0", "1", "60", "-1", "1e400", "nan", "", "core", "soon", str(int(NOW.timestamp()) + 60)]
    )
    | st.text(),
)


@given(st.integers(100, 599), HEADERS, st.text() | JSON.map(json.dumps), st.integers(0, 10**6))
def test_any_headers_are_a_wait_that_ends(
    status: int, headers: dict[str, str], body: str, times: int
) -> None:
    found = hear(status, headers, body, NOW, times)
    assert not found.refused or found.wait_until is not None
    if found.wait_until is not None:
        assert NOW < found.wait_until <= NOW + timedelta(hours=2, seconds=1)


@given(
    st.sampled_from([401, 403, 404, 405, 409, 410, 422, 429, 451, 500, 502]), JSON.map(json.dumps) | st.text()
)
def test_any_refusal_is_told_in_a_line(status: int, body: str) -> None:
    error = refusal(status, body, what="read it", credential="GITHUB_TOKEN", changes=False)
    assert len(words_of(body)) <= 300
    assert "\n" not in str(error)
    str(error).encode("utf-8")


@given(
    st.lists(
        st.integers(0, 86_400).map(lambda second: time_of((NOW + timedelta(seconds=second)).isoformat()))
    ),
    st.text() | WORDS,
    st.integers(1, 10**6),
)
def test_any_page_is_followed_by_a_later_one(times: list[str], since: str, page: int) -> None:
    key = PageKey(since=first_page(since).since, page=page)
    after = following(key, times, has_next=True)
    if after is not None:
        assert (after.since, after.page) > (key.since, key.page)
