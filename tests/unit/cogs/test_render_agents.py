"""Agents as Discord shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from cogs import render_agents as render
from cogs.message import Message, Tone
from core.gateway.service import GatewayView
from core.orchestrator.agent_desk import AgentView
from core.orchestrator.model_view import ModelsView
from core.store.usage import Hold

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = f"<t:{int(AT.timestamp())}:t>"


def agent(name: str, **more: Any) -> AgentView:
    facts: dict[str, Any] = {
        "kind": "acp",
        "description": "",
        "where": "orchard",
        "program": name,
        "versions": {"node": "22", name: "1.0.3"},
        "tried": (),
        "provider": "anthropic",
        "model": "gateway",
        "used_by": (),
        "fallback_of": (),
        "problem": "",
        "hint": "",
    }
    return AgentView(**{"name": name, **facts, **more})


def hold(kind: str = "quota", **more: Any) -> Hold:
    facts: dict[str, Any] = {"provider": "anthropic", "reason": "5-hour limit", "since": AT, "until": AT}
    return Hold(**{**facts, "kind": kind, "tries": 1, **more})


def gateway(**more: Any) -> GatewayView:
    facts: dict[str, Any] = {"alive": True, "restarts": 0, "providers": ("anthropic",)}
    return GatewayView(**{**facts, **more})


def text_of(message: Message) -> str:
    return message.cards[0].body


CLAUDE = agent("claude", used_by=("shop",))
LOST = agent(
    "codex", where="", model="", fallback_of=("shop",), problem="It is not installed.", hint="Do so."
)


def test_ready_held_and_missing_agents_are_told_apart() -> None:
    free = render.agents((CLAUDE, LOST, agent("odd", where="")), ModelsView(gateway=gateway()))
    ready = "✅ **claude** `1.0.3` by Orchard · through the model gateway (anthropic)\n  used by `shop`"
    assert ready in text_of(free)
    assert "⚠️ **codex** `1.0.3` not installed\n  used by `shop` as a fallback\n  It is not inst" in text_of(
        free
    )
    assert "Not installed: `odd`" in text_of(free)
    assert free.cards[0].tone is Tone.ASK
    held = text_of(render.agents((CLAUDE,), ModelsView(gateway=gateway(), holds=(hold(),))))
    assert "⏳ **claude** `1.0.3` by Orchard" in held
    assert f"waits for anthropic until {STAMP}" in held
    calm = render.agents((CLAUDE,), ModelsView(gateway=gateway()))
    assert calm.cards[0].tone is Tone.GOOD


@pytest.mark.parametrize(
    ("kind", "told"),
    [("quota", "is at its usage limit"), ("credit", "has no credit left"), ("auth", "refuses its key")],
)
def test_each_hold_says_why_and_until_when(kind: str, told: str) -> None:
    text = text_of(render.agents((), ModelsView(gateway=None, holds=(hold(kind),))))
    assert f"⏳ **anthropic** {told} until {STAMP}" in text
    assert "5-hour limit" in text


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (None, "none runs here"),
        (
            gateway(alive=False, problem="No provider has a key."),
            "🚧 No model gateway: No provider has a key.",
        ),
        (
            gateway(in_flight=1, held=2, calls=1234, added_p50_ms=3.14, restarts=1),
            "1 call under way, 2 held · 1,234 in all · adds 3.1 ms · restarted 1 time",
        ),
    ],
)
def test_the_gateway_is_told_of(view: GatewayView | None, told: str) -> None:
    assert told in text_of(render.agents((CLAUDE,), ModelsView(gateway=view)))


def test_outside_text_neither_pings_nor_formats() -> None:
    bad = "@everyone **look** <@1>"
    odd = agent("x", where="", problem=bad, hint=bad, used_by=("shop",), versions={"x": bad}, provider=bad)
    models = ModelsView(gateway=gateway(alive=False, problem=bad), holds=(hold(reason=bad, provider=bad),))
    text = re.sub("`[^`]*`", "", text_of(render.agents((odd,), models))).replace("\\", "\ue000")
    for word in ("@everyone", "**look**", "<@1>"):
        assert word not in text
