"""Real agents, as their registries have them: the real driver, sandbox and gateway, and a scripted model."""

from __future__ import annotations

import os

import pytest

from core.agents.conformance import Conformance, Mark, Step
from core.agents.installed import installed_agent
from core.agents.rows import load_rows
from tests.agents_real.checking import FOLDER, answers, checked
from tests.model_server.server import ModelServer

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(240)]


@pytest.fixture
def check(tmp_path):
    async def work(name: str, *, quick: bool = False) -> tuple[Conformance, ModelServer]:
        package = load_rows()[name].package
        there = installed_agent(FOLDER, name)
        if there is None or there.versions.get(package.first) != package.packages[package.first]:
            pytest.skip(f"{name} is not installed here: python -m tests.agents_real --fetch-only {name}")
        variables = {"PATH": os.environ["PATH"]}
        async with ModelServer(book=answers()) as server:
            done = await checked(
                name, server.url, folder=FOLDER, state=tmp_path / "s", variables=variables, quick=quick
            )
        return done, server

    return work


def marks(done: Conformance) -> dict[Step, Mark]:
    return {outcome.step: outcome.mark for outcome in done.outcomes}


def told(done: Conformance, step: Step) -> str:
    return next(outcome.found for outcome in done.outcomes if outcome.step is step)


async def test_codex_does_all_but_ask(check):
    done, server = await check("codex")

    assert marks(done) == {step: Mark.NOTE if step is Step.ASKS else Mark.OK for step in Step}, done.outcomes
    assert told(done, Step.RESUMES).startswith("by session/resume")
    assert "its tools ended" in told(done, Step.CANCELS)
    assert {call.wire for call in server.seen.calls} == {"openai_responses"}
    assert {call.key for call in server.seen.calls} == {"orchard-check"}  # the gateway's, never the agent's


async def test_claude_code_does_everything(check):
    done, server = await check("claude-code")

    assert marks(done) == dict.fromkeys(Step, Mark.OK), done.outcomes
    assert told(done, Step.RESUMES).startswith("by session/resume")
    assert "its tools ended" in told(done, Step.CANCELS)
    assert {call.wire for call in server.seen.calls} == {"anthropic"}
    assert {call.key for call in server.seen.calls} == {"orchard-check"}
    second = [call for call in server.seen.calls if "remembered.txt" in str(call.body)]
    assert any(
        "create the file greeting.txt" in str(call.body) for call in second
    )  # it carries what was said


async def test_a_python_agent_edits_by_the_gateway(check):
    done, server = await check("mistral-vibe", quick=True)

    assert done.passed, done.outcomes
    assert "by the gateway" in told(done, Step.USAGE)
    assert {call.wire for call in server.seen.calls} == {"openai_chat"}
    assert {call.key for call in server.seen.calls} == {"orchard-check"}
