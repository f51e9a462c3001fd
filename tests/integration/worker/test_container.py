"""Work at level container, for real, where Podman is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.isolation.container import Engine
from core.isolation.container_probe import with_container
from core.isolation.plan import Level
from core.worker.contract import SuiteJob
from core.worker.testruns import run_tests


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
