"""A person worked in a story's worktree, as people do, and gave it back."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core.agents.setup import AgentSetup
from core.domain.evidence import RefusalCode
from core.domain.lifecycles import Phase
from core.worker.contract import OpenWorktree, PhaseEnd, PhaseJob, PhaseReport, ProjectSetup
from core.worker.opening import open_worktree
from core.worker.phases import run_phase
from core.worker.workshop import Services
from core.worker.worktree import taken_mark
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

BRANCH = "refs/heads/orchard/shop-1"
GOOD = "def add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return a * b\n"
BAD = GOOD.replace("mul", "times")  # the name that the test imports is missing


@dataclass
class Taken:
    """A story whose red has passed, and whose worktree a person has."""

    path: Path
    base: str
    red: str
    facts: dict[str, Any]
    services: Services
    nobody: AgentSetup  # cannot be started
    job_of: Callable[..., PhaseJob]

    async def give_back(self, phase: Phase = Phase.CODE_GREEN, **changes: Any) -> PhaseReport:
        facts = {"head_commit": self.red, "by_hand": True, **self.facts, **changes}
        return await run_phase(self.job_of(self.nobody, phase, **facts), self.services, asyncio.Event())


@pytest.fixture
def tmp_path(same_place) -> Path:
    return same_place.clear()


@pytest.fixture
async def taken(red_passed, job_of, services, setup: ProjectSetup, tmp_path) -> Taken:
    first = red_passed
    assert first.verdict is not None
    facts = {
        "base_commit": first.base_commit,
        "red_commit": first.head_commit,
        "red_evidence": first.verdict.evidence,
    }
    return Taken(
        path=setup.state_path / "worktrees" / "shop" / "shop-1",
        base=str(first.base_commit),
        red=str(first.head_commit),
        facts=facts,
        services=services,
        nobody=AgentSetup(name="nobody", kind="acp", argv=(str(tmp_path / "no-such-program"),)),
        job_of=job_of,
    )


def _leave(how: str, at: Path, git: Callable[..., str], text: str = GOOD) -> None:
    """The person's work, which is the new calc.py, left in one of the ways that people have."""
    if how == "another branch":
        git("switch", "-q", "-c", "mine", at=at)
    if how in ("no branch", "two commits on no branch"):
        git("checkout", "-q", "--detach", at=at)
    if how == "two commits on no branch":
        (at / "calc.py").write_text(f"{text}# half of it\n")
        git("commit", "-q", "-a", "-m", "half of it", at=at)
    (at / "calc.py").write_text(text)
    if how == "staged":
        git("add", "-A", at=at)
    if how == "in the middle of a merge":
        git("commit", "-q", "-a", "-m", "mine", at=at)
        git("switch", "-q", "-c", "other", "HEAD^", at=at)
        (at / "calc.py").write_text("broken\n")
        git("commit", "-q", "-a", "-m", "theirs", at=at)
        git("switch", "-q", "orchard/shop-1", at=at)
        with pytest.raises(Exception, match="merge"):
            git("merge", "other", at=at)
        (at / "calc.py").write_text(text)
    if how in ("the story's branch", "another branch", "no branch", "two commits on no branch"):
        git("commit", "-q", "-a", "-m", "mine", at=at)


WAYS = [
    "not committed",
    "staged",
    "the story's branch",
    "another branch",
    "no branch",
    "two commits on no branch",
    "in the middle of a merge",
]


@pytest.mark.parametrize("how", WAYS)
async def test_work_passes_wherever_it_was_left(taken, calculator, heard, how) -> None:
    git = calculator.git
    _leave(how, taken.path, git)
    report = await taken.give_back()
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert {change.path for change in report.changes} == {"calc.py", "tests/test_mul.py"}
    assert heard.salvages == []
    assert {child.kind for child in heard.started} == {"test"}
    # one commit of Orchard's on top of red; the person's own stay at a ref
    assert git("rev-parse", f"{BRANCH}^") == taken.red
    assert git("rev-parse", BRANCH) == report.head_commit
    assert git("symbolic-ref", "HEAD", at=taken.path) == BRANCH
    assert git("status", "--porcelain", at=taken.path) == ""
    assert "merging" not in git("status", at=taken.path)
    mine = git("for-each-ref", "--format=%(subject)", "refs/orchard/hands/shop-1").splitlines()
    assert mine == ([] if how in ("not committed", "staged") else ["mine"])


