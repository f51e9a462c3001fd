"""The whole of Orchard: an agent that asks a model by the gateway, and what the ledger says of it."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.budget import Account
from core.domain.event import EventKind
from core.store import ledger

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

# Asks once, then is the replay agent.
_AGENT = """
import json, os, sys, urllib.request
said = {"model": "m", "messages": [{"role": "user", "content": "What next?"}]}
asked = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps(said).encode(),
    {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"},
)
urllib.request.urlopen(asked).read()
os.execv(sys.executable, [sys.executable, "-I", *sys.argv[1:]])
"""


async def test_each_call_of_a_storys_agents_is_in_the_ledger_and_none_held_the_key(
    quick_farm: Any, model: Any
) -> None:
    quick_farm.add("calc")
    (quick_farm.root / ".env").write_text("OPENAI_API_KEY=sk-real-0123456789\n")
    quick_farm.global_settings["model_gateway"] = {
        "providers": {"openai": {"base_url": model.url, "key_variables": ["OPENAI_API_KEY"]}}
    }
    quick_farm.agent_row = {
        "argv": ["{python}", "-I", "-c", _AGENT, "{replay}", "--script", "{script}"],
        "pass_environment": ["OPENAI_API_KEY"],
        "key_variables": ["OPENAI_API_KEY"],
        "gateway": {
            "provider": "openai",
            "environment": {"OPENAI_BASE_URL": "{gateway}/v1", "OPENAI_API_KEY": "{token}"},
        },
    }
    async with quick_farm.running() as orchard:
        (story,) = await orchard.sprint("calc", "Multiply")
        await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
        store = orchard.runtime.store
        spent = await store.read(lambda conn: ledger.spent(conn, Account(project="calc")))
        shares = await store.read(lambda conn: ledger.shares(conn, Account(project="calc")))
    calls = model.seen.calls
    assert len(calls) >= 3  # test_red, code_green, refactor
    assert {call.key for call in calls} == {"sk-real-0123456789"}
    told = model.seen.usage()
    assert spent.calls == len(calls)
    assert spent.amounts.tokens == told.fresh + told.cache_read + told.cache_write + told.output
    assert spent.on_agents_word.tokens == 0
    assert {share.story_id for share in shares} == {story}
    assert {"test_red", "code_green", "refactor"} <= {share.phase for share in shares}
    assert {share.agent for share in shares} == {"replay"}
    state = quick_farm.root / ".orch-global"
    held = [path for path in state.rglob("*") if path.is_file() and b"sk-real" in path.read_bytes()]
    assert held == []
