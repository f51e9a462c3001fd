"""Rules that watch metrics, and what becomes of an alert. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """The heaviest first."""

    CRITICAL = "critical"  # somebody should look now
    WARNING = "warning"
    INFO = "info"


_GRAVITY = {severity: place for place, severity in enumerate(reversed(Severity))}


def graver(one: Severity, other: Severity) -> bool:
    """Whether `one` is graver than `other`."""
    return _GRAVITY[one] > _GRAVITY[other]


class Comparison(StrEnum):
    ABOVE = "above"
    BELOW = "below"
    # Against what is normal for the series; the threshold is in robust deviations, below 0: downwards.
    ANOMALOUS = "anomalous"
    SHIFTED = "shifted"  # its level changed and stayed: a change point; likewise
    ABSENT = "absent"  # no data for so many seconds


class Route(StrEnum):
    """Where an alert goes."""

    GUILD = "guild"  # the guild's alert channel
    PROJECT = "project"  # the project's own channel
    DIRECT = "direct"  # messages to who has to look: maintainers of the project, else owners
    WEBHOOK = "webhook"  # monitoring_webhook_url
    SLACK = "slack"  # the project's slack_channel


class AlertState(StrEnum):
    PENDING = "pending"  # breached, not yet for long enough
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"  # somebody looks; told again only when it resolves or becomes graver
    SILENCED = "silenced"  # until a time, or until it becomes critical
    RESOLVED = "resolved"


class AlertFact(StrEnum):
    """What moves an alert."""

    BREACHED = "breached for long enough"
    CLEARED = "back to normal for long enough"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    SILENCE_OVER = "the silence is over"


ALERT: Mapping[tuple[AlertState, AlertFact], AlertState] = {
    (AlertState.PENDING, AlertFact.BREACHED): AlertState.FIRING,
    (AlertState.PENDING, AlertFact.CLEARED): AlertState.RESOLVED,
    (AlertState.PENDING, AlertFact.SILENCED): AlertState.SILENCED,
    (AlertState.FIRING, AlertFact.ACKNOWLEDGED): AlertState.ACKNOWLEDGED,
    (AlertState.FIRING, AlertFact.SILENCED): AlertState.SILENCED,
    (AlertState.FIRING, AlertFact.CLEARED): AlertState.RESOLVED,
    (AlertState.ACKNOWLEDGED, AlertFact.SILENCED): AlertState.SILENCED,
    (AlertState.ACKNOWLEDGED, AlertFact.CLEARED): AlertState.RESOLVED,
    (AlertState.SILENCED, AlertFact.SILENCE_OVER): AlertState.FIRING,
    (AlertState.SILENCED, AlertFact.CLEARED): AlertState.RESOLVED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`match`: labels that a series must have, by name; an absent one fits all. `threshold` in the metric's
    unit. `clears_at`: where it is over again (hysteresis); None: at the threshold. `for_seconds`: so long it
    has to be breached, and so long to be clear. `over`: the span whose mean is judged; 0: the last value.
    `rate`: a counter's rise within the span is judged, not its count. `critical_at`: from there on it is
    critical, whatever `severity` says. `summary`: a sentence with {project}, {labels}, {value}, {threshold}
    and, of what is compared with what is normal, {usual}; `hint`: what to do."""

    id: str
    metric: str
    comparison: Comparison
    threshold: float
    severity: Severity
    summary: str
    hint: str = ""
    match: Mapping[str, str] = field(default_factory=dict)
    clears_at: float | None = None
    critical_at: float | None = None
    for_seconds: float = 60.0
    over: float = 0.0
    rate: bool = False
    routes: tuple[Route, ...] = (Route.GUILD,)
    enabled: bool = True
    built_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule's breaches that belong together: of one project, or of the system. `count`: series that are
    breached now, of which `worst` says the gravest. `until`: of a silence. `seq`: rises with each change;
    who tells it outside keeps to that order.
    """

    id: str
    rule: str
    project: str | None
    state: AlertState
    severity: Severity
    summary: str
    hint: str
    value: float
    since: datetime  # of the breach
    changed_at: datetime
    seq: int
    count: int = 1
    worst: str = ""
    by: str = ""  # who acknowledged or silenced
    until: datetime | None = None
    routes: tuple[Route, ...] = ()
