"""PURE: what is asked of every run before its results count, and how results of several runs are read
together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

from core.domain.evidence import Outcome, Refusal, RefusalCode, RunState, SuiteRun, TestResult
from core.worker.gates.wording import some

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
                sentence=f"{sentence} Take out whatever touches the runner, its report or its exit code.",
            ),
        )
    if run.state is RunState.COMPLETED:
        return ()
    sentence = f"The test command gave no usable result: {run.problem or run.state}. {_HINTS[run.state]}"
    return (Refusal(code=_CODES[run.state], sentence=sentence),)


def judge_rewriting(runs: Iterable[SuiteRun], base: SuiteRun) -> tuple[Refusal, ...]:
    """Refuses runs that write over files of the tests. What the run at the base does, too, is a habit."""
    found = {path for run in runs for path in run.rewritten} - set(base.rewritten)
    if not found:
        return ()
    sentence = (
        f"These files of the tests were written over while the tests ran: {some(sorted(found))}. Tests must "
        "mean what is in the repository: let what has to write work on a copy in a temporary folder."
    )
    return (Refusal(code=RefusalCode.TAMPERED, sentence=sentence, files=tuple(sorted(found))),)


def by_id(run: SuiteRun) -> Mapping[str, TestResult]:
    return {result.id: result for result in run.results}


def histories(runs: Iterable[SuiteRun]) -> Mapping[str, tuple[TestResult, ...]]:
    """The results of each test in those runs that had it, in their order."""
    found: dict[str, list[TestResult]] = {}
    for run in runs:
        for result in run.results:
            found.setdefault(result.id, []).append(result)
    return {test: tuple(results) for test, results in found.items()}


def renamed(missing: Iterable[str], known: Container[str], now: Iterable[TestResult]) -> frozenset[str]:
    """Those of the `missing` cases of parametrised tests that have a new name: as many new cases of the same
    function pass now. Names of cases may come from the code under test, or differ from run to run.
    """
    spare = Counter(
        _function(result.id)
        for result in now
        if result.outcome is Outcome.PASSED and "[" in result.id and result.id not in known
    )
    found = set()
    for test in missing:
        if "[" in test and spare[_function(test)] > 0:
            spare[_function(test)] -= 1
            found.add(test)
    return frozenset(found)


def _function(test: str) -> str:
    return test.partition("[")[0]


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


def files_of(results: Iterable[TestResult]) -> tuple[str, ...]:
    return tuple(sorted({result.file for result in results if result.file}))
