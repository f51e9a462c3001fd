"""Who acknowledged and silenced what is in the audit log; what is only measured is not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from config.loader import load
from core.bus import Bus
from core.clock import SystemClock
from core.domain.alert import Alert, AlertFact, Route, Severity
from core.security.audit import AuditKind
from core.security.vault import Vault
from core.store import alert_tellings, alerts, audit
from core.store.transaction import Transaction

CLOCK = SystemClock()


def fire(tx: Transaction) -> Alert:
    begun = alerts.begin(
        tx, rule="hot", project=None, severity=Severity.WARNING, summary="x", hint="", value=1.0, count=1,
        worst="", routes=(Route.WEBHOOK,),
    )  # fmt: skip
    assert begun is not None
    return alerts.move(tx, begun, AlertFact.BREACHED)


async def test_answers_are_audited_with_who_gave_them(tmp_path: Path) -> None:
    vault = Vault(load(tmp_path, environ={}), environ={})
    until = CLOCK.now() + timedelta(hours=1)

    def live(tx: Transaction) -> str:
        alert = alerts.move(tx, fire(tx), AlertFact.ACKNOWLEDGED, by="user:ann")
        alert = alerts.aggravate(tx, alert, Severity.CRITICAL, ())
        alert = alerts.move(tx, alert, AlertFact.SILENCED, by="discord:7", until=until)
        alert = alerts.prolong(tx, alert, until + timedelta(hours=1), by="cli")
        alert = alerts.move(tx, alert, AlertFact.CLEARED)
        return alerts.forget_silence(tx, alert, by="user:bo").id

    async with vault.open_store(clock=CLOCK, bus=Bus()) as store:
        alert_id = await store.write(live)
        kept = await store.read(lambda conn: audit.entries(conn, kind=AuditKind.ALERT_ANSWERED))
        told = await store.read(lambda conn: alert_tellings.find(conn, alert_id, Route.WEBHOOK))
        seq = (await store.read(lambda conn: alerts.get(conn, alert_id))).seq
        assert (await store.read(vault.auditor.verify)).sound
    assert {row.subject for row in kept} == {alert_id}
    said = [(row.actor, row.data["state"]) for row in kept]
    assert said == [
        ("user:ann", "acknowledged"),
        ("discord:7", "silenced"),
        ("cli", "silenced"),
        ("user:bo", "resolved"),
    ]
    assert kept[0].data["rule"] == "hot"
    assert told is not None
    assert told.told_seq < seq  # also who ends a silence that outlasted its alert is told outside
