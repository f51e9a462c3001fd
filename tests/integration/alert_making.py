"""Alerts put into the store, without anything that is measured."""

from __future__ import annotations

from typing import Any

from core.domain.alert import Alert, AlertFact, Route, Severity
from core.store import alerts
from core.store.database import Store
from core.store.transaction import Transaction


async def fire(
    store: Store,
    rule: str = "cpu_high",
    *,
    project: str | None = "shop",
    severity: Severity = Severity.WARNING,
    summary: str = "The processor is busy",
    routes: tuple[Route, ...],
) -> Alert:
    def work(tx: Transaction) -> Alert:
        begun = alerts.begin(
            tx, rule=rule, project=project, severity=severity, summary=summary, hint="Look at it.",
            value=0.97, count=1, worst="shop-1", routes=routes,
        )  # fmt: skip
        assert begun is not None
        return alerts.move(tx, begun, AlertFact.BREACHED)

    return await store.write(work)


async def move(store: Store, alert: Alert, fact: AlertFact, **more: Any) -> Alert:
    return await store.write(lambda tx: alerts.move(tx, alerts.get(tx.conn, alert.id), fact, **more))
