from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.rpc import PeerGone
from core.worker.batch import prepare_batch
from core.worker.contract import (
    BatchJob,
    FastForwardEnd,
    FastForwardJob,
    ForwardStep,
    MergeEnd,
    MergeJob,
    MergeReport,
)
from core.worker.forward import fast_forward
from core.worker.git import Repository
from core.worker.merge import rebase_story
from core.worker.merging import merge_batch
from tests.waiting import SECONDS, until

PASSED = Verdict(phase=Phase.COMMIT)
REFUSED = Verdict(
    phase=Phase.COMMIT, refusals=(Refusal(code=RefusalCode.BASE_BROKEN, sentence="it broke", tests=("x",)),)
)


class Story:
    """A story's two commits on main, made with plain git."""

    def __init__(self, checkout, setup, story) -> None:
        self.checkout = checkout
        self.base = checkout.git("rev-parse", "main")
        checkout.git("checkout", "-q", "-b", "orchard/shop-1")
        self.red = checkout.commit(
            {"tests/test_mul.py": "from calc import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"}
        )
        calc = (checkout.path / "calc.py").read_text()
        self.head = checkout.commit({"calc.py": f"{calc}\n\ndef mul(a, b):\n    return a * b\n"})
        checkout.git("checkout", "-q", "main")
        self.job = MergeJob(
            project=setup,
            story=story,
            generation=3,
            base_commit=self.base,
            red_commit=self.red,
            head_commit=self.head,
            red_evidence=Evidence(red=("tests.test_mul::test_mul",)),
        )

    def forward(self, candidate: str, main: str) -> FastForwardJob:
        step = ForwardStep(story_id="shop-1", candidate=candidate)
        return FastForwardJob(project=self.job.project, main_commit=main, steps=(step,))


class Keeper:
    def __init__(self, verdict: Verdict) -> None:
        self.kept: list[str] = []
        self.judged: tuple[str, ...] = ()
        self._verdict = verdict

    async def judge(self, chain, base: str) -> tuple[Verdict, ...]:
        (candidate,) = chain
        self.judged = (candidate.commit, base, candidate.red)
        return (self._verdict,)

    async def keep(self, story: str, *commits: str) -> None:
        self.kept += commits


@pytest.fixture
def work(calculator, setup, story) -> Story:
    return Story(calculator, setup, story)


@pytest.fixture
async def repository(calculator) -> Repository:
    return await Repository.open(calculator.path)


def _alone(job: MergeJob) -> BatchJob:
    return BatchJob(project=job.project, merges=(job,))


async def _prepare(repository, job, verdict=PASSED) -> tuple[MergeReport, Keeper]:
    keeper = Keeper(verdict)
    report = await prepare_batch(repository, _alone(job), judge=keeper.judge, keep=keeper.keep)
    return report.reports[0], keeper


async def _merge(job: MergeJob, services) -> MergeReport:
    report = await merge_batch(_alone(job), services, {job.story.id: asyncio.Event()})
    return report.reports[0]


async def test_the_candidate_is_one_commit_on_the_tip_with_the_story_s_title(
    work, repository, calculator
) -> None:
    tip = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    report, keeper = await _prepare(repository, work.job)
    assert report.end is MergeEnd.READY
    assert report.main_commit == tip
    assert report.candidate is not None
    assert keeper.kept == [report.candidate]
    assert calculator.git("rev-parse", f"{report.candidate}^@") == tip
    assert calculator.git(
        "log", "-1", "--format=%s|%an|%(trailers:key=Orchard-Story,valueonly)", report.candidate
    ) == ("Multiply numbers|Orchard|shop-1")
    assert calculator.git("ls-tree", "-r", "--name-only", report.candidate).splitlines() == [
        ".gitignore", "calc.py", "other.py", "pyproject.toml", "run-tests.sh", "tests/test_calc.py",
        "tests/test_mul.py",
    ]  # fmt: skip
    assert calculator.git("rev-parse", "main") == tip
    assert calculator.git("diff", "--name-only", f"{keeper.judged[2]}", report.candidate) == "calc.py"


