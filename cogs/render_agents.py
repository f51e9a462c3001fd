"""Which agents can work now, and how they reach their models. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from cogs.message import Message, Tone
from cogs.render import paged, stamp
from cogs.text import code, count, plain, title
from core.gateway.refusal import RefusalKind
from core.gateway.service import GatewayView
from core.orchestrator.agent_desk import AgentView
from core.orchestrator.model_view import ModelsView
from core.store.usage import Hold

_MODEL = {"gateway": "through the model gateway", "directly": "with its own key", "": "no key"}
_HELD = {
    RefusalKind.CREDIT.value: "has no credit left",
    RefusalKind.AUTH.value: "refuses its key",
}


def agents(views: Sequence[AgentView], models: ModelsView, page: int = 0) -> Message:
    """Those that projects use first, then what is ready, then the names of the rest."""
    holds = {hold.provider: hold for hold in models.holds}
    wanted = [view for view in views if view.used_by or view.fallback_of]
    others = [view for view in views if view not in wanted]
    there = [view for view in others if view.where]
    absent = [view for view in others if not view.where]
    lines = [_agent(view, holds.get(view.provider)) for view in (*wanted, *there)]
    if not lines:
        lines.append("No agent is installed, and no project names one.")
    if absent:
        lines.append(f"Not installed: {', '.join(code(view.name, 40) for view in absent)}")
    head = "\n".join([_gateway(models.gateway), *map(_hold, models.holds)])
    unready = any(not _ready(view) or view.provider in holds for view in wanted)
    tone = Tone.ASK if unready else Tone.GOOD if wanted else Tone.NEUTRAL
    return paged("Agents", head, tuple(lines), page, what="agents", argument="-", tone=tone)


def _ready(view: AgentView) -> bool:
    """It is there, and has what it needs to reach its model."""
    return bool(view.where and view.model) and not view.problem


def _agent(view: AgentView, held: Hold | None) -> str:
    ready = _ready(view)
    sign = "⏳" if ready and held else "✅" if ready else "⚠️"
    version = f" {code(view.version, 40)}" if view.version else ""
    where = {"orchard": "by Orchard", "path": "on PATH", "": "not installed"}[view.where]
    provider = f" ({title(view.provider, 40)})" if view.provider and view.model else ""
    needs = bool(view.provider) or view.model != "directly"
    reach = f" · {_MODEL[view.model]}{provider}" if needs and view.where else ""
    lines = [f"{sign} **{title(view.name, 60)}**{version} {where}{reach}"]
    users = [code(name, 60) for name in view.used_by]
    users += [f"{code(name, 60)} as a fallback" for name in view.fallback_of]
    if users:
        lines.append(f"  used by {', '.join(users[:20])}" + (" …" if len(users) > 20 else ""))
    if held is not None:
        lines.append(f"  waits for {title(view.provider, 40)} until {_until(held)}")
    if view.problem:
        lines.append(f"  {plain(view.problem, 300)}" + (f" {plain(view.hint, 200)}" if view.hint else ""))
    return "\n".join(lines)


def _gateway(view: GatewayView | None) -> str:
    if view is None:
        return "The model gateway is part of the running Orchard, and none runs here."
    if not view.alive:
        return f"🚧 No model gateway: {plain(view.problem, 300) or 'it is not there.'}"
    parts = [
        f"🚪 Model gateway for {', '.join(title(one, 40) for one in view.providers)}",
        f"{count(view.in_flight, 'call')} under way" + (f", {view.held} held" if view.held else ""),
        f"{view.calls:,} in all",
    ]
    if view.added_p50_ms is not None:
        parts.append(f"adds {view.added_p50_ms:.1f} ms")
    if view.restarts:
        parts.append(f"restarted {count(view.restarts, 'time')}")
    return " · ".join(parts)


def _hold(hold: Hold) -> str:
    said = _HELD.get(hold.kind, "is at its usage limit")
    reason = f": {plain(hold.reason, 200)}" if hold.reason else ""
    return f"⏳ **{title(hold.provider or 'A provider', 40)}** {said} until {_until(hold)}{reason}"


def _until(hold: Hold) -> str:
    at = hold.until.timestamp()
    return f"{stamp(at, 't')} ({stamp(at, 'R')})"
