"""What a place hears of an alert's change, by what it heard before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.domain.alert import Alert, AlertState, Severity, graver
from core.monitoring.delivery.news import News, Told, after, news, read

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
S = AlertState


def alert(state: AlertState, severity: Severity = Severity.WARNING) -> Alert:
    return Alert(
        id="alert_1",
        rule="cpu_high",
        project="shop",
        state=state,
        severity=severity,
        summary="x",
        hint="",
        value=1.0,
        since=AT,
        changed_at=AT,
        seq=3,
    )


def told(state: AlertState, severity: Severity = Severity.WARNING) -> Told:
    return Told(state=state, severity=severity)


@pytest.mark.parametrize(
    ("before", "now", "hears"),
    [
        (None, S.PENDING, News.NOTHING),
        (None, S.FIRING, News.FIRST),
        (None, S.ACKNOWLEDGED, News.NOTHING),
        (None, S.SILENCED, News.NOTHING),
        (None, S.RESOLVED, News.OVER),
        (S.FIRING, S.FIRING, News.NOTHING),
        (S.FIRING, S.ACKNOWLEDGED, News.NOTHING),
        (S.FIRING, S.SILENCED, News.NOTHING),
        (S.FIRING, S.RESOLVED, News.OVER),
        (S.ACKNOWLEDGED, S.RESOLVED, News.OVER),
        (S.SILENCED, S.RESOLVED, News.OVER),
        (S.SILENCED, S.FIRING, News.AGAIN),
        (S.RESOLVED, S.RESOLVED, News.NOTHING),
        (S.ACKNOWLEDGED, S.ACKNOWLEDGED, News.NOTHING),
    ],
)
def test_each_pair_of_states(before: AlertState | None, now: AlertState, hears: News) -> None:
    assert news(before and told(before), alert(now)) is hears


@pytest.mark.parametrize("state", [S.FIRING, S.ACKNOWLEDGED])
def test_what_got_graver_is_told_whoever_looks_at_it(state: AlertState) -> None:
    assert news(told(state), alert(state, Severity.CRITICAL)) is News.GRAVER


@pytest.mark.parametrize("state", [S.PENDING, S.SILENCED])
def test_what_is_silent_is_told_of_nothing(state: AlertState) -> None:
    assert news(told(S.FIRING), alert(state, Severity.CRITICAL)) is News.NOTHING


def test_milder_and_as_grave_again_is_told_once() -> None:
    known = after(told(S.FIRING, Severity.CRITICAL), alert(S.FIRING, Severity.WARNING))
    assert known.severity is Severity.CRITICAL
    assert news(known, alert(S.FIRING, Severity.CRITICAL)) is News.NOTHING


def test_what_was_told_is_read_as_it_was_written() -> None:
    for state in AlertState:
        for severity in Severity:
            assert read(str(told(state, severity))) == told(state, severity)
    assert read("") is None
    assert read("burning hot") is None


def test_the_heaviest_is_the_gravest() -> None:
    assert graver(Severity.CRITICAL, Severity.WARNING)
    assert graver(Severity.WARNING, Severity.INFO)
    assert not graver(Severity.INFO, Severity.INFO)
