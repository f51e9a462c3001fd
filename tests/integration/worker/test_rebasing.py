"""A phase that begins with taking in the main branch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.domain.lifecycles import Phase
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport
from core.worker.phases import run_phase
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

BRANCH = "refs/heads/orchard/shop-1"


async def _run(job: PhaseJob, services) -> PhaseReport:
    return await run_phase(job, services, asyncio.Event())


@pytest.fixture
def tmp_path(same_place) -> Path:
    return same_place.clear()


@pytest.fixture
def known(red_passed) -> dict[str, Any]:
    """What a code_green job knows."""
    first = red_passed
    assert first.verdict is not None
    return {
        "base_commit": first.base_commit,
        "head_commit": first.head_commit,
        "red_commit": first.head_commit,
        "red_evidence": first.verdict.evidence,
    }


async def test_a_story_goes_on_from_its_commits_on_the_new_main(
    calculator, job_of, play, services, green, known, heard
) -> None:
    onto = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    job = job_of(play(code_green=green), Phase.CODE_GREEN, rebase_onto=onto, **known)
    report = await _run(job, services)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert report.base_commit == report.rebased_base == onto
    assert report.rebased_red == report.rebased_head != known["red_commit"]
    assert calculator.git("rev-parse", f"{BRANCH}~2", f"{BRANCH}~1", BRANCH).split() == [
        onto,
        report.rebased_head,
        report.head_commit,
    ]
    assert calculator.git("show", f"{BRANCH}:other.py") == "x = 1"
    assert {change.path for change in report.changes} == {"calc.py", "tests/test_mul.py"}
    assert heard.files[-1].files == ("calc.py", "tests/test_mul.py")  # not what the main branch changed
    assert heard.salvages == []


@pytest.mark.parametrize("end", [PhaseEnd.AGENT_FAILED, PhaseEnd.REFUSED, PhaseEnd.CANCELLED])
async def test_where_it_stands_is_told_whatever_the_end(
    calculator, job_of, play, services, known, heard, end
) -> None:
    onto = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    steps = {
        PhaseEnd.AGENT_FAILED: ["crash"],
        PhaseEnd.REFUSED: [{"write": {"path": "nothing.txt", "text": "x"}}],
        PhaseEnd.CANCELLED: [{"hang": {"ignore": []}}],
    }[end]
    job = job_of(play(code_green=steps), Phase.CODE_GREEN, rebase_onto=onto, **known)
    stop = asyncio.Event()
    work = asyncio.create_task(run_phase(job, services, stop))
    if end is PhaseEnd.CANCELLED:
        started = len(heard.started)
        await until(lambda: len(heard.started) > started)
        stop.set()
    report = await work
    assert report.end is end, report
    assert report.rebased_base == onto
    assert calculator.git("rev-parse", BRANCH) == report.rebased_head


async def test_what_a_refused_attempt_left_is_saved(
    calculator, job_of, play, services, green, known, heard
) -> None:
    agent = play(code_green=[[{"write": {"path": "half.py", "text": "half\n"}}], green])
    refused = await _run(job_of(agent, Phase.CODE_GREEN, **known), services)
    assert refused.end is PhaseEnd.REFUSED
    onto = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    job = job_of(agent, Phase.CODE_GREEN, rebase_onto=onto, attempt=2, **known)
    report = await _run(job, services)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    (salvage,) = heard.salvages
    assert calculator.git("show", f"{salvage.ref}:half.py") == "half"


async def test_a_conflict_shows_both_sides_and_leaves_everything_as_it_is(
    calculator, job_of, play, services, green, known, heard
) -> None:
    agent = play(code_green=green, refactor=[[{"say": "nothing"}]])
    second = await _run(job_of(agent, Phase.CODE_GREEN, **known), services)
    assert second.end is PhaseEnd.PASSED, second
    worktree = job_of(agent).project.state_path / "worktrees" / "shop" / "shop-1"
    (worktree / "left.txt").write_text("by a refused attempt\n")
    onto = calculator.commit(
        {"calc.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"}, "meanwhile"
    )
    heard.started.clear()
    facts = {**known, "head_commit": second.head_commit}
    report = await _run(job_of(agent, Phase.REFACTOR, rebase_onto=onto, **facts), services)
    assert report.end is PhaseEnd.CONFLICT, report
    assert report.conflicts == ("calc.py",)
    assert "def sub" in report.conflict_detail
    assert "def mul" in report.conflict_detail
    assert report.rebased_head is None
    assert report.base_commit == known["base_commit"]
    assert heard.started == []
    assert calculator.git("rev-parse", BRANCH) == second.head_commit
    assert (worktree / "left.txt").exists()
    # without the rebase it goes on where it stood
    third = await _run(job_of(agent, Phase.REFACTOR, **facts), services)
    assert third.end is PhaseEnd.PASSED, (third.error, third.verdict)


async def test_a_design_on_a_newer_main_starts_there(calculator, job_of, play, services) -> None:
    base = calculator.git("rev-parse", "HEAD")
    onto = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    job = job_of(play(), Phase.DESIGN, base_commit=base, head_commit=base, rebase_onto=onto)
    report = await _run(job, services)
    assert report.end is PhaseEnd.PASSED, report
    assert report.head_commit == report.base_commit == report.rebased_base == onto


async def test_a_story_that_stands_there_already_has_nothing_to_tell(
    calculator, job_of, play, services, green, known
) -> None:
    job = job_of(play(code_green=green), Phase.CODE_GREEN, rebase_onto=known["base_commit"], **known)
    report = await _run(job, services)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert (report.rebased_base, report.base_commit) == (None, known["base_commit"])
    assert calculator.git("rev-parse", f"{BRANCH}^") == known["head_commit"]
