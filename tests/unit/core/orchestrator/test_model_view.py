"""How agents reach their models, as another process is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.gateway.contract import ProviderHold
from core.gateway.refusal import RefusalKind
from core.gateway.service import GatewayView
from core.orchestrator.control import _adapters
from core.orchestrator.model_view import ModelsView
from core.store import usage

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_it_is_the_same_behind_the_control_socket():
    hold = ProviderHold(
        provider="anthropic", key_id="k", kind=RefusalKind.QUOTA, until=NOW, reason="5-hour limit"
    )
    gateway = GatewayView(
        alive=True, restarts=1, providers=("anthropic",), added_p50_ms=3.1, holds={"anthropic": hold}
    )
    kept = usage.Hold(
        provider="anthropic",
        kind="quota",
        reason="5-hour limit",
        since=NOW,
        until=NOW + timedelta(hours=1),
        tries=1,
    )
    adapter = _adapters("models")["return"]
    for view in (ModelsView(gateway=gateway, holds=(kept,)), ModelsView(gateway=None)):
        assert adapter.validate_python(adapter.dump_python(view, mode="json")) == view
