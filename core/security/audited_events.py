"""Which events of the work the audit log keeps: what people decided, and what tried to get out. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.domain.event import Event, EventKind
from core.domain.evidence import RefusalCode
from core.security.audit import AuditKind

_KINDS: Mapping[EventKind, AuditKind] = {
    EventKind.APPROVAL_REQUESTED: AuditKind.APPROVAL_ASKED,
    EventKind.APPROVAL_ANSWERED: AuditKind.APPROVAL_ANSWERED,
    EventKind.AUTO_APPROVED: AuditKind.APPROVAL_ANSWERED,
    EventKind.STORIES_APPROVED: AuditKind.APPROVAL_ANSWERED,
    EventKind.APPROVAL_REFUSED_ATTEMPT: AuditKind.ACCESS_DENIED,
    EventKind.PROJECT_REGISTERED: AuditKind.SETTINGS_CHANGED,
    EventKind.PROJECT_ARCHIVED: AuditKind.SETTINGS_CHANGED,
    EventKind.PROJECT_REOPENED: AuditKind.SETTINGS_CHANGED,
    EventKind.BUDGET_RAISED: AuditKind.SETTINGS_CHANGED,
    EventKind.GITHUB_LINKED: AuditKind.SETTINGS_CHANGED,
    EventKind.GITHUB_UNLINKED: AuditKind.SETTINGS_CHANGED,
    EventKind.LIMIT_BREACHED: AuditKind.ISOLATION_BREACH,
    EventKind.NETWORK_DENIED: AuditKind.EGRESS_DENIED,
}
# What a gate saw of somebody who was about more than the work.
_BREACHES = (
    RefusalCode.TAMPERED,
    RefusalCode.FOREIGN_COMMIT,
    RefusalCode.WROTE_OUTSIDE,
    RefusalCode.FLOODED,
)
_TOLD = (
    *("approval", "kind", "state", "by", "how", "level", "question", "reason", "approve", "why"),
    *("host", "port", "what", "phase", "epic"),
    *("path", "raise", "scope", "unit", "until", "resource", "program", "text"),
    *("repository", "rule", "severity"),
)
_NOBODY = "orchard"  # did what follows from what was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What its row says, beside the project."""

    kind: AuditKind
    actor: str
    subject: str
    data: Mapping[str, str | int | None]


def kept_of(event: Event) -> Kept | None:
    """None for what is of no weight."""
    if event.kind is EventKind.ALERT_CHANGED:
        return None if event.actor == _NOBODY else _alert_answered(event)
    kind, refused = _KINDS.get(event.kind), _got_out(event)
    if kind is None and not refused:
        return None
    data = _told(event)
    return Kept(
        kind=kind or AuditKind.ISOLATION_BREACH,
        actor=str(event.data.get("by") or event.actor),
        subject=str(event.data.get("approval") or event.story_id or ""),
        data={**data, **refused, "event": event.kind.value},
    )


def _told(event: Event) -> dict[str, str | int | None]:
    return {
        name: value
        for name, value in event.data.items()
        if name in _TOLD and isinstance(value, str | int | bool | None)
    }


def _alert_answered(event: Event) -> Kept:
    """`by` of its data is who silenced it, also where another ends that."""
    return Kept(
        kind=AuditKind.ALERT_ANSWERED,
        actor=event.actor,
        subject=str(event.data.get("id", "")),
        data={**_told(event), "event": event.kind.value},
    )


def _got_out(event: Event) -> dict[str, str]:
    """Of a gate's refusal: what it refused for, where that is a breach."""
    if event.kind is not EventKind.GATE_REFUSED:
        return {}
    refusals = [one for one in event.data.get("refusals", ()) if one.get("code") in _BREACHES]
    if not refusals:
        return {}
    codes = dict.fromkeys(str(one["code"]) for one in refusals)
    return {"refused": ", ".join(codes), "why": str(refusals[0].get("sentence", ""))[:1000]}