async def test_a_refusal_on_a_moved_main_gives_both_commits_on_it(work, repository, calculator) -> None:
    tip = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    report, keeper = await _prepare(repository, work.job, REFUSED)
    assert report.end is MergeEnd.REFUSED
    assert report.verdict == REFUSED
    assert report.rebased_red is not None
    assert report.rebased_head is not None
    assert keeper.kept == [report.rebased_red, report.rebased_head]
    assert calculator.git("rev-list", f"{tip}..{report.rebased_head}").splitlines() == [
        report.rebased_head, report.rebased_red,
    ]  # fmt: skip
    assert calculator.git("diff", "--name-only", tip, report.rebased_red) == "tests/test_mul.py"
    assert calculator.git("diff", "--name-only", report.rebased_red, report.rebased_head) == "calc.py"


async def test_a_refusal_on_an_unmoved_main_leaves_the_story_where_it_is(work, repository) -> None:
    report, _ = await _prepare(repository, work.job, REFUSED)
    assert (report.rebased_red, report.rebased_head) == (work.red, work.head)


async def test_a_conflict_names_the_files_and_shows_both_sides(work, repository, calculator) -> None:
    calculator.commit({"calc.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"})
    report, keeper = await _prepare(repository, work.job)
    assert report.end is MergeEnd.CONFLICT
    assert report.conflicts == ("calc.py",)
    assert "def sub" in report.conflict_detail
    assert "def mul" in report.conflict_detail
    assert keeper.judged == ()


async def test_the_design_goes_where_the_project_wants_it(work, repository, calculator, setup, story) -> None:
    job = replace(
        work.job, project=replace(setup, design_docs_path="docs/design/"), story=replace(story, spec="# D\n")
    )
    report, _ = await _prepare(repository, job)
    assert calculator.git("show", f"{report.candidate}:docs/design/shop-1.md") == "# D"


async def test_the_real_gate_passes_the_merged_tree_and_refuses_a_broken_one(
    work, calculator, services, heard
) -> None:
    calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    job = replace(work.job, red_evidence=Evidence(red=("tests::tests/test_mul.py",)))
    report = await _merge(job, services)
    assert report.end is MergeEnd.READY, (report.error, report.verdict)
    calculator.commit({"tests/test_no_mul.py": "import calc\n\nassert not hasattr(calc, 'mul')\n"})
    report = await _merge(job, services)
    assert report.end is MergeEnd.REFUSED
    assert report.verdict is not None
    assert {refusal.code for refusal in report.verdict.refusals} == {RefusalCode.BASE_BROKEN}
    assert sorted(heard.ended) == sorted(child.pid for child in heard.started)


async def test_a_stopped_merge_is_as_if_the_worker_had_gone(work, services, heard, setup) -> None:
    stop = asyncio.Event()
    slow = replace(work.job, project=replace(setup, test_command="sleep 60"))
    merging = asyncio.create_task(merge_batch(_alone(slow), services, {"shop-1": stop}))
    await until(lambda: bool(heard.started))
    stop.set()
    with pytest.raises(PeerGone):
        async with asyncio.timeout(SECONDS):
            await merging
    assert sorted(heard.ended) == sorted(child.pid for child in heard.started)


# --- rebase


async def _rebase(repository, work, onto, **changes):
    keeper = Keeper(PASSED)
    where = {"base": work.base, "red": work.red, "head": work.head} | changes
    return await rebase_story(repository, story=work.job.story, onto=onto, keep=keeper.keep, **where), keeper


