"""Several stories merged together, on a real repository with the real gate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from core.domain.evidence import Evidence, RefusalCode
from core.domain.story import StoryBrief
from core.rpc import PeerGone
from core.worker.contract import (
    BatchJob,
    FastForwardEnd,
    FastForwardJob,
    FastForwardReport,
    ForwardStep,
    MergeEnd,
    MergeJob,
    MergeReport,
)
from core.worker.forward import fast_forward
from core.worker.git import Repository
from core.worker.merging import merge_batch
from tests.waiting import SECONDS, until


@dataclass
class Queue:
    """Stories of the calculator, each made on the main branch as it was at first."""

    checkout: Any
    setup: Any
    services: Any
    heard: Any
    jobs: list[MergeJob] = field(default_factory=list)
    wishes: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.base = self.checkout.git("rev-parse", "main")

    def story(self, name: str, files: dict[str, str | None], test: str | None = None) -> str:
        """A story whose test of its own wants a module of its name."""
        story = f"shop-{len(self.jobs) + 1}"
        git = self.checkout.git
        git("checkout", "-q", "--detach", self.base)
        red = self.checkout.commit({f"tests/test_{name}.py": test or f"import {name}\n"}, f"red of {story}")
        head = self.checkout.commit(files, f"green of {story}")
        git("checkout", "-q", "main")
        self.jobs.append(
            MergeJob(
                project=self.setup,
                story=StoryBrief(id=story, title=name.title(), body="", acceptance_criteria=()),
                generation=len(self.jobs) + 5,
                base_commit=self.base,
                red_commit=red,
                head_commit=head,
                red_evidence=Evidence(
                    base_passed=("tests::tests/test_calc.py",),
                    red=(f"tests::tests/test_{name}.py",),
                    red_collected=("tests::tests/test_calc.py", f"tests::tests/test_{name}.py"),
                    changed_files=(f"tests/test_{name}.py",),
                ),
            )
        )
        self.wishes[story] = asyncio.Event()
        return story

    def fine(self, *names: str) -> None:
        for name in names:
            self.story(name, {f"{name}.py": f"{name} = True\n"})

    async def merge(self) -> dict[str, MergeReport]:
        job = BatchJob(project=self.setup, merges=tuple(self.jobs))
        report = await merge_batch(job, self.services, self.wishes)
        return {each.story_id: each for each in report.reports}

    @property
    def suite_runs(self) -> int:
        return sum(child.kind == "test" for child in self.heard.started)

    def steps(self, reports: dict[str, MergeReport], main: str | None = None) -> FastForwardJob:
        ready = [report for report in reports.values() if report.end is MergeEnd.READY]
        steps = [ForwardStep(story_id=each.story_id, candidate=str(each.candidate)) for each in ready]
        return FastForwardJob(
            project=self.setup, main_commit=main or str(ready[0].main_commit), steps=tuple(steps)
        )

    async def forward(self, job: FastForwardJob) -> FastForwardReport:
        return await fast_forward(await Repository.open(self.checkout.path), job)


@pytest.fixture
def queue(calculator, setup, services, heard) -> Queue:
    return Queue(calculator, setup, services, heard)


def ends(reports: dict[str, MergeReport]) -> list[str]:
    return [reports[story].end.value for story in sorted(reports)]


async def test_three_stories_take_one_run_and_become_three_commits(queue, calculator) -> None:
    queue.fine("one", "two", "three")
    tip = calculator.commit({"meanwhile.py": "x = 1\n"}, "meanwhile")
    reports = await queue.merge()
    assert ends(reports) == ["ready"] * 3, reports
    assert queue.suite_runs == 2  # of the main branch, and of the top
    top = calculator.git("rev-parse", f"{reports['shop-3'].candidate}^{{tree}}")
    for story, report in reports.items():
        assert report.verdict.evidence.tree == top
        assert report.verdict.evidence.green == (f"tests::tests/test_{_name(queue, story)}.py",)
        assert report.generation == {job.story.id: job.generation for job in queue.jobs}[story]
    done = await queue.forward(queue.steps(reports))
    assert (done.end, done.landed) == (FastForwardEnd.MERGED, 3)
    assert calculator.git("log", "--reverse", "--format=%s", f"{tip}..main").splitlines() == [
        "One",
        "Two",
        "Three",
    ]
    for story, name in (("shop-1", "one"), ("shop-2", "two"), ("shop-3", "three")):
        commit = reports[story].candidate
        changed = calculator.git("diff", "--name-only", f"{commit}^", commit).splitlines()
        assert set(changed) == {f"{name}.py", f"tests/test_{name}.py"}
    assert calculator.git("status", "--porcelain") == ""
    assert sorted(queue.heard.ended) == sorted(child.pid for child in queue.heard.started)


def _name(queue: Queue, story: str) -> str:
    return {job.story.id: job.story.title.lower() for job in queue.jobs}[story]


async def test_one_guilty_among_four_is_refused_and_the_others_land(queue, calculator) -> None:
    queue.fine("one", "two")
    queue.story("bad", {"bad.py": "x = 1\n", "calc.py": "def plus(a, b):\n    return a + b\n"})
    queue.fine("four")
    reports = await queue.merge()
    assert ends(reports) == ["ready", "ready", "refused", "ready"], reports
    assert queue.suite_runs == 5  # main, all four, the first two, the first three, all but the bad one
    refused = reports["shop-3"]
    assert {refusal.code for refusal in refused.verdict.refusals} == {RefusalCode.BASE_BROKEN}
    assert refused.main_commit == reports["shop-2"].candidate
    assert calculator.git("rev-list", f"{refused.main_commit}..{refused.rebased_head}").splitlines() == [
        refused.rebased_head,
        refused.rebased_red,
    ]
    await queue.forward(queue.steps(reports))
    assert calculator.git("log", "--format=%s", "main").splitlines() == ["Four", "Two", "One", "first"]


async def test_of_two_that_fail_only_together_the_earlier_lands(queue, calculator) -> None:
    queue.story(
        "one", {"one.py": "x = 1\n"}, "import pathlib, one\nassert not pathlib.Path('two.py').exists()\n"
    )
    queue.fine("two", "three")
    reports = await queue.merge()
    assert ends(reports) == ["ready", "refused", "ready"], reports
    assert reports["shop-2"].main_commit == reports["shop-1"].candidate
    queue.jobs = queue.jobs[1:2]
    queue.wishes = {"shop-2": asyncio.Event()}
    assert ends(await queue.merge()) == ["ready"]  # nothing is wrong with it alone


async def test_the_only_guilty_one_stands_on_the_main_branch(queue) -> None:
    queue.story("bad", {"bad.py": "x = 1\n", "calc.py": "def plus(a, b):\n    return a + b\n"})
    queue.fine("two")
    reports = await queue.merge()
    assert ends(reports) == ["refused", "ready"]
    assert reports["shop-1"].main_commit == queue.base
    assert reports["shop-1"].rebased_head == queue.jobs[0].head_commit
    assert reports["shop-2"].main_commit == queue.base


async def test_who_does_not_fit_on_the_batch_waits_and_who_does_not_fit_on_main_is_sent_back(
    queue, calculator
) -> None:
    calc = (calculator.path / "calc.py").read_text()
    queue.story("one", {"one.py": "x = 1\n", "calc.py": f"{calc}\n\ndef one():\n    return 1\n"})
    queue.story("two", {"two.py": "x = 1\n", "calc.py": f"{calc}\n\ndef two():\n    return 2\n"})
    queue.story("late", {"late.py": "x = 1\n", "pyproject.toml": '[project]\nname = "late"\nversion = "1"\n'})
    queue.fine("four")
    calculator.commit({"pyproject.toml": '[project]\nname = "main"\nversion = "1"\n'})
    reports = await queue.merge()
    assert ends(reports) == ["ready", "left out", "conflict", "ready"]
    assert queue.suite_runs == 2
    assert reports["shop-3"].conflicts == ("pyproject.toml",)
    assert 'name = "late"' in reports["shop-3"].conflict_detail
    await queue.forward(queue.steps(reports))
    queue.jobs, queue.wishes = [queue.jobs[1]], {"shop-2": asyncio.Event()}
    assert ends(await queue.merge()) == ["conflict"]  # it met the new main branch


async def test_tests_that_a_story_removes_in_the_open_are_no_fault_of_the_next(queue, calculator) -> None:
    calculator.commit({"old.py": "", "tests/test_old.py": "import old\n"}, "old")
    queue.base = calculator.git("rev-parse", "main")
    queue.story("one", {"one.py": "x = 1\n", "old.py": None})
    git = calculator.git
    git("checkout", "-q", "--detach", queue.jobs[0].red_commit)
    red = calculator.commit({"tests/test_old.py": None}, "red without the old test")
    head = calculator.commit({"one.py": "x = 1\n", "old.py": None}, "green")
    git("checkout", "-q", "main")
    evidence = replace(
        queue.jobs[0].red_evidence,
        base_passed=("tests::tests/test_calc.py", "tests::tests/test_old.py"),
    )
    queue.jobs[0] = replace(queue.jobs[0], red_commit=red, head_commit=head, red_evidence=evidence)
    queue.fine("two")
    reports = await queue.merge()
    assert ends(reports) == ["ready", "ready"], reports


async def test_a_story_taken_out_while_the_batch_is_judged_leaves_the_others(
    queue, calculator, tmp_path: Path
) -> None:
    queue.fine("one", "three")
    gate = tmp_path / "go"
    slow = f"import pathlib, time, two\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
    queue.story("two", {"two.py": "x = 1\n"}, slow)
    working = asyncio.create_task(queue.merge())
    await until(lambda: queue.suite_runs == 2)
    queue.wishes["shop-3"].set()
    async with asyncio.timeout(SECONDS):
        reports = await working
    assert ends(reports) == ["ready", "ready"]
    assert set(reports) == {"shop-1", "shop-2"}
    tree = calculator.git("ls-tree", "-r", "--name-only", reports["shop-2"].candidate)
    assert "two.py" not in tree
    assert "three.py" in tree


async def test_a_batch_that_everybody_left_is_as_if_the_worker_had_gone(queue) -> None:
    queue.fine("one", "two")
    for wish in queue.wishes.values():
        wish.set()
    with pytest.raises(PeerGone):
        await queue.merge()


async def test_a_base_that_cannot_be_measured_blocks_with_the_reason(queue, setup) -> None:
    queue.setup = replace(setup, test_command="true {junit}")
    queue.fine("one", "two")
    reports = await queue.merge()
    assert ends(reports) == ["blocked", "blocked"]
    assert all("no usable result" in report.error and report.hint for report in reports.values())


# --- fast forward of a batch


@pytest.fixture
async def proven(queue) -> Callable[[], FastForwardJob]:
    queue.fine("one", "two", "three")
    return queue.steps(await queue.merge())


async def test_the_story_whose_file_is_in_the_way_waits_and_those_before_it_go_in(
    queue, proven, calculator
) -> None:
    calculator.write({"two.py": "mine\n"})
    report = await queue.forward(proven)
    assert (report.end, report.landed) == (FastForwardEnd.BLOCKED, 1)
    assert "two.py" in report.error
    assert "three.py" not in report.error
    assert calculator.git("rev-parse", "main") == proven.steps[0].candidate
    assert (calculator.path / "two.py").read_text() == "mine\n"
    assert (calculator.path / "one.py").exists()


async def test_the_first_in_the_way_lets_nothing_in(queue, proven, calculator) -> None:
    calculator.write({"one.py": "mine\n", "three.py": "mine too\n"})
    report = await queue.forward(proven)
    assert (report.end, report.landed) == (FastForwardEnd.BLOCKED, 0)
    assert "one.py" in report.error
    assert calculator.git("rev-parse", "main") == proven.main_commit


async def test_what_landed_before_a_crash_is_seen_and_the_rest_follows(queue, proven, calculator) -> None:
    first = await queue.forward(replace(proven, go=2))
    assert (first.end, first.landed) == (FastForwardEnd.MERGED, 2)
    assert calculator.git("rev-parse", "main") == proven.steps[1].candidate
    looked = await queue.forward(replace(proven, go=0))
    assert (looked.end, looked.landed) == (FastForwardEnd.MERGED, 2)
    assert (await queue.forward(proven)).landed == 3
    assert calculator.git("rev-parse", "main") == proven.steps[2].candidate
    calculator.commit({"later.py": "x = 1\n"}, "later")
    again = await queue.forward(proven)
    assert (again.end, again.landed) == (FastForwardEnd.MERGED, 3)


async def test_a_main_branch_that_went_on_from_half_a_batch_says_how_much_landed(
    queue, proven, calculator
) -> None:
    await queue.forward(replace(proven, go=1))
    calculator.commit({"later.py": "x = 1\n"}, "later")
    report = await queue.forward(proven)
    assert (report.end, report.landed) == (FastForwardEnd.MOVED, 1)
