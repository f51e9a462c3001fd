"""What a plan becomes in the store: its moves in one transaction; where a person was first, they stay."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from core.domain.alert import Alert, AlertFact, Rule, Severity, graver
from core.domain.alert_rules import routes_of
from core.errors import LostRace
from core.monitoring.alerts.evaluation import Verdict
from core.monitoring.alerts.planning import Move
from core.monitoring.alerts.wording import sentence
from core.store import alerts
from core.store.transaction import Transaction

log = logging.getLogger(__name__)


def record(tx: Transaction, moves: Iterable[Move]) -> tuple[Alert, ...]:
    """The alerts that changed so that somebody may hear of it. What moved on meanwhile is left to the next
    look."""
    changed = []
    for move in moves:
        try:
            if (alert := _record(tx, move)) is not None:
                changed.append(alert)
        except LostRace as race:
            log.info("%s", race)
    return tuple(changed)


def _record(tx: Transaction, move: Move) -> Alert | None:
    rule, alert, verdict = move.rule, move.alert, move.verdict
    if alert is None:
        assert rule is not None
        assert verdict is not None
        begun = _begin(tx, rule, move, verdict)
        return _fire(tx, begun, None, rule) if begun is not None and move.fires else None
    if rule is not None and verdict is not None:
        alerts.refresh(
            tx,
            alert,
            value=verdict.value,
            count=verdict.count,
            worst=verdict.worst,
            summary=_said(rule, move.project, verdict),
        )
    match move.fact:
        case AlertFact.BREACHED:
            assert rule is not None
            return _fire(tx, alert, move.severity, rule)
        case None:
            if move.severity is None or rule is None:
                return None
            return alerts.aggravate(tx, alert, move.severity, routes_of(rule, move.severity))
        case fact:
            more = () if move.severity is None or rule is None else routes_of(rule, move.severity)
            return alerts.move(tx, alert, fact, severity=move.severity, routes=more)


def _begin(tx: Transaction, rule: Rule, move: Move, verdict: Verdict) -> Alert | None:
    severity = move.severity or rule.severity
    return alerts.begin(
        tx,
        rule=rule.id,
        project=move.project,
        severity=severity,
        summary=_said(rule, move.project, verdict),
        hint=rule.hint,
        value=verdict.value,
        count=verdict.count,
        worst=verdict.worst,
        routes=routes_of(rule, severity),
    )


def _fire(tx: Transaction, alert: Alert, severity: Severity | None, rule: Rule) -> Alert:
    """In silence, where the last one of its kind was silenced until later than now, and was not lighter."""
    routes = () if severity is None else routes_of(rule, severity)
    quiet = alerts.silence_of(tx.conn, alert.rule, alert.project, tx.now)
    until: datetime | None = None if quiet is None else quiet.until
    if quiet is None or until is None or graver(severity or alert.severity, quiet.severity):
        return alerts.move(tx, alert, AlertFact.BREACHED, severity=severity, routes=routes)
    return alerts.move(
        tx,
        alert,
        AlertFact.SILENCED,
        by=quiet.by,
        until=until,
        severity=severity,
        routes=routes,
        actor=alerts.ORCHARD,
    )


def _said(rule: Rule, project: str | None, verdict: Verdict) -> str:
    return sentence(
        rule,
        project=project,
        worst=verdict.worst,
        count=verdict.count,
        value=verdict.value,
        usual=verdict.usual,
    )
