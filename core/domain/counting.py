"""What each event adds to the counts and observations. PURE.

An event is counted once; what it does not say itself the store looks up beside it (`About`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.domain.event import Event, EventKind
from core.domain.metric import METRICS, Labels, MetricKind, Series, labels_of
from core.domain.refused_call import RefusedCall

COUNTED = (
    EventKind.PHASE_STARTED,
    EventKind.GATE_PASSED,
    EventKind.GATE_REFUSED,
    EventKind.AGENT_FAILED,
    EventKind.STORY_MERGED,
    EventKind.STORY_SKIPPED,
    EventKind.STORY_ABORTED,
    EventKind.APPROVAL_ANSWERED,
    EventKind.NETWORK_USED,
    EventKind.CALLS_REFUSED,
)
LONGEST_SECONDS = 366 * 86400.0  # what seems to have taken longer was measured by a clock that was set
PHASE_ENDS = (EventKind.GATE_PASSED, EventKind.GATE_REFUSED, EventKind.AGENT_FAILED)
# What the audit log keeps, by the kind of its rows (core.security.audit.AuditKind).
SECURITY = ("isolation_breach", "egress_denied", "secret_refused")
LOGINS = ("login_failed", "locked_out")
ACCESS = ("access_denied",)
TAMPERING = ("audit_broken", "secret_refused")
AUDITED = (*SECURITY, *LOGINS, *ACCESS, "audit_broken")
EVENT_COUNTERS = (
    *("project_network_sent", "project_network_received", "gate_failures", "gates_passed", "flaky_tests"),
    *("retries", "agent_failures", "tool_calls_refused", "stories_done", "stories_failed", "security_events"),
    *("logins_refused", "access_refused", "tampering"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """A counter rose by `value`, or something was observed that took `value`."""

    metric: str
    labels: Labels
    at: datetime
    value: float

    @property
    def series(self) -> Series:
        return self.metric, self.labels

    @property
    def is_observation(self) -> bool:
        return METRICS[self.metric].kind is MetricKind.OBSERVATION


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What stands beside an event in the store; None: nothing does. `since`: when that began which the event
    ends, or for a phase that started, when it was ready to. `test_seconds`: of a gate's own test runs, None
    where it remembered their result."""

    since: datetime | None = None
    test_seconds: float | None = None
    flaky: int = 0


def rises_of(event: Event, about: About) -> tuple[Rise, ...]:
    """Nothing for an event of no project. What a clock that was put back makes negative, or one that was put
    forth longer than a year, is left out."""
    if event.project is None:
        return ()
    found = (_rise(event, metric, value, label) for metric, value, label in _of(event, about))
    return tuple(
        rise
        for rise in found
        if (0 <= rise.value <= LONGEST_SECONDS if rise.is_observation else rise.value > 0)
    )


def _of(event: Event, about: About) -> Iterator[tuple[str, float, str]]:
    phase = str(event.data.get("phase") or "")
    took = None if about.since is None else (event.at - about.since).total_seconds()
    if event.kind in PHASE_ENDS and took is not None:
        yield "phase_duration", took, phase
    match event.kind:
        case EventKind.PHASE_STARTED:
            if _number(event.data.get("attempt")) > 1:
                yield "retries", 1, ""
            if took is not None:
                yield "queue_time", took, ""
        case EventKind.GATE_PASSED | EventKind.GATE_REFUSED:
            passed = event.kind is EventKind.GATE_PASSED
            yield "gates_passed" if passed else "gate_failures", 1, phase
            yield "flaky_tests", about.flaky, ""
            if about.test_seconds is not None:
                yield "test_duration", about.test_seconds, ""
        case EventKind.AGENT_FAILED:
            yield "agent_failures", 1, ""
        case EventKind.STORY_MERGED:
            yield "stories_done", 1, ""
            if took is not None:
                yield "cycle_time", took, ""
        case EventKind.STORY_SKIPPED | EventKind.STORY_ABORTED:
            yield "stories_failed", 1, ""
        case EventKind.APPROVAL_ANSWERED if took is not None:
            yield "approval_latency", took, ""
        case EventKind.NETWORK_USED:
            yield "project_network_sent", _number(event.data.get("sent")), ""
            yield "project_network_received", _number(event.data.get("received")), ""
        case EventKind.CALLS_REFUSED:
            said = event.data.get("refused")
            refused: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
            for reason in RefusedCall:
                yield "tool_calls_refused", _number(refused.get(reason)), reason.value
        case _:
            return


def _rise(event: Event, metric: str, value: float, label: str) -> Rise:
    """`label`: of the metric's own one beside the project."""
    assert event.project is not None
    labels = {"project": event.project, "phase": label, "reason": label}
    return Rise(metric=metric, labels=labels_of(metric, **labels), at=event.at, value=float(value))


def audited(kind: str, project: str | None, at: datetime) -> tuple[Rise, ...]:
    """Of a row of the audit log. What was refused to no project is the system's alone."""
    if kind in LOGINS:
        return (Rise(metric="logins_refused", labels=(), at=at, value=1.0),)
    if kind in ACCESS:
        return (Rise(metric="access_refused", labels=(), at=at, value=1.0),)
    found: list[Rise] = []
    if kind in TAMPERING:
        found.append(Rise(metric="tampering", labels=(), at=at, value=1.0))
    if kind in SECURITY and project is not None:
        found.append(Rise(metric="security_events", labels=(("project", project),), at=at, value=1.0))
    return tuple(found)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