async def test_a_rebased_story_keeps_its_commits_and_messages(work, repository, calculator) -> None:
    calculator.git("checkout", "-q", "orchard/shop-1")
    head = calculator.commit({"notes.txt": "better said\n"}, "refactor: \u00fcber\n\nOrchard-Story: shop-1")
    calculator.git("checkout", "-q", "main")
    onto = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    rebased, keeper = await _rebase(repository, work, onto, head=head)
    assert (rebased.base, rebased.conflicts) == (onto, ())
    history = calculator.git("rev-list", "--reverse", f"{onto}..{rebased.head}").splitlines()
    assert history == keeper.kept
    assert (history[0], len(history)) == (rebased.red, 3)
    messages = ["log", "--reverse", "--format=%B"]
    assert calculator.git(*messages, f"{onto}..{rebased.head}") == calculator.git(
        *messages, f"{work.base}..{head}"
    )
    for old, new in ((work.base, onto), (work.red, rebased.red), (work.head, history[1])):
        assert calculator.git("diff", old, new, "--", ":!other.py") == ""
        assert calculator.git("ls-tree", "--name-only", new, "other.py") == "other.py"
    assert calculator.git("rev-parse", "main", "orchard/shop-1").splitlines() == [onto, head]


async def test_a_story_without_commits_begins_on_the_new_base(work, repository, calculator) -> None:
    onto = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    for head in (None, work.base):
        rebased, keeper = await _rebase(repository, work, onto, red=None, head=head)
        assert (rebased.base, rebased.red, rebased.head) == (onto, None, head and onto)
        assert keeper.kept == []


async def test_a_story_on_newer_ground_stays_there(work, repository, calculator) -> None:
    onto = calculator.commit({"other.py": "x = 1\n"}, "meanwhile")
    first, _ = await _rebase(repository, work, onto)
    for target in (work.base, onto):
        again, keeper = await _rebase(
            repository, work, target, base=first.base, red=first.red, head=first.head
        )
        assert again == first
        assert keeper.kept == []


async def test_a_conflict_at_an_early_rebase_shows_both_sides_and_moves_nothing(
    work, repository, calculator
) -> None:
    onto = calculator.commit(
        {"calc.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"}
    )
    rebased, keeper = await _rebase(repository, work, onto)
    assert (rebased.base, rebased.red, rebased.head) == (work.base, work.red, work.head)
    assert rebased.conflicts == ("calc.py",)
    assert "def sub" in rebased.conflict_detail
    assert "def mul" in rebased.conflict_detail
    assert keeper.kept == []


# --- fast forward


async def _candidate(repository, work) -> FastForwardJob:
    report, _ = await _prepare(repository, work.job)
    assert report.candidate is not None
    return work.forward(report.candidate, report.main_commit)


async def test_a_checked_out_main_branch_moves_with_its_files_and_no_hook_runs(
    work, repository, calculator, tmp_path: Path
) -> None:
    for hook in ("post-merge", "reference-transaction", "pre-merge-commit", "post-checkout"):
        path = calculator.path / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
        path.chmod(0o755)
    job = await _candidate(repository, work)
    assert (await fast_forward(repository, job)).end is FastForwardEnd.MERGED
    assert calculator.git("rev-parse", "main", "HEAD").splitlines() == [job.steps[0].candidate] * 2
    assert calculator.git("status", "--porcelain") == ""
    assert (calculator.path / "tests" / "test_mul.py").exists()
    assert (await fast_forward(repository, job)).end is FastForwardEnd.MERGED
    assert not (tmp_path / "hook-ran").exists()


async def test_a_main_branch_that_holds_the_candidate_already_is_merged(work, repository, calculator) -> None:
    job = await _candidate(repository, work)
    await fast_forward(repository, job)
    tip = calculator.commit({"later.py": "x = 1\n"}, "later")
    assert (await fast_forward(repository, job)).end is FastForwardEnd.MERGED
    assert calculator.git("rev-parse", "main") == tip


async def test_a_main_branch_that_moved_is_prepared_again(work, repository, calculator) -> None:
    job = await _candidate(repository, work)
    tip = calculator.commit({"later.py": "x = 1\n"}, "later")
    assert (await fast_forward(repository, job)).end is FastForwardEnd.MOVED
    assert calculator.git("rev-parse", "main") == tip


