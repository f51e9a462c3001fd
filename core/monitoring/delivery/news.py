"""Whether a change of an alert is worth telling people where something was told before. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.domain.alert import Alert, AlertState, Severity, graver


class News(StrEnum):
    """What a place is to hear."""

    NOTHING = "nothing"
    FIRST = "first"  # it fires
    GRAVER = "graver"  # than what was told there
    AGAIN = "again"  # the silence is over, and it still fires
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How an alert was told last: its state, and the gravest severity that was told."""

    state: AlertState
    severity: Severity

    def __str__(self) -> str:
        """As `read` takes it."""
        return f"{self.state} {self.severity}"


def read(text: str) -> Told | None:
    """What was told last; None: nothing, or words of another version. Raises nothing."""
    state, _, severity = text.partition(" ")
    try:
        return Told(state=AlertState(state), severity=Severity(severity))
    except ValueError:
        return None


def after(before: Told | None, alert: Alert) -> Told:
    """What is known to have been told, once the alert was looked at as it is now. One that gets milder and
    then as grave as before is told once."""
    severity = alert.severity
    if before is not None and graver(before.severity, severity):
        severity = before.severity
    return Told(state=alert.state, severity=severity)


def news(before: Told | None, alert: Alert) -> News:
    """What is to be told of the alert as it is now. Whoever acknowledged or silenced it knows of it, and the
    others need not be called; what was over before anybody was told is told as over."""
    state = alert.state
    if state in (AlertState.PENDING, AlertState.SILENCED):
        return News.NOTHING
    if before is None:
        first = {AlertState.FIRING: News.FIRST, AlertState.RESOLVED: News.OVER}
        return first.get(state, News.NOTHING)
    if state is AlertState.RESOLVED:
        return News.NOTHING if before.state is AlertState.RESOLVED else News.OVER
    if graver(alert.severity, before.severity):
        return News.GRAVER
    if state is AlertState.FIRING and before.state is AlertState.SILENCED:
        return News.AGAIN
    if state is AlertState.FIRING and before.state is AlertState.RESOLVED:
        return News.FIRST
    return News.NOTHING