@pytest.mark.parametrize("how", ["not committed", "another branch", "in the middle of a merge"])
async def test_refused_work_stays_and_the_agent_goes_on_from_it(
    taken, calculator, heard, play, services, job_of, how
) -> None:
    _leave(how, taken.path, calculator.git, BAD)
    report = await taken.give_back()
    assert report.end is PhaseEnd.REFUSED, report
    assert report.verdict is not None
    assert RefusalCode.STILL_RED in {refusal.code for refusal in report.verdict.refusals}
    agent = play(code_green=[{"replace": {"path": "calc.py", "old": "def times", "new": "def mul"}}])
    job = job_of(agent, Phase.CODE_GREEN, head_commit=taken.red, attempt=2, feedback="no", **taken.facts)
    again = await run_phase(job, services, asyncio.Event())
    assert again.end is PhaseEnd.PASSED, (again.error, again.verdict)
    assert calculator.git("show", f"{BRANCH}:calc.py") == GOOD.strip()
    assert heard.salvages == []


async def test_what_was_staged_and_then_changed_again_is_saved(taken, calculator, heard) -> None:
    at, git = taken.path, calculator.git
    calculator.write({"calc.py": "staged once\n", "note.txt": "only staged\n"}, at=at)
    git("add", "-A", at=at)
    (at / "note.txt").unlink()
    (at / "calc.py").write_text(GOOD)
    report = await taken.give_back()
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    (salvage,) = heard.salvages
    assert git("show", f"{salvage.ref}:calc.py") == "staged once"
    assert git("show", f"{salvage.ref}:note.txt") == "only staged"
    assert git("ls-tree", "-r", "--name-only", BRANCH).splitlines().count("note.txt") == 0


async def test_commits_on_the_story_s_branch_are_saved_when_the_person_went_elsewhere(
    taken, calculator, heard
) -> None:
    at, git = taken.path, calculator.git
    _leave("the story's branch", at, git)
    mine = git("rev-parse", "HEAD", at=at)
    git("switch", "-q", "-c", "elsewhere", taken.red, at=at)
    report = await taken.give_back()
    assert report.end is PhaseEnd.REFUSED  # the files are those of red, and nothing passes
    (salvage,) = heard.salvages
    assert salvage.files == ("calc.py",)
    assert git("show", f"{salvage.ref}:calc.py") == GOOD.strip()
    assert git("rev-parse", "refs/orchard/hands/shop-1/1") == mine
    assert git("rev-parse", "elsewhere") == taken.red


async def test_a_worktree_that_the_person_removed_counts_by_its_branch(taken, calculator, heard) -> None:
    _leave("the story's branch", taken.path, calculator.git)
    calculator.git("worktree", "remove", "--force", str(taken.path))
    report = await taken.give_back()
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert (taken.path / "calc.py").read_text() == GOOD
    assert heard.salvages == []


async def test_files_that_git_has_forgotten_are_judged_all_the_same(taken, calculator, heard) -> None:
    (taken.path / "calc.py").write_text(GOOD)
    shutil.rmtree(calculator.path / ".git" / "worktrees" / "shop-1")
    report = await taken.give_back()
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert calculator.git("show", f"{heard.salvages[0].ref}:calc.py") == GOOD.strip()  # before it was moved


async def test_a_rebase_that_was_not_ended_is_forgotten_and_its_commits_stay(
    taken, calculator, heard
) -> None:
    at, git = taken.path, calculator.git
    _leave("the story's branch", at, git)
    mine = git("rev-parse", "HEAD", at=at)
    calculator.write({"calc.py": "other\n"})
    calculator.commit({}, "main moved")
    with pytest.raises(subprocess.CalledProcessError):
        git("rebase", "main", at=at)
    report = await taken.give_back()
    assert report.end is PhaseEnd.REFUSED, report  # conflict markers are no code
    assert "rebas" not in git("status", at=at)
    assert git("symbolic-ref", "HEAD", at=at) == BRANCH
    assert mine in git("for-each-ref", "--format=%(objectname)", "refs/orchard/hands").splitlines()
    assert any(git("show", f"{salvage.ref}:calc.py") == GOOD.strip() for salvage in heard.salvages), (
        heard.salvages
    )