@pytest.mark.parametrize("elsewhere", ["detached", "other branch", "other worktree"])
async def test_a_main_branch_that_is_not_checked_out_here_moves_alone(
    work, repository, calculator, elsewhere, tmp_path: Path
) -> None:
    job = await _candidate(repository, work)
    head = ["checkout", "-q", *(["--detach"] if elsewhere == "detached" else ["-b", "mine"])]
    calculator.git(*head)
    if elsewhere == "other worktree":
        calculator.git("worktree", "add", "-q", str(tmp_path / "main here"), "main")
    calculator.write({"calc.py": "my own work\n"})
    assert (await fast_forward(repository, job)).end is FastForwardEnd.MERGED
    assert calculator.git("rev-parse", "main") == job.steps[0].candidate
    assert (calculator.path / "calc.py").read_text() == "my own work\n"
    if elsewhere == "other worktree":
        assert calculator.git("status", "--porcelain", at=tmp_path / "main here") == ""
        assert (tmp_path / "main here" / "tests" / "test_mul.py").exists()


async def test_a_person_s_other_changes_stay(work, repository, calculator) -> None:
    job = await _candidate(repository, work)
    calculator.write({"pyproject.toml": "mine\n", "notes.txt": "mine\n", "staged.txt": "mine\n"})
    calculator.git("add", "staged.txt")
    assert (await fast_forward(repository, job)).end is FastForwardEnd.MERGED
    status = calculator.git("status", "--porcelain", "-z").split("\0")
    assert {"A  staged.txt", "?? notes.txt"} <= set(status)
    assert (calculator.path / "pyproject.toml").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["calc.py", "tests/test_mul.py"])
async def test_changes_in_the_way_block_with_their_names(work, repository, calculator, name) -> None:
    job = await _candidate(repository, work)
    calculator.write({name: "mine\n"})
    report = await fast_forward(repository, job)
    assert report.end is FastForwardEnd.BLOCKED
    assert name in report.error
    assert report.hint
    assert (calculator.path / name).read_text() == "mine\n"
    assert calculator.git("rev-parse", "main") == job.main_commit


async def test_an_ignored_file_in_the_way_is_not_overwritten(work, repository, calculator) -> None:
    job = await _candidate(repository, work)
    (calculator.path / ".git" / "info" / "exclude").write_text("test_mul.py\n")
    calculator.write({"tests/test_mul.py": "precious\n"})
    report = await fast_forward(repository, job)
    assert report.end is FastForwardEnd.BLOCKED
    assert "tests/test_mul.py" in report.error
    assert (calculator.path / "tests" / "test_mul.py").read_text() == "precious\n"


async def test_a_staged_change_in_the_way_blocks(work, repository, calculator) -> None:
    job = await _candidate(repository, work)
    calculator.write({"calc.py": "mine\n"})
    calculator.git("add", "calc.py")
    report = await fast_forward(repository, job)
    assert report.end is FastForwardEnd.BLOCKED
    assert "calc.py" in report.error


async def test_a_rebase_of_main_under_way_blocks(work, repository, calculator) -> None:
    job = await _candidate(repository, work)
    (calculator.path / ".git" / "rebase-merge").mkdir()
    (calculator.path / ".git" / "rebase-merge" / "head-name").write_text("refs/heads/main\n")
    calculator.git("checkout", "-q", "--detach")
    report = await fast_forward(repository, job)
    assert report.end is FastForwardEnd.BLOCKED
    assert "rebase" in report.error


async def test_a_left_over_lock_blocks_and_the_hint_names_it(work, repository, calculator) -> None:
    job = await _candidate(repository, work)
    (calculator.path / ".git" / "index.lock").touch()
    report = await fast_forward(repository, job)
    assert report.end is FastForwardEnd.BLOCKED
    assert "index.lock" in report.hint


async def test_files_that_arrived_before_the_ref_are_merged_next_time(work, repository, calculator) -> None:
    job = await _candidate(repository, work)
    calculator.git(
        "read-tree", "-m", "-u", "main", job.steps[0].candidate
    )  # what a crash in the middle leaves
    assert (await fast_forward(repository, job)).end is FastForwardEnd.MERGED
    assert calculator.git("status", "--porcelain") == ""
