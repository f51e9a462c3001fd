"""PURE: the gate after `test_red`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from core.domain.evidence import Outcome, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.domain.risk import FileChange
from core.worker.gates.runs import SILENT, files_of, ids, judge_rewriting, judge_run
from core.worker.gates.sorting import RedFacts, SortedRed, basics_of, suspects
from core.worker.gates.wording import some, with_reasons

__all__ = ["RedFacts", "judge_changes", "judge_red", "suspects"]


def judge_changes(changes: Sequence[FileChange]) -> tuple[Refusal, ...]:
    """What can be said without running anything."""
    outside = [change.path for change in changes if not change.is_test]
    refusals = []
    if outside:
        refusals.append(
            Refusal(
                code=RefusalCode.CHANGED_OUTSIDE_RIGHTS,
                sentence=(
                    f"Writing the tests may change test files only: undo the changes to {some(outside)}. "
                    "The code comes in the next phase."
                ),
                files=tuple(outside),
            )
        )
    if not any(change.is_test and not change.deleted for change in changes):
        refusals.append(
            Refusal(
                code=RefusalCode.NO_TEST_ADDED,
                sentence="No test was added or changed: write one that fails until the story is done.",
            )
        )
    return tuple(refusals)


def judge_red(facts: RedFacts) -> Verdict:
    """The base run must be usable; see `evaluate` for what happens otherwise."""
    refusals = judge_changes(facts.changes)
    if not refusals:
        refusals = judge_run(facts.first) or judge_run(facts.second)
    if not refusals:
        refusals = judge_rewriting((facts.first, facts.second), facts.base)
    if refusals:
        return Verdict(phase=Phase.TEST_RED, refusals=refusals, evidence=basics_of(facts))
    if facts.first.exit_code_only:
        return _judge_exit_code(facts)
    heap = SortedRed(facts)
    return Verdict(
        phase=Phase.TEST_RED,
        refusals=tuple(_refusals(heap)),
        evidence=heap.evidence(),
    )


def _refusals(heap: SortedRed) -> Iterable[Refusal]:
    if heap.broken:
        yield Refusal(
            code=RefusalCode.BROKEN_TEST,
            sentence=(
                "These tests are broken rather than red: "
                f"{with_reasons([(r.id, why) for r, why in heap.broken])}. "
                "Mend them, so that they fail only because the story is not done yet."
            ),
            tests=tuple(result.id for result, _ in heap.broken),
            files=files_of(result for result, _ in heap.broken),
        )
    yield from _base_broken(heap)
    flaky = [result for result in heap.flaky if result.id not in heap.base]
    nothing_red = not heap.red and not heap.broken
    if nothing_red:
        flaky = flaky or [result for result in heap.flaky if heap.is_touched(result)]
    if flaky:
        yield Refusal(
            code=RefusalCode.FLAKY_TEST,
            sentence=(
                "These tests did not fail the same way in two runs of the same files: "
                f"{some(r.id for r in flaky)}. "
                "Take out what differs from run to run (time, random numbers, order, files left behind)."
            ),
            tests=tuple(result.id for result in flaky),
            files=files_of(flaky),
        )
    elif nothing_red:
        yield _nothing_red(heap)


def _base_broken(heap: SortedRed) -> Iterable[Refusal]:
    if heap.base_broken:
        named = [(result.id, reason) for result, reason in heap.base_broken]
        yield Refusal(
            code=RefusalCode.BASE_BROKEN,
            sentence=(
                f"These tests passed before, were not changed, and fail now: {with_reasons(named)}. "
                "Undo what broke them, for example in a shared fixture or conftest.py."
            ),
            tests=tuple(result.id for result, _ in heap.base_broken),
            files=files_of(result for result, _ in heap.base_broken),
        )
    dead_files = {result.file for result, _ in heap.base_broken if result.collection}
    missing = [one for one in heap.missing() if not heap.was_free(one) and one.file not in dead_files]
    if missing:
        yield Refusal(
            code=RefusalCode.BASE_BROKEN,
            sentence=(
                "These tests passed before, were not changed, and no longer run: "
                f"{some(r.id for r in missing)}. Make sure that they are collected again."
            ),
            tests=tuple(result.id for result in missing),
            files=files_of(missing),
        )
    silenced = [before for before in heap.silenced() if not heap.was_free(before)]
    if silenced:
        yield Refusal(
            code=RefusalCode.TEST_SILENCED,
            sentence=(
                "These tests passed before, were not changed, and are now skipped or expected to fail: "
                f"{some(r.id for r in silenced)}. Undo that."
            ),
            tests=tuple(result.id for result in silenced),
            files=files_of(silenced),
        )


def _nothing_red(heap: SortedRed) -> Refusal:
    own = [
        result for result in heap.first.values() if heap.in_changed_file(result) or result.id not in heap.base
    ]
    if not own:
        return Refusal(
            code=RefusalCode.NO_TEST_ADDED,
            sentence=(
                f"{some(sorted(heap.changed))} changed, but the runner finds no test there: write at least "
                "one test that fails until the story is done, where the runner looks for tests."
            ),
            files=tuple(sorted(heap.changed)),
        )
    passing = [result.id for result in own if result.outcome is Outcome.PASSED]
    silent = [result.id for result in own if result.outcome in SILENT]
    before = [result.id for result in own if result.id in heap.failing_before]
    why = [
        f"pass at once: {some(passing)}" if passing else "",
        f"are skipped or expected to fail: {some(silent)}" if silent else "",
        f"failed at the base already: {some(before)}" if before else "",
    ]
    return Refusal(
        code=RefusalCode.NO_RED_TEST,
        sentence=(
            "None of the added or changed tests is red. "
            f"They {'; they '.join(part for part in why if part)}. "
            "Write at least one test that fails now because what the story asks for is missing."
        ),
        tests=tuple(passing + silent + before),
        files=files_of(own),
    )


def _judge_exit_code(facts: RedFacts) -> Verdict:
    """Without a report: the command succeeded at the base and fails now, twice."""
    codes = [run.exit_code for run in (facts.base, facts.first, facts.second)]
    refusals: list[Refusal] = []
    if codes[0] != 0:
        refusals.append(
            Refusal(
                code=RefusalCode.NO_RED_TEST,
                sentence=(
                    f"The test command fails at the base already (exit code {codes[0]}), and without a "
                    "report nothing tells whether a new test fails. Let `test_command` write one: "
                    "{junit} stands for its path."
                ),
            )
        )
    elif codes[1] == 0 and codes[2] == 0:
        refusals.append(
            Refusal(
                code=RefusalCode.NO_RED_TEST, sentence="The test command still succeeds: no added test fails."
            )
        )
    elif 0 in codes[1:]:
        refusals.append(
            Refusal(
                code=RefusalCode.FLAKY_TEST,
                sentence=(
                    f"The test command ended with exit code {codes[1]} and then with {codes[2]} on the "
                    "same files. Take out what differs from run to run."
                ),
            )
        )
    red = () if refusals else tuple(result.id for result in facts.first.results)
    evidence = dataclasses.replace(
        basics_of(facts),
        base_passed=ids(facts.base.results, (Outcome.PASSED,)),
        red=red,
        red_collected=tuple(result.id for result in facts.first.results),
        notes=("Judged by the exit code only: which test failed, and why, is not known.",),
    )
    return Verdict(phase=Phase.TEST_RED, refusals=tuple(refusals), evidence=evidence)
