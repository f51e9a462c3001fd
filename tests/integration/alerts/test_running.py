"""Deliveries as a part of the running Orchard: by the settings as they are, and as they become."""

from __future__ import annotations

from pathlib import Path

from config.loader import load
from core.domain.alert import Alert, AlertFact, Route, Severity
from core.orchestrator.commands.admission import admitted
from core.runtime import Runtime, open_runtime
from core.security.access import AT_THE_MACHINE
from core.store import alerts
from core.store.database import Transaction
from tests.integration.alerts.conftest import OpenReceiver, Received, Receiver, answering
from tests.waiting import until


async def fire(runtime: Runtime, rule: str) -> None:
    def work(tx: Transaction) -> Alert:
        begun = alerts.begin(
            tx, rule=rule, project=None, severity=Severity.WARNING, summary="x", hint="", value=1.0,
            count=1, worst="", routes=(Route.WEBHOOK,),
        )  # fmt: skip
        assert begun is not None
        return alerts.move(tx, begun, AlertFact.BREACHED)

    await runtime.store.write(work)


async def test_it_delivers_by_the_settings_and_follows_them(tmp_path: Path, receiver: OpenReceiver) -> None:
    wrong, right = await receiver(answering(404, b"no such hook")), await receiver()
    file = tmp_path / "orch-config.yaml"
    file.write_text(f"global:\n  monitoring_webhook_url: {wrong.url}\n")
    environ = {"MONITORING_WEBHOOK_SECRET": "0123456789abcdef0123456789abcdef"}
    async with open_runtime(lambda: load(tmp_path, environ=environ)) as runtime:
        commands = admitted(runtime.commands, AT_THE_MACHINE)
        await fire(runtime, "one")
        (trouble,) = await until(commands.alert_troubles, "a refusal that is told")
        assert trouble.error.endswith("answered 404: no such hook")
        assert "/hook" not in trouble.error.split(": no")[0]
        file.write_text(f"global:\n  monitoring_webhook_url: {right.url}\n")
        await commands.reload_settings(actor="cli")
        await until(lambda: _ours(right), "the delivery at the corrected address")
        await until(lambda: _none(runtime), "nothing left to tell")
    assert right.received[0].headers["webhook-signature"].startswith("v1,")
    # Meanwhile it may have been tried again there, and be over, since there is no such rule.
    told = [each.headers["webhook-id"].rpartition(".")[0] for each in (*_ours(wrong), *_ours(right))]
    assert len(set(told)) == 1


def _ours(hook: Receiver) -> list[Received]:
    """Without the alerts of this machine, whose disk may be full."""
    return [each for each in hook.received if each.json["data"]["rule"] == "one"]


async def _none(runtime: Runtime) -> bool:
    return await runtime.commands.alert_troubles() == ()
