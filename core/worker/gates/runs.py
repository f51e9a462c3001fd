"""PURE: what is asked of every run before its results count, and how results of several runs are read
together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.domain.evidence import Outcome, Refusal, RefusalCode, RunState, SuiteRun, TestResult

BAD = frozenset({Outcome.FAILED, Outcome.ERROR})
SILENT = frozenset({Outcome.SKIPPED, Outcome.XFAILED})

_CODES = {
    RunState.TIMED_OUT: RefusalCode.TIMED_OUT,
    RunState.FLOODED: RefusalCode.FLOODED,
    RunState.CRASHED: RefusalCode.NO_REPORT,
}
_HINTS = {
    RunState.TIMED_OUT: "Find the test or code that hangs.",
    RunState.FLOODED: "Find what prints without end.",
    RunState.CRASHED: "Make the test command run to its end.",
}


def judge_run(run: SuiteRun) -> tuple[Refusal, ...]:
    """Refusals of the run as a whole; empty when its results can be used."""
    if run.tampering:
        sentence = " ".join(run.tampering)
        return (
            Refusal(
                code=RefusalCode.TAMPERED,
                sentence=f"{sentence} Take out whatever touches the test runner, its report or its exit code.",
            ),
        )
    if run.state is RunState.COMPLETED:
        return ()
    sentence = f"The test command gave no usable result: {run.problem or run.state}. {_HINTS[run.state]}"
    return (Refusal(code=_CODES[run.state], sentence=sentence),)


def by_id(run: SuiteRun) -> Mapping[str, TestResult]:
    return {result.id: result for result in run.results}


def seen(runs: Iterable[SuiteRun], test: str) -> tuple[TestResult, ...]:
    """The results of one test in those runs that had it."""
    return tuple(result for run in runs for result in run.results if result.id == test)


def ids(
    results: Iterable[TestResult], outcomes: Iterable[Outcome], *, files: bool = False
) -> tuple[str, ...]:
    """The tests of such outcomes, in order; with `files` also those that stand for a whole file."""
    wanted = frozenset(outcomes)
    return tuple(
        result.id for result in results if result.outcome in wanted and (files or not result.collection)
    )


def flips(results: Sequence[TestResult]) -> bool:
    """Passed in one run and failed in another."""
    kinds = {result.outcome in BAD for result in results}
    return len(kinds) > 1
