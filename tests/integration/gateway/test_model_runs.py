"""An agent's job on its way through the gateway, and the settings it comes from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.agents.setup import AgentSetup, GatewayUse
from core.domain.budget import AccountLimit
from core.domain.lifecycles import Phase
from core.domain.story import StoryBrief
from core.errors import Unavailable
from core.gateway.service import RunStart
from core.orchestrator.model_runs import ModelRuns
from core.worker.contract import PhaseJob, ProjectSetup

pytestmark = pytest.mark.asyncio(loop_scope="module")

USE = GatewayUse(
    provider="openai",
    environment={"OPENAI_BASE_URL": "{gateway}/v1", "OPENAI_API_KEY": "{token}"},
    home_files={".codex/config.toml": 'base_url = "{gateway}/v1"'},
    arguments=("--url", "{gateway}"),
)
JOB = PhaseJob(
    project=ProjectSetup(name="shop", path=Path("/shop"), main_branch="main", state_path=Path("/state")),
    agent=AgentSetup(name="echo", kind="acp", argv=("/bin/echo",), gateway=USE),
    story=StoryBrief(id="shop-7", title="t", body="", acceptance_criteria=()),
    phase=Phase.CODE_GREEN,
    attempt=1,
    generation=1,
    base_commit=None,
    red_commit=None,
    head_commit=None,
    red_evidence=None,
)


async def no_accounts(project: str, story_id: str | None) -> tuple[AccountLimit, ...]:
    return ()


async def test_the_agent_gets_the_address_and_a_token_that_ends_with_its_job(front: Any) -> None:
    runs = ModelRuns(front.gateway, no_accounts)
    job = await runs.begin(JOB)
    assert job.model is not None
    address = front.gateway.base_url("openai")
    assert job.agent.environment["OPENAI_BASE_URL"] == f"{address}/v1"
    token = job.agent.environment["OPENAI_API_KEY"]
    assert token == job.model.token
    assert token.startswith("orch-")
    assert address in job.agent.home_files[".codex/config.toml"]
    assert token not in repr(job.model)
    client = front.client("openai")
    await client.ask("openai_responses", key=token)
    await runs.end(job)
    (call,) = front.calls.values()
    assert (call.project, call.story_id, call.phase, call.agent) == ("shop", "shop-7", "code_green", "echo")
    assert call.run_id == job.model.run_id
    path, body = client.request("openai_responses", "hi", True, [])
    status, raw, _ = await client.post(path, body, token)
    assert (status, "its run has ended" in json.loads(raw)["error"]["message"]) == (401, True)
    await runs.end(job)


async def test_jobs_that_the_gateway_has_nothing_for_stay_as_they_are(front: Any) -> None:
    runs = ModelRuns(front.gateway, no_accounts)
    without_key = replace(JOB, agent=replace(JOB.agent, gateway=replace(USE, provider="mistral")))
    for job in (
        replace(JOB, agent=replace(JOB.agent, gateway=None)),
        without_key,
        replace(JOB, by_hand=True),
    ):
        assert await runs.begin(job) == job
        await runs.end(job)
    start = RunStart(
        run_id="x", project="shop", story_id=None, phase="design", agent="echo", provider="mistral"
    )
    with pytest.raises(Unavailable, match="no key of mistral"):
        await front.gateway.open_run(start)


async def test_an_epics_design_counts_for_no_story(front: Any) -> None:
    runs = ModelRuns(front.gateway, no_accounts)
    job = await runs.begin(replace(JOB, epic=True, phase=Phase.DESIGN))
    assert job.model is not None
    assert front.gateway.run(job.model.run_id).story_id is None
    await runs.end(job)
