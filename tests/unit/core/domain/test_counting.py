from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.counting import AUDITED, COUNTED, EVENT_COUNTERS, About, audited, rises_of
from core.domain.event import Event, EventKind
from core.domain.metric import METRICS, MetricKind
from core.security.audit import AuditKind

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def rises(kind: EventKind, about: About | None = None, **data: Any) -> dict[str, float]:
    event = Event(kind=kind, at=NOON, project="shop", story_id="shop-1", data=data)
    return {rise.metric: rise.value for rise in rises_of(event, about or About())}


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (EventKind.PHASE_STARTED, {"phase": "design", "attempt": 1}, {}),
        (EventKind.PHASE_STARTED, {"phase": "design", "attempt": 2}, {"retries": 1}),
        (EventKind.GATE_PASSED, {"phase": "design"}, {"gates_passed": 1}),
        (EventKind.GATE_REFUSED, {"phase": "test_red"}, {"gate_failures": 1}),
        (EventKind.AGENT_FAILED, {"phase": "test_red"}, {"agent_failures": 1}),
        (EventKind.STORY_MERGED, {}, {"stories_done": 1}),
        (EventKind.STORY_SKIPPED, {}, {"stories_failed": 1}),
        (EventKind.STORY_ABORTED, {}, {"stories_failed": 1}),
        (EventKind.NETWORK_USED, {"sent": 3, "received": 0}, {"project_network_sent": 3}),
        (EventKind.CALLS_REFUSED, {"refused": {"rights": 2, "else": 9}}, {"tool_calls_refused": 2}),
        (EventKind.CALLS_REFUSED, {"refused": 7}, {}),
        (EventKind.STORY_ADDED, {}, {}),
    ],
)
def test_what_an_event_adds(kind: EventKind, data: dict[str, Any], expected: dict[str, float]) -> None:
    assert rises(kind, **data) == expected


def test_the_end_of_something_says_how_long_it_took() -> None:
    since = About(since=NOON - timedelta(seconds=90))

    assert rises(EventKind.STORY_MERGED, since)["cycle_time"] == 90
    assert rises(EventKind.APPROVAL_ANSWERED, since) == {"approval_latency": 90}
    assert rises(EventKind.AGENT_FAILED, since, phase="design")["phase_duration"] == 90
    assert rises(EventKind.PHASE_STARTED, since) == {"queue_time": 90}


def test_what_ended_before_it_began_was_not_observed() -> None:
    ahead = About(since=NOON + timedelta(hours=1))

    assert rises(EventKind.STORY_MERGED, ahead) == {"stories_done": 1}
    assert rises(EventKind.APPROVAL_ANSWERED, ahead) == {}


def test_what_a_clock_that_was_put_far_ahead_makes_of_a_time_was_not_observed() -> None:
    assert rises(EventKind.STORY_MERGED, About(since=NOON - timedelta(days=3650))) == {"stories_done": 1}
    assert rises(EventKind.STORY_MERGED, About(since=NOON - timedelta(days=365)))["cycle_time"] == 365 * 86400


@given(st.sampled_from(EventKind), st.dictionaries(st.sampled_from(["phase", "attempt", "sent"]), JSON))
def test_whatever_an_event_says_its_rises_fit_their_metrics(kind: EventKind, data: dict[str, Any]) -> None:
    event = Event(kind=kind, at=NOON, project="shop", data=data)

    for rise in rises_of(event, About(since=NOON, flaky=2, test_seconds=1.5)):
        metric = METRICS[rise.metric]
        assert metric.kind is not MetricKind.GAUGE
        assert tuple(name for name, _ in rise.labels) == metric.labels
        assert rise.value >= 0


def test_an_event_of_no_project_is_no_projects() -> None:
    assert rises_of(Event(kind=EventKind.STORY_MERGED, at=NOON), About()) == ()


def test_kinds_of_the_audit_log_are_those_that_there_are() -> None:
    assert set(AUDITED) <= {kind.value for kind in AuditKind}
    assert all(audited(kind, "shop", NOON) for kind in AUDITED)
    assert audited("isolation_breach", None, NOON) == ()
    assert [rise.metric for rise in audited("audit_broken", None, NOON)] == ["tampering"]
    refused = audited("secret_refused", "shop", NOON)
    assert [rise.metric for rise in refused] == ["tampering", "security_events"]


def test_what_is_counted_from_events_is_a_counter() -> None:
    assert {METRICS[name].kind for name in EVENT_COUNTERS} == {MetricKind.COUNTER}
    assert set(COUNTED) <= set(EventKind)
