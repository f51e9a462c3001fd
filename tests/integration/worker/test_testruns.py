"""The project's whole suite, because a person asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.domain.lifecycles import Phase
from core.worker.contract import PhaseEnd, SuiteJob, SuiteReport
from core.worker.git import Repository
from core.worker.phases import run_phase
from core.worker.testruns import run_tests
from core.worker.worktree import Worktrees
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)


async def _run(job: SuiteJob, services) -> SuiteReport:
    return await run_tests(job, services, asyncio.Event())


@pytest.fixture
async def worktrees(calculator, setup) -> Worktrees:
    return Worktrees(await Repository.open(calculator.path), project="shop", state_path=setup.state_path)


def _kept(setup) -> list[Path]:
    return list((setup.state_path / "runs").glob("*.json"))


async def test_the_main_branch_is_counted_by_its_own_runner(calculator, services, setup, heard) -> None:
    commit = calculator.commit(
        {
            "tests/test_more.py": "import pytest\n\n\n@pytest.mark.parametrize('n', range(60))\n"
            "def test_no(n):\n    assert n < 0\n\n\n@pytest.mark.skip\ndef test_later(): ...\n"
        }
    )
    report = await _run(SuiteJob(project=replace(setup, test_command=None), story_id=None), services)
    assert report.error == ""
    assert (report.commit, report.story_id) == (commit, None)
    assert (report.passed, report.failed_count, report.skipped) == (1, 60, 1)
    assert len(report.failed) == 50
    assert report.exit_code == 1
    assert not report.exit_code_only
    assert report.seconds > 0
    assert "assert 59 < 0" in report.output
    assert "failed," not in report.output  # that sum counts what Orchard added
    assert {child.kind for child in heard.started} == {"test"}
    assert sorted(heard.ended) == sorted(child.pid for child in heard.started)
    assert _kept(setup) == []


@pytest.mark.parametrize("command", [None, "sh run-tests.sh {junit}"])
async def test_a_good_run_shows_no_output_and_is_made_anew_each_time(
    calculator, services, setup, heard, command
) -> None:
    job = SuiteJob(project=replace(setup, test_command=command), story_id=None)
    for number in (1, 2):
        report = await _run(job, services)
        assert report.exit_code == 0
        assert len(heard.started) == number
        assert (report.passed, report.failed, report.output, report.error) == (1, (), "", "")
    assert _kept(setup) == []  # a gate relies on nothing that it did not ask for


async def test_a_command_without_a_report_gives_its_exit_code(calculator, services, setup) -> None:
    project = replace(setup, test_command="sh -c 'echo words; exit 3'")
    report = await _run(SuiteJob(project=project, story_id=None), services)
    assert report.exit_code_only
    assert report.exit_code == 3
    assert "words" in report.output


async def test_a_story_s_files_are_run_as_they_are_now(
    calculator, services, setup, worktrees, tree_of_folder
) -> None:
    base = calculator.git("rev-parse", "HEAD")
    made = (await worktrees.ensure("shop-1", base, spec="", phase=Phase.TEST_RED)).worktree
    job = SuiteJob(project=setup, story_id="shop-1", head_commit=base)
    clean = await _run(job, services)
    assert (clean.commit, clean.passed) == (base, 1)
    calculator.write({"tests/test_new.py": "assert False\n", "calc.py": None}, at=made.path)
    before = tree_of_folder(made.path), made.index.read_bytes(), (made.git_dir / "index").read_bytes()
    report = await _run(job, services)
    assert report.failed_count == 2
    assert calculator.git("cat-file", "-t", report.commit) == "tree"
    after = tree_of_folder(made.path), made.index.read_bytes(), (made.git_dir / "index").read_bytes()
    assert after == before


async def test_a_story_without_files_is_run_where_it_stands(calculator, services, setup, worktrees) -> None:
    base = calculator.git("rev-parse", "HEAD")
    made = (await worktrees.ensure("shop-1", base, spec="", phase=Phase.TEST_RED)).worktree
    (made.path / "tests" / "test_new.py").write_text("assert False\n")
    staged = await worktrees.stage(made)
    head = await worktrees.commit(made, staged.tree, parent=base, message="red\n")
    await worktrees.remove("shop-1")
    for job in (
        SuiteJob(project=setup, story_id="shop-1", head_commit=head),
        SuiteJob(project=setup, story_id="shop-1"),
    ):
        report = await _run(job, services)
        assert (report.commit, report.passed, report.failed_count) == (head, 1, 1)


async def test_it_runs_beside_a_phase_of_the_same_story_and_disturbs_nothing(
    calculator, services, setup, job_of, play, red, heard
) -> None:
    agent = play(test_red=[*red, {"steered": {"then": [], "else": []}}])
    phase = asyncio.create_task(run_phase(job_of(agent), services, asyncio.Event()))
    place = setup.state_path / "worktrees" / "shop" / "shop-1" / "tests" / "test_mul.py"
    await until(lambda: place.exists() and place.read_text() != "" and "shop-1" in services.steering)
    report = await _run(SuiteJob(project=setup, story_id="shop-1"), services)
    assert (report.passed, report.failed_count) == (1, 1), report
    assert not phase.done()
    await services.steering["shop-1"].say("go on")
    passed = await phase
    assert passed.end is PhaseEnd.PASSED, (passed.error, passed.verdict)
    assert heard.salvages == []


async def test_files_that_change_all_the_time_can_be_run(calculator, services, setup, worktrees) -> None:
    base = calculator.git("rev-parse", "HEAD")
    made = (await worktrees.ensure("shop-1", base, spec="", phase=Phase.TEST_RED)).worktree
    churn = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        "while :; do echo x > new.txt; rm new.txt; mkdir -p d; echo y > d/y; rm -r d; done",
        cwd=made.path,
    )
    try:
        for _ in range(3):
            report = await _run(SuiteJob(project=setup, story_id="shop-1"), services)
            assert report.passed == 1, report
    finally:
        churn.kill()
        await churn.wait()


@pytest.mark.parametrize("story", [None, "shop-1"])
async def test_a_stop_ends_it_and_leaves_nothing(
    calculator, services, setup, heard, worktrees, story, lives
) -> None:
    commit = calculator.commit({"tests/test_slow.py": "import time\n\ntime.sleep(60)\n"})
    await worktrees.ensure("shop-1", commit, spec="", phase=Phase.TEST_RED)
    stop = asyncio.Event()
    work = asyncio.create_task(run_tests(SuiteJob(project=setup, story_id=story), services, stop))
    await until(lambda: bool(heard.started))
    stop.set()
    report = await work
    assert report.error == "The test run was stopped."
    assert report.commit == commit
    assert not any(lives(child.pid) for child in heard.started)
    assert sorted(heard.ended) == sorted(child.pid for child in heard.started)
    assert list((setup.state_path / "runs" / "live").iterdir()) == []


async def test_what_keeps_it_from_running_is_said_with_a_next_step(calculator, services, setup) -> None:
    for project, story, words in (
        (replace(setup, main_branch="trunk"), None, "no branch 'trunk'"),
        (replace(setup, path=setup.state_path), None, "not the top folder"),
        (replace(setup, environment="inherit"), None, "no environment to inherit"),
        (replace(setup, isolation="container"), None, "container"),
        (setup, "shop-9", "shop-9 has no files yet. Wait until"),
    ):
        report = await _run(SuiteJob(project=project, story_id=story), services)
        assert words in report.error
        assert (report.passed, report.failed_count, report.exit_code) == (0, 0, -1)


async def test_a_run_without_a_result_says_so(calculator, services, setup) -> None:
    calculator.commit({"tests/test_slow.py": "import time\n\nprint('before')\ntime.sleep(60)\n"})
    project = replace(setup, test_timeout_seconds=1.0, test_command=None)
    report = await _run(SuiteJob(project=project, story_id=None), services)
    assert "still running after 1 seconds" in report.error
    assert report.exit_code == -1
