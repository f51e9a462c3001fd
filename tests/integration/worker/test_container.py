"""Work at level container, for real, where Podman is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.isolation.container.plan import Engine
from core.isolation.container.probe import with_container
from core.isolation.plan import Level
from core.worker.contract import PhaseEnd, SuiteJob
from core.worker.phases import run_phase
from core.worker.testruns import run_tests

pytestmark = pytest.mark.timeout(240)  # an image of the whole system is made first


@pytest.fixture
def tmp_path(not_in_memory: Path) -> Path:
    return not_in_memory


async def test_a_project_s_tests_run_in_a_container(calculator, services, setup) -> None:
    machine = await with_container(services.machine, engines=(Engine.PODMAN,))
    if Level.CONTAINER not in machine.levels:
        pytest.skip(machine.reasons[Level.CONTAINER])
    project = replace(setup, isolation="container", test_command=None)
    job = SuiteJob(project=project, story_id=None)
    report = await run_tests(job, replace(services, machine=machine), asyncio.Event())
    assert report.error == ""
    assert (report.passed, report.failed_count, report.exit_code) == (1, 0, 0)
    assert not report.exit_code_only


async def test_an_agent_s_turn_is_taken_in_a_container(calculator, job_of, play, services, setup) -> None:
    machine = await with_container(services.machine, engines=(Engine.PODMAN,))
    if Level.CONTAINER not in machine.levels:
        pytest.skip(machine.reasons[Level.CONTAINER])
    project = replace(setup, isolation_by_role={"qa": "container"})
    text = "from calc import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"
    agent = play(
        test_red=[
            {"run": "cat /proc/sys/kernel/hostname; grep -c overlay /proc/mounts"},
            {"write": {"path": "tests/test_mul.py", "text": text}},
        ]
    )
    report = await run_phase(
        job_of(agent, project=project), replace(services, machine=machine), asyncio.Event()
    )
    assert report.end is PhaseEnd.PASSED, report
    (transcript,) = (setup.state_path / "transcripts").rglob("*.jsonl")
    assert "sandbox\\n" in transcript.read_text()