async def test_a_half_set_worktree_is_set_again_and_what_was_done_in_it_is_saved(
    taken, calculator, heard, setup
) -> None:
    (setup.state_path / "worktrees" / "shop" / ".orchard" / "shop-1.setting").touch()
    (taken.path / "tests" / "test_mul.py").unlink()  # not there yet when the worker was killed
    (taken.path / "mine.txt").write_text("mine\n")
    report = await taken.give_back()
    assert report.end is PhaseEnd.REFUSED
    assert (taken.path / "tests" / "test_mul.py").exists()
    (salvage,) = heard.salvages
    assert calculator.git("show", f"{salvage.ref}:mine.txt") == "mine"


async def test_a_taken_folder_is_opened_where_the_story_stands_and_given_back(
    taken, calculator, setup, story, services, heard
) -> None:
    job = OpenWorktree(
        project=setup, story=story, phase=Phase.CODE_GREEN, base_commit=taken.base, head_commit=taken.red
    )
    (taken.path / "half.py").write_text("by an agent that was stopped\n")
    opened = await open_worktree(job, services)
    assert (opened.path, opened.base_commit) == (taken.path, taken.base)
    mark = taken_mark(job.project.state_path, "shop", "shop-1")
    assert mark.exists()
    assert calculator.git("status", "--porcelain", at=opened.path) == "?? half.py"
    (opened.path / "calc.py").write_text(GOOD)
    again = await open_worktree(job, services)  # asked twice: the person's work stays
    assert again == opened
    report = await taken.give_back()
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert not mark.exists()
    assert "half.py" in {change.path for change in report.changes}
    assert heard.salvages == []


async def test_a_person_at_work_is_not_taken_for_another_story_s_agent(
    taken, calculator, setup, story, services, heard, play, red
) -> None:
    project = replace(setup, isolation="process")
    job = OpenWorktree(
        project=project, story=story, phase=Phase.CODE_GREEN, base_commit=taken.base, head_commit=taken.red
    )
    opened = await open_worktree(job, services)
    agent = play(test_red=[{"steered": {"then": red}}])
    other = taken.job_of(agent, story=replace(story, id="shop-2"), project=project)
    work = asyncio.create_task(run_phase(other, services, asyncio.Event()))
    await until(lambda: "shop-2" in services.steering)
    (opened.path / "calc.py").write_text(GOOD)
    await services.steering["shop-2"].say("go on")
    report = await work
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert (await taken.give_back()).end is PhaseEnd.PASSED


async def test_a_story_that_has_not_begun_is_opened_too(calculator, setup, story, services, job_of) -> None:
    job = OpenWorktree(project=setup, story=story, phase=Phase.TEST_RED, base_commit=None, head_commit=None)
    opened = await open_worktree(job, services)
    assert opened.base_commit == calculator.git("rev-parse", "main")
    assert calculator.git("symbolic-ref", "HEAD", at=opened.path) == BRANCH


async def test_a_repository_made_inside_is_refused_and_kept(taken, calculator, heard) -> None:
    (taken.path / "calc.py").write_text(GOOD)
    (taken.path / "sub").mkdir()
    calculator.git("init", "-q", at=taken.path / "sub")
    (taken.path / "sub" / "x").write_text("x\n")
    report = await taken.give_back()
    assert report.end is PhaseEnd.REFUSED
    assert report.verdict is not None
    assert "sub" in report.verdict.explain()
    assert (taken.path / "sub" / "x").exists()
    shutil.rmtree(taken.path / "sub")
    assert (await taken.give_back()).end is PhaseEnd.PASSED


async def test_changed_tests_are_refused_by_hand_too(taken, calculator) -> None:
    calculator.write({"calc.py": GOOD, "tests/test_mul.py": "pass\n"}, at=taken.path)
    report = await taken.give_back()
    assert report.end is PhaseEnd.REFUSED
    assert report.verdict is not None
    assert {refusal.code for refusal in report.verdict.refusals} == {RefusalCode.TESTS_CHANGED}


