"""Real agents in a whole running Orchard, from the backlog to the merge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from core.domain.budget import Account, Scope, Unit
from core.domain.event import EventKind
from core.domain.session import How
from core.orchestrator.control import connect, socket_path
from core.store import ledger
from tests.agents_real.whole import KEY, SLOW, holds_key, is_fetched, staff, stories
from tests.integration.conftest import Farm, Running
from tests.model_server.script import parse_fault
from tests.model_server.server import ModelServer

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(400)]
slow = pytest.mark.skipif(not SLOW, reason="takes long: make agents runs it")
SECONDS = 180
T = TypeVar("T")
ENDS = (EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)


@pytest_asyncio.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer(book=stories()) as server:
        yield server


@pytest.fixture
def new_farm(tmp_path: Path, model: ModelServer) -> Callable[..., Farm]:
    """Projects whose agents are real, the first of those named by default."""

    def make(*agents: str, projects: tuple[str, ...] = ("calc",)) -> Farm:
        for name in agents:
            if not is_fetched(name):
                pytest.skip(f"{name} is not installed here: python -m tests.agents_real --fetch-only {name}")
        farm = Farm(root=tmp_path, quick=True)
        for name in projects:
            farm.add(name)
        staffed = staff(tmp_path, model.url, *agents)
        farm.global_settings |= staffed["global"]
        farm.agents |= staffed["agents"]
        return farm

    return make


async def told(orchard: Running, *kinds: EventKind) -> list[Any]:
    found = await orchard.runtime.commands.events(limit=1000)
    return [event for event in found if event.kind in kinds]


async def until(found: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """What is found once it holds; says what there was when it never does."""
    value = await found()
    try:
        async with asyncio.timeout(SECONDS):
            while not holds(value):
                await asyncio.sleep(0.05)
                value = await found()
    except TimeoutError:
        raise AssertionError(str(value)) from None
    return value


async def is_exact(state: Path, model: ModelServer) -> None:
    """Each call that the model answered was charged once, by the model's own figures; but those that an agent
    left before their end, as Claude Code does with side calls, cost what was told of them until then. A call
    is charged when it has ended, which may be after all that came of it."""

    async def both() -> tuple[Counter[int], list[tuple[str, int]]]:
        return Counter(call.used.total for call in model.seen.calls if call.status == 200), charged(state)

    answered, costs = await until(both, lambda both: both[0].total() == len(both[1]))
    whole = Counter(tokens for status, tokens in costs if status == "answered")
    cut = [tokens for status, tokens in costs if status == "cut"]
    assert not whole - answered
    left = answered - whole
    assert left.total() == len(cut)
    assert sum(cut) <= sum(left.elements())


def charged(state: Path) -> list[tuple[str, int]]:
    """Status and tokens of each call in the ledger."""
    with sqlite3.connect(f"file:{state / 'orchard.db'}?mode=ro", uri=True) as store:
        return store.execute("SELECT status, tokens FROM model_calls WHERE status <> 'failed'").fetchall()


async def is_told_whole(farm: Farm, model: ModelServer, agent: str, wire: str) -> None:
    async with farm.running() as orchard:
        commands, store = orchard.runtime.commands, orchard.runtime.store
        (story,) = await orchard.sprint("calc", "Multiply")
        ended = await orchard.until(*ENDS, seconds=SECONDS)
        assert ended.kind is EventKind.STORY_MERGED, ended.data
        await is_exact(farm.root / ".orch-global", model)
        shares = await store.read(lambda conn: ledger.shares(conn, Account(project="calc")))
        (session,) = await commands.sessions(story)
        shown = await commands.session(story)
        why = await commands.why(story)
    calls = model.seen.calls
    assert {call.wire for call in calls} == {wire}
    assert {call.key for call in calls} == {KEY}
    assert {(share.story_id, share.agent) for share in shares} == {(story, agent)}
    assert {share.phase for share in shares} == {"test_red", "code_green", "refactor"}
    assert sum(share.amounts.tokens for share in shares) == session.tokens
    turns = session.session.turns
    assert [(str(turn.phase), turn.how) for turn in turns] == [
        ("test_red", How.FRESH),
        ("code_green", How.RESUMED),
        ("refactor", How.RESUMED),
    ]
    assert len({turn.session_id for turn in turns}) == 1
    assert "Orchard-Phase: refactor" in str(shown)
    assert "merged" in why.sentence
    last = json.dumps(dict(calls[-1].body))
    assert "I wrote a test that fails" in last  # of the first phase, in the third's conversation
    bodies = json.dumps([dict(call.body) for call in calls])
    assert "orch-" in bodies  # its look at environments and HOME found its token
    assert KEY not in bodies
    assert holds_key(farm.root / ".orch-global") == []


async def test_codex_takes_a_story_from_the_backlog_to_the_merge(
    new_farm: Callable[..., Farm], model: ModelServer
) -> None:
    await is_told_whole(new_farm("codex"), model, "codex", "openai_responses")


@slow
async def test_claude_code_takes_a_story_from_the_backlog_to_the_merge(
    new_farm: Callable[..., Farm], model: ModelServer
) -> None:
    await is_told_whole(new_farm("claude-code"), model, "claude-code", "anthropic")


@slow
async def test_dollars_that_are_used_up_hold_a_call_park_the_turn_and_after_a_raise_it_is_merged(
    new_farm: Callable[..., Farm], model: ModelServer
) -> None:
    farm = new_farm("claude-code")
    farm.settings = {"budgets": {"story": {"dollars": 0.02}}}
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        (story,) = await orchard.sprint("calc", "Multiply")
        parked = await orchard.until(EventKind.STORY_PARKED, *ENDS, seconds=SECONDS)
        assert parked.kind is EventKind.STORY_PARKED, parked.data
        assert f"{story} has used all of its 0.02 USD" in parked.data["reason"]
        calls = len(model.seen.calls)
        why = await until(lambda: commands.why(story), lambda why: "is used up" in why.sentence)
        assert "budget of calc-1 is used up" in why.sentence
        assert len(model.seen.calls) == calls  # what was held was never sent
        (reached,) = await told(orchard, EventKind.BUDGET_REACHED)
        assert reached.data["unit"] == "microdollars"
        await commands.raise_budget(
            story, scope=Scope.STORY, unit=Unit.MICRODOLLARS, amount=180_000, actor="cli"
        )
        ended = await orchard.until(*ENDS, seconds=SECONDS)
        assert ended.kind is EventKind.STORY_MERGED, ended.data
        await is_exact(farm.root / ".orch-global", model)
        starts = await told(orchard, EventKind.PHASE_STARTED)
    assert {event.data["attempt"] for event in starts} == {1}


@slow
async def test_a_long_limit_pauses_all_that_ask_that_provider_and_another_agent_takes_over(
    new_farm: Callable[..., Farm], model: ModelServer
) -> None:
    farm = new_farm("codex", "claude-code", projects=("calc", "bank", "depot"))
    farm.own_settings = {"bank": {"agent_fallbacks": ["claude-code"]}}
    began = datetime.now(UTC)
    limit = {"http": 429, "retry_after": 18_000, "message": "usage limit reached", "times": "always"}
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        model.fail_next(parse_fault(limit))
        (story,) = await orchard.sprint("calc", "Multiply")
        (other,) = await orchard.sprint("depot", "Multiply")
        limited = await orchard.until(EventKind.USAGE_LIMITED, *ENDS, seconds=SECONDS)
        assert limited.kind is EventKind.USAGE_LIMITED, limited.data
        found = await until(lambda: told(orchard, EventKind.USAGE_LIMITED), lambda found: len(found) > 1)
        assert {event.project for event in found} == {"calc", "depot"}
        for each in (story, other):
            why = await until(partial(commands.why, each), lambda why: "no more work" in why.sentence)
            assert "usage limit reached" in why.sentence
            ends = {f"{at + timedelta(hours=5):%H:}" for at in (began, datetime.now(UTC))}
            assert any(end in f"{why.sentence} {why.next}" for end in ends)
        model.forget()
        (third,) = await orchard.sprint("bank", "Multiply")
        ended = await orchard.until(*ENDS, story=third, seconds=SECONDS)
        assert ended.kind is EventKind.STORY_MERGED, ended.data
        starts = [e.data for e in await told(orchard, EventKind.PHASE_STARTED) if e.story_id == third]
    assert {call.wire for call in model.seen.calls} == {"anthropic"}
    assert "claude-code works in place of codex: openai is at its usage limit until" in next(
        start["why"] for start in starts if "why" in start
    )


@slow
async def test_orchard_killed_amid_a_call_is_merged_after_a_restart_and_charged_once(
    new_farm: Callable[..., Farm], model: ModelServer
) -> None:
    """The application itself, as `orchard run` starts it."""
    farm = new_farm("codex")
    farm.write()
    state = farm.root / ".orch-global"
    model.fail_next(parse_fault({"first_byte_seconds": 4}))
    first = await _run(farm.root)
    try:
        async with connect(socket_path(state)) as commands:
            story = await commands.add_story(
                "calc", "Multiply", acceptance_criteria=("it works",), actor="cli"
            )
            await commands.plan_sprint("calc", actor="cli")
            await commands.start_sprint("calc", actor="cli")
        async with asyncio.timeout(SECONDS):
            await model.until(lambda seen: bool(seen.calls))
    finally:
        os.kill(first.pid, signal.SIGKILL)
        await first.wait()
    second = await _run(farm.root)
    try:
        async with connect(socket_path(state)) as commands:
            why = await until(lambda: commands.why(story.id), lambda why: why.status in ("done", "blocked"))
        assert why.status == "done", why
    finally:
        second.send_signal(signal.SIGTERM)
        await second.wait()
    found = charged(state)
    whole = Counter(tokens for status, tokens in found if status == "answered")
    assert whole == Counter(call.used.total for call in model.seen.calls if call.told)
    assert len(found) == len(model.seen.calls)


async def _run(root: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "--root", str(root), "run",
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "HOME": str(root)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = b""
    async with asyncio.timeout(SECONDS):
        while b"Orchard runs" not in (said := said + await process.stdout.readline()):
            assert process.returncode is None, said.decode()
    return process
