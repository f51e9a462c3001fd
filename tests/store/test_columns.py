from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.store import columns

text = st.text(alphabet=st.characters(exclude_categories=()))  # lone surrogates and NUL too
texts = st.lists(text, max_size=3).map(tuple)
evidence = st.builds(
    Evidence,
    tree=text,
    runner=text,
    **dict.fromkeys(("command", "base_passed", "red", "green", "flaky", "changed_files", "notes"), texts),
    passed_count=st.integers(0, 10**9),
    exit_code_only=st.booleans(),
    seconds=st.floats(0, 1e6),
)
verdicts = st.builds(
    Verdict,
    phase=st.sampled_from(Phase),
    refusals=st.lists(
        st.builds(Refusal, code=st.sampled_from(RefusalCode), sentence=text, tests=texts, files=texts),
        max_size=3,
    ).map(tuple),
    evidence=evidence,
)


@given(verdicts)
def test_a_verdict_comes_back_as_it_went(verdict: Verdict) -> None:
    stored = columns.to_verdict(verdict)
    assert stored.isascii()
    assert columns.from_verdict(stored) == verdict


def test_a_verdict_of_another_program_version_is_read_as_far_as_known() -> None:
    stored = '{"phase": "design", "mood": 1, "evidence": {"tree": "t", "colour": "red"}}'
    verdict = columns.from_verdict(stored)
    assert verdict == Verdict(phase=Phase.DESIGN, evidence=Evidence(tree="t"))


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_come_back_and_sort_as_text(one: datetime, other: datetime) -> None:
    assert columns.from_time(columns.to_time(one)) == one
    assert (columns.to_time(one) < columns.to_time(other)) == (one < other)


def test_a_time_of_another_zone_is_stored_as_utc() -> None:
    at = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert columns.to_time(at) == "2026-02-28T23:30:00.000000+00:00"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        columns.to_time(datetime(2026, 3, 1))  # noqa: DTZ001


@given(text)
def test_any_text_can_be_stored(value: str) -> None:
    stored = columns.to_text(value)
    assert stored.encode().decode() == stored
    if not any("\ud800" <= letter <= "\udfff" for letter in value):
        assert stored == value
