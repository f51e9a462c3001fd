"""The whole of Orchard: agents that ask by the gateway meet budgets and providers that take no work."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import pytest

from core.domain.budget import Account, Scope, Unit
from core.domain.event import EventKind
from core.store import leases, ledger, usage
from tests.midday import midday_hours
from tests.model_server.script import parse_fault
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

KEY = "sk-real-0123456789"
RESUMED = 'prompt contains "interrupted to make place"'
HALF = {"write": {"path": "half.py", "text": "HALF = 1\n"}}
REST = {
    "write": {
        "path": "multiply.py",
        "text": "from half import HALF\n\n\ndef multiply(a, b):\n    return HALF * a * b\n",
    }
}
_ASK = """
import json, os, sys, urllib.error, urllib.request
said = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "MODEL-SCRIPT:" + sys.argv[1]}]}
asked = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps(said).encode(),
    {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"},
)
try:
    urllib.request.urlopen(asked).read()
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
"""


def asks(tokens: int, *faults: dict[str, Any]) -> dict[str, Any]:
    """A step in which the agent asks its model, which takes so many tokens at 2.50 USD a million."""
    steps = [*faults, {"text": "ok", "tokens": {"fresh": tokens, "output": 0}}]
    return {"run": {"command": [sys.executable, "-I", "-c", _ASK, json.dumps(steps)], "timeout_seconds": 60}}


@pytest.fixture
def asking_farm(quick_farm: Any, model: Any) -> Any:
    quick_farm.add("calc")
    (quick_farm.root / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    quick_farm.global_settings["model_gateway"] = {
        "providers": {"openai": {"base_url": model.url, "key_variables": ["OPENAI_API_KEY"]}}
    }
    quick_farm.agent_row = {
        "pass_environment": ["OPENAI_API_KEY"],
        "key_variables": ["OPENAI_API_KEY"],
        "gateway": {
            "provider": "openai",
            "environment": {"OPENAI_BASE_URL": "{gateway}/v1", "OPENAI_API_KEY": "{token}"},
        },
    }
    return quick_farm


async def kinds(orchard: Any, *wanted: EventKind) -> list[EventKind]:
    found = await orchard.runtime.commands.events(limit=1000)
    return [event.kind for event in found if event.kind in wanted]


async def is_exact(orchard: Any, model: Any) -> None:
    """Each call once, with what the model itself says that it took."""
    spent = await orchard.runtime.store.read(lambda conn: ledger.spent(conn, Account(project="calc")))
    told = model.seen.usage()
    assert spent.amounts.tokens == told.fresh + told.cache_read + told.cache_write + told.output
    assert spent.on_agents_word.tokens == 0


async def test_a_held_call_parks_its_turn_which_goes_on_after_a_raise(
    asking_farm: Any, model: Any, git_in: Any
) -> None:
    asking_farm.settings = {"budgets": {"story": {"dollars": 0.25}}}
    asking_farm.script["stories"]["Multiply"]["code_green"] = [
        {"when": RESUMED, "then": [asks(1000), REST], "else": [HALF, asks(99_000), asks(2000), asks(5000)]}
    ]
    async with asking_farm.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("calc", "Multiply")
        parked = await orchard.until(EventKind.STORY_PARKED, story="calc-1")
        assert parked.data["reason"] == (
            "calc-1 has used all of its 0.25 USD and 0.0025 USD more; agents stop until a person raises it."
        )

        async def waits() -> bool:
            return "budget of calc-1 is used up" in (await commands.why("calc-1")).sentence

        await until(waits)
        assert len(model.seen.calls) == 2
        await commands.raise_budget(
            "calc-1", scope=Scope.STORY, unit=Unit.MICRODOLLARS, amount=1_000_000, actor="cli"
        )
        ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story="calc-1")
        assert ended.kind is EventKind.STORY_MERGED
        told = [EventKind.BUDGET_WARNED, EventKind.BUDGET_REACHED, EventKind.BUDGET_RAISED]
        assert await kinds(orchard, *told, EventKind.STORY_PARKED) == [
            EventKind.BUDGET_WARNED,
            EventKind.BUDGET_REACHED,
            EventKind.STORY_PARKED,
            EventKind.BUDGET_RAISED,
        ]
        log = await commands.story_log("calc-1")
        assert {one.data["attempt"] for one in log if one.kind is EventKind.PHASE_STARTED} == {1}
        assert len(model.seen.calls) == 3
        await is_exact(orchard, model)
    assert git_in(asking_farm.projects["calc"], "show", "main:half.py") == "HALF = 1"


_STOPPED = {
    "quota": ({"http": 429, "retry_after": 3600, "message": "Too much."}, "429 Too much.", "Too much."),
    "auth": (
        {"http": 401, "message": f"Incorrect API key provided: {KEY}"},
        "API Error: 401",
        "openai refuses Orchard's key: Incorrect API key provided: [key]. Put a good one into .env and start "
        "Orchard anew.",
    ),
}


@pytest.mark.parametrize("kind", _STOPPED)
async def test_a_turn_that_fails_as_its_provider_takes_no_work_costs_no_try_and_is_said_once(
    asking_farm: Any, model: Any, kind: str
) -> None:
    fault, agents_words, said = _STOPPED[kind]
    model.fail_next(parse_fault(fault))
    story = asking_farm.script["stories"]["Multiply"]
    failing = [*story["test_red"], asks(1000), {"error": {"message": agents_words}}]
    story["test_red"] = [{"when": "resumed", "then": [asks(1000)], "else": failing}]
    async with asking_farm.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("calc", "Multiply")
        limited = await orchard.until(EventKind.USAGE_LIMITED)
        assert limited.data["reason"] == said

        async def is_over() -> bool:
            return not await orchard.runtime.store.read(lambda conn: leases.held(conn, "calc"))

        await until(is_over)
        assert said.rstrip(".") in (await commands.why("calc-1")).sentence
        held = await orchard.runtime.store.read(usage.holds)
        assert [(one.provider, one.kind) for one in held] == [("openai", kind)]
        await commands.resume_sprint("calc", actor="cli")
        ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story="calc-1")
        assert ended.kind is EventKind.STORY_MERGED
        news = (EventKind.USAGE_LIMITED, EventKind.AGENT_FAILED, EventKind.USAGE_RESET)
        assert await kinds(orchard, *news) == [EventKind.USAGE_LIMITED, EventKind.USAGE_RESET]
        log = await commands.story_log("calc-1")
        assert {one.data["attempt"] for one in log if one.kind is EventKind.PHASE_STARTED} == {1}
        assert len(model.seen.calls) == 2
        await is_exact(orchard, model)


async def test_a_project_s_tokens_a_minute_hold_its_calls_and_why_says_so(
    asking_farm: Any, model: Any
) -> None:
    """Settings that change while a call waits hold at once."""
    asking_farm.settings = {"resource_limits": {"max_tokens_per_minute": 1000}}
    asking_farm.script["stories"]["Multiply"]["test_red"].insert(0, asks(5000))
    asking_farm.script["stories"]["Multiply"]["code_green"].insert(0, asks(10))
    async with asking_farm.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("calc", "Multiply")

        async def waits() -> bool:
            return "waits: calc may use" in (await commands.why("calc-1")).sentence

        await until(waits)
        sentence = (await commands.why("calc-1")).sentence
        assert sentence.endswith(
            ": its next call to a model waits: calc may use 1,000 tokens a minute, and they are used up."
        )
        assert len(model.seen.calls) == 1
        asking_farm.settings["resource_limits"]["max_tokens_per_minute"] = None
        asking_farm.write()
        ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story="calc-1")
        assert ended.kind is EventKind.STORY_MERGED
        assert len(model.seen.calls) == 2
        await is_exact(orchard, model)


@pytest.mark.parametrize("killed", ["gateway", "worker"])
async def test_two_stories_race_for_the_last_cents_while_a_process_is_killed(
    asking_farm: Any, model: Any, killed: str
) -> None:
    asking_farm.settings = {
        "budgets": {"day": {"dollars": 0.5}},
        "resource_limits": {"agent_memory_mb": 64},
        "work_hours": midday_hours(),
    }
    for story in asking_farm.script["stories"].values():
        asked = [asks(60_000)] * 6  # 0.15 USD each
        story["test_red"] = [{"when": RESUMED, "then": [asks(1000), *story["test_red"]], "else": asked}]
    model.fail_next(parse_fault({"first_byte_seconds": 30, "times": 2}))
    async with asking_farm.running() as orchard:
        commands = orchard.runtime.commands
        stories = await orchard.sprint("calc", "Multiply", "Subtract")
        await model.until(lambda seen: len(seen.calls) >= 2)
        engine = commands._engine
        pid = engine._gateway.pid if killed == "gateway" else engine.worker_view("calc").pid
        os.kill(pid, signal.SIGKILL)
        for story in stories:
            await orchard.until(EventKind.STORY_PARKED, story=story)
        await commands.raise_budget(
            "calc", scope=Scope.DAY, unit=Unit.MICRODOLLARS, amount=2_000_000, actor="cli"
        )
        for story in stories:
            ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story=story)
            assert ended.kind is EventKind.STORY_MERGED
        told = (EventKind.BUDGET_REACHED, EventKind.STORY_PARKED, EventKind.AGENT_FAILED)
        assert sorted(await kinds(orchard, *told)) == ["budget_reached", "story_parked", "story_parked"]
        await is_exact(orchard, model)
        assert 0.5 <= sum(call.told for call in model.seen.calls if call.used.fresh > 9000) * 0.15 <= 0.8
        assert (await commands.models()).gateway.restarts == (killed == "gateway")