async def test_at_level_process_the_surroundings_are_the_person_s_own_affair(
    taken, calculator, setup
) -> None:
    (taken.path / "calc.py").write_text(GOOD)
    (calculator.path / "calc.py").write_text("at work here too\n")
    calculator.git("tag", "mine", taken.red)
    report = await taken.give_back(project=replace(setup, isolation="process"))
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert (calculator.path / "calc.py").read_text() == "at work here too\n"


async def test_a_stop_at_the_gate_loses_nothing_and_the_agent_goes_on_from_the_files(
    taken, calculator, heard, play, services, job_of
) -> None:
    _leave("no branch", taken.path, calculator.git, f"import time\ntime.sleep(60)\n{BAD}")
    stop = asyncio.Event()
    job = job_of(taken.nobody, Phase.CODE_GREEN, head_commit=taken.red, by_hand=True, **taken.facts)
    work = asyncio.create_task(run_phase(job, services, stop))
    await until(lambda: any(child.kind == "test" for child in heard.started))
    stop.set()
    assert (await work).end is PhaseEnd.CANCELLED
    agent = play(code_green=[{"write": {"path": "seen.txt", "text": "x"}}, {"run": "grep -q sleep calc.py"}])
    again = job_of(agent, Phase.CODE_GREEN, head_commit=taken.red, **taken.facts)
    stopped = asyncio.create_task(run_phase(again, services, stop := asyncio.Event()))
    await until(lambda: (taken.path / "seen.txt").exists())
    stop.set()
    await stopped
    assert "time.sleep" in (taken.path / "calc.py").read_text()
    assert heard.salvages == []


async def test_giving_back_twice_keeps_each_commit_once(taken, calculator) -> None:
    _leave("the story's branch", taken.path, calculator.git, BAD)
    for _ in range(2):
        assert (await taken.give_back()).end is PhaseEnd.REFUSED
    (taken.path / "calc.py").write_text(GOOD)
    calculator.git("commit", "-q", "-a", "-m", "better", at=taken.path)
    assert (await taken.give_back()).end is PhaseEnd.PASSED
    kept = calculator.git("for-each-ref", "--format=%(refname) %(subject)", "refs/orchard/hands")
    assert kept.splitlines() == [
        "refs/orchard/hands/shop-1/1 mine",
        "refs/orchard/hands/shop-1/2 better",
    ]


async def test_a_rebase_waits_while_a_person_s_work_is_judged(taken, calculator) -> None:
    (taken.path / "calc.py").write_text(GOOD)
    onto = calculator.commit({"README": "moved on\n"})
    report = await taken.give_back(rebase_onto=onto)
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert report.rebased_base is None
    assert report.base_commit == taken.base


# --- design


async def test_a_person_s_design_is_read_from_the_worktree(calculator, taken, story) -> None:
    spec = "# Multiply\n\n## Acceptance criteria\n\n- by a person\n"
    place = taken.path / ".orch-state" / "stories" / "shop-1.md"
    place.write_text(spec)
    facts = {"head_commit": taken.base, "base_commit": taken.base, "red_commit": None}
    report = await taken.give_back(Phase.DESIGN, **facts)
    assert (report.end, report.spec) == (PhaseEnd.REFUSED, None)  # there is a test, which is no design
    assert place.read_text() == spec
    (taken.path / "tests" / "test_mul.py").unlink()
    report = await taken.give_back(Phase.DESIGN, **facts)
    assert (report.end, report.spec) == (PhaseEnd.PASSED, spec), report.verdict
    place.unlink()
    report = await taken.give_back(Phase.DESIGN, **facts)
    assert report.end is PhaseEnd.PASSED
    assert report.spec is not None
    assert "mul(2, 3) is 6" in report.spec  # nothing was written: the story's own words are the design


async def test_a_design_changed_in_another_phase_is_saved_and_put_back(
    taken, calculator, heard, story
) -> None:
    place = taken.path / ".orch-state" / "stories" / "shop-1.md"
    place.write_text("my notes\n")
    (taken.path / "calc.py").write_text(GOOD)
    report = await taken.give_back(story=replace(story, spec="the record\n"))
    assert report.end is PhaseEnd.PASSED, (report.error, report.verdict)
    assert place.read_text() == "the record\n"
    (salvage,) = heard.salvages
    shown = calculator.git("show", f"{salvage.ref}:.orch-state/stories/shop-1.md")
    assert shown == "my notes"
