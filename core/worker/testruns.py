"""The project's whole suite, run because a person asked. Nothing is judged by it, no verdict kept from it.

It runs beside everything else: on a commit, or on a picture of a story's files, in a checkout of its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass

from core.domain.evidence import Outcome, RunState, SuiteRun
from core.errors import NotFound, OrchardError
from core.ids import branch_of
from core.worker.contract import SuiteJob, SuiteReport
from core.worker.found import KEPT
from core.worker.steps import Stopped, unless_stopped
from core.worker.workshop import Services, Workshop

logger = logging.getLogger(__name__)

_SHOWN = 50  # ids of failed tests


@dataclass(slots=True)
class _Progress:
    commit: str = ""  # what is run, once it is known


async def run_tests(job: SuiteJob, services: Services, stop: asyncio.Event) -> SuiteReport:
    """The suite on the main branch, or on a story as it is now. Setting `stop` ends it, with an error that
    says so. What keeps it from running is in the report's `error`, never raised.
    """
    progress = _Progress()
    async with services.children_of(job.story_id) as child:
        try:
            shop = await Workshop.open(job.project, services, on_setup=child("setup"), on_test=child("test"))
            return await unless_stopped(_run(shop, job, progress), stop)
        except Stopped:
            return _without_run(job, progress, "The test run was stopped.")
        except OrchardError as error:
            parts = (error.message, error.why, error.hint)
            return _without_run(job, progress, " ".join(part for part in parts if part))
        except Exception as error:  # edge: the person gets a sentence, the log gets the trace
            incident = secrets.token_hex(4)
            logger.exception("tests of %s, incident %s", job.story_id or job.project.name, incident)
            said = f"Orchard itself failed: {type(error).__name__}: {error} (incident {incident})."
            return _without_run(job, progress, said)


async def _run(shop: Workshop, job: SuiteJob, progress: _Progress) -> SuiteReport:
    progress.commit = await _what(shop, job)
    environment = await shop.environment(progress.commit)
    runner = await shop.runner(progress.commit, environment, None)
    # Past the cache both ways: a person wants to see it run, and a gate must not rely on what it did not ask.
    run = await shop.suite(runner, environment).run_again(progress.commit, select=())
    return _report(job, progress.commit, run)


async def _what(shop: Workshop, job: SuiteJob) -> str:
    """A commit, or the tree of a story's files where they differ from its commit."""
    repository, story = shop.repository, job.story_id
    if story is None:
        return await repository.main_commit(job.project.main_branch)
    names = (job.head_commit, f"refs/heads/{branch_of(story)}", f"{KEPT}/{story}")
    found = [await repository.resolve(name) for name in names if name is not None]
    head = next((commit for commit in found if commit is not None), None)
    staged = await shop.worktrees.snapshot(story)
    if staged is None:
        if head is None:
            raise NotFound(
                f"{story} has no files yet.", hint="Wait until it has begun, or run the project's tests."
            )
        return head
    return head if head is not None and await repository.tree_of(head) == staged.tree else staged.tree


def _report(job: SuiteJob, commit: str, run: SuiteRun) -> SuiteReport:
    failed = [result.id for result in run.results if result.outcome in (Outcome.FAILED, Outcome.ERROR)]
    quiet = (Outcome.SKIPPED, Outcome.XFAILED)
    error = ""
    if run.state is not RunState.COMPLETED:
        error = f"The tests gave no result: {run.problem or run.state}."
    elif run.tampering:
        error = f"Do not rely on this run: {' '.join(run.tampering)}"
    code = -1 if run.exit_code is None else run.exit_code
    if run.runner not in ("junit", "command") and not error:
        code = 1 if failed else 0  # their own one knows of the canary that must fail, or of no test
    return SuiteReport(
        story_id=job.story_id,
        commit=commit,
        passed=sum(result.outcome is Outcome.PASSED for result in run.results),
        failed=tuple(failed[:_SHOWN]),
        failed_count=len(failed),
        skipped=sum(result.outcome in quiet for result in run.results),
        seconds=run.seconds,
        exit_code=code,
        exit_code_only=run.exit_code_only,
        output=run.output_tail if error or failed or code else "",
        error=error,
    )


def _without_run(job: SuiteJob, progress: _Progress, error: str) -> SuiteReport:
    return SuiteReport(
        story_id=job.story_id,
        commit=progress.commit,
        passed=0,
        failed=(),
        failed_count=0,
        skipped=0,
        seconds=0.0,
        exit_code=-1,
        exit_code_only=False,
        error=error,
    )
