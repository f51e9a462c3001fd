"""PURE: the gate after `test_red`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from core.domain.evidence import Evidence, Outcome, Refusal, RefusalCode, SuiteRun, TestResult, Verdict
from core.domain.lifecycles import Phase
from core.domain.risk import FileChange
from core.worker.gates.honesty import Project, same_way, why_broken
from core.worker.gates.runs import BAD, SILENT, by_id, ids, judge_run, seen
from core.worker.gates.wording import some, with_reasons


@dataclass(frozen=True, kw_only=True)
class RedFacts:
    """Everything that red is judged by. `again` are further runs of tests that seemed broken: they tell flaky
    ones. `folder` is the project's in the repository."""

    changes: tuple[FileChange, ...]  # from the base, `is_test` as the runner says
    base: SuiteRun
    first: SuiteRun
    second: SuiteRun
    project: Project
    again: tuple[SuiteRun, ...] = ()
    folder: str = "."
    cached: bool = False

    @property
    def runs(self) -> tuple[SuiteRun, ...]:
        return (self.first, self.second, *self.again)


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
                sentence="No test was added or changed: write at least one test that fails until the story is done.",
            )
        )
    return tuple(refusals)


def judge_red(facts: RedFacts) -> Verdict:
    """The base run must be usable; see `evaluate` for what happens otherwise."""
    refusals = judge_changes(facts.changes)
    if not refusals:
        refusals = judge_run(facts.first) or judge_run(facts.second)
    if refusals:
        return Verdict(phase=Phase.TEST_RED, refusals=refusals, evidence=_basics(facts))
    if facts.first.exit_code_only:
        return _judge_exit_code(facts)
    sorted_out = _Sorted(facts)
    return Verdict(
        phase=Phase.TEST_RED,
        refusals=tuple(_refusals(sorted_out)),
        evidence=sorted_out.evidence(_basics(facts)),
    )


def suspects(facts: RedFacts) -> tuple[str, ...]:
    """Files (relative to the folder) whose tests passed at the base and fail now, without having been changed:
    worth another run, to tell flaky from broken."""
    return tuple(sorted({result.file for result, _ in _Sorted(facts).base_broken if result.file}))


class _Sorted:
    """The results of a red, each in its heap."""

    def __init__(self, facts: RedFacts) -> None:
        self.facts = facts
        self.base = by_id(facts.base)
        self.first = by_id(facts.first)
        self.second = by_id(facts.second)
        self.changed = frozenset(
            self._local(change.path) for change in facts.changes if change.is_test and not change.deleted
        )
        self.gone = frozenset(self._local(change.path) for change in facts.changes if change.deleted)
        self.red: list[TestResult] = []
        self.broken: list[tuple[TestResult, str]] = []
        self.base_broken: list[tuple[TestResult, str]] = []
        self.flaky: list[TestResult] = []
        self.failing_before: list[str] = []
        for test in dict.fromkeys((*self.first, *self.second)):
            self._sort(test)

    def _sort(self, test: str) -> None:
        results = [result for result in (self.first.get(test), self.second.get(test)) if result is not None]
        bad = [result for result in results if result.outcome in BAD]
        if not bad:
            return
        before = self.base.get(test)
        if len(results) < 2 or len(bad) < 2 or not same_way(*bad):
            self.flaky.append(bad[0])
        elif before is not None and before.outcome in BAD:
            self.failing_before.append(test)
        elif any(result.outcome not in BAD for result in seen(self.facts.again, test)):
            self.flaky.append(bad[0])
        elif not self.is_touched(bad[0]):
            self.base_broken.append((bad[0], bad[0].message))
        elif reason := why_broken(bad[0], self.facts.project):
            # What passed before and was itself left alone is not the new test that must be mended.
            mine = before is None or self.in_changed_file(bad[0])
            (self.broken if mine else self.base_broken).append((bad[0], reason))
        else:
            self.red.append(bad[0])

    def is_touched(self, result: TestResult) -> bool:
        """Whether the test was added or changed: by its file, by being new, or by support that it goes
        through.
        """
        if self.in_changed_file(result):
            return True
        if result.id not in self.base and not result.collection:
            return True
        steps = {self._local(path) for path in result.failure.files} if result.failure else set()
        if steps & self.changed:
            return True
        data = [PurePosixPath(path) for path in self.changed if not path.endswith(".py")]
        return any(path.name in result.detail or path.stem in result.id for path in data)

    def in_changed_file(self, result: TestResult) -> bool:
        if result.file is not None:
            return result.file in self.changed
        return any(_names(result.id, path) for path in self.changed)

    def _local(self, path: str) -> str:
        return path if self.facts.folder in (".", "") else posixpath.relpath(path, self.facts.folder)

    @cached_property
    def red_files(self) -> tuple[str, ...]:
        return tuple(result.id for result in self.red if result.collection)

    @cached_property
    def added(self) -> tuple[TestResult, ...]:
        return tuple(
            result for test, result in self.first.items() if test not in self.base and not result.collection
        )

    @cached_property
    def characterisation(self) -> tuple[str, ...]:
        return tuple(
            result.id
            for result in self.added
            if result.outcome is Outcome.PASSED
            and (other := self.second.get(result.id)) is not None
            and other.outcome is Outcome.PASSED
        )

    def lost(self, outcomes: Iterable[Outcome] | None) -> list[TestResult]:
        """Tests that passed at the base and now have one of these outcomes, or (None) are not there."""
        found = []
        for test, before in self.base.items():
            now = self.first.get(test)
            if before.outcome is not Outcome.PASSED:
                continue
            if (now is None) if outcomes is None else (now is not None and now.outcome in outcomes):
                found.append(before)
        return found

    def was_free(self, before: TestResult) -> bool:
        """Whether a test of the base could be taken out or weakened: its file was changed, deleted, or is
        red.
        """
        return (
            self.in_changed_file(before)
            or (
                before.file in self.gone
                if before.file
                else any(_names(before.id, path) for path in self.gone)
            )
            or before.file in self.red_files
        )

    def evidence(self, basics: Evidence) -> Evidence:
        facts = self.facts
        removed = [
            before.id
            for before in self.lost(None)
            if self.was_free(before) and before.file not in self.red_files
        ]
        weakened = [before.id for before in self.lost(SILENT) if self.was_free(before)]
        notes = []
        if removed:
            notes.append(f"Tests that passed at the base were removed: {some(removed)}.")
        if weakened:
            notes.append(
                f"Tests that passed at the base are now skipped or expected to fail: {some(weakened)}."
            )
        if self.characterisation:
            notes.append(f"Added tests that pass at once: {some(self.characterisation)}.")
        if self.flaky:
            notes.append(f"Flaky: {some(result.id for result in self.flaky)}.")
        silent = ids(facts.first.results, SILENT)
        return Evidence(
            tree=basics.tree,
            runner=basics.runner,
            command=basics.command,
            changed_files=basics.changed_files,
            seconds=basics.seconds,
            cached=basics.cached,
            base_passed=ids(facts.base.results, (Outcome.PASSED,)),
            red=tuple(result.id for result in self.red if not result.collection),
            red_files=self.red_files,
            red_collected=tuple(result.id for result in facts.first.results if not result.collection),
            characterisation=self.characterisation,
            flaky=tuple(result.id for result in self.flaky),
            failing_before=ids(facts.base.results, BAD, files=True),
            skipped=silent,
            passed_count=len(ids(facts.first.results, (Outcome.PASSED,))),
            notes=tuple(notes),
        )


def _refusals(heap: _Sorted) -> Iterable[Refusal]:
    if heap.broken:
        yield Refusal(
            code=RefusalCode.BROKEN_TEST,
            sentence=(
                f"These tests are broken rather than red: {with_reasons([(r.id, why) for r, why in heap.broken])}. "
                "Mend them, so that they fail only because the story is not done yet."
            ),
            tests=tuple(result.id for result, _ in heap.broken),
            files=_files(result for result, _ in heap.broken),
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
                f"These tests did not fail the same way in two runs of the same files: {some(r.id for r in flaky)}. "
                "Take out what differs from run to run (time, random numbers, order, files left behind)."
            ),
            tests=tuple(result.id for result in flaky),
            files=_files(flaky),
        )
    elif nothing_red:
        yield _nothing_red(heap)


def _base_broken(heap: _Sorted) -> Iterable[Refusal]:
    if heap.base_broken:
        named = [(result.id, reason) for result, reason in heap.base_broken]
        yield Refusal(
            code=RefusalCode.BASE_BROKEN,
            sentence=(
                f"These tests passed before, were not changed, and fail now: {with_reasons(named)}. "
                "Undo what broke them, for example in a shared fixture or conftest.py."
            ),
            tests=tuple(result.id for result, _ in heap.base_broken),
            files=_files(result for result, _ in heap.base_broken),
        )
    dead_files = {result.file for result, _ in heap.base_broken if result.collection}
    missing = [one for one in heap.lost(None) if not heap.was_free(one) and one.file not in dead_files]
    if missing:
        yield Refusal(
            code=RefusalCode.BASE_BROKEN,
            sentence=(
                f"These tests passed before, were not changed, and no longer run: {some(r.id for r in missing)}. "
                "Make sure that they are collected again."
            ),
            tests=tuple(result.id for result in missing),
            files=_files(missing),
        )
    silenced = [before for before in heap.lost(SILENT) if not heap.was_free(before)]
    if silenced:
        yield Refusal(
            code=RefusalCode.TEST_SILENCED,
            sentence=(
                "These tests passed before, were not changed, and are now skipped or expected to fail: "
                f"{some(r.id for r in silenced)}. Undo that."
            ),
            tests=tuple(result.id for result in silenced),
            files=_files(silenced),
        )


def _nothing_red(heap: _Sorted) -> Refusal:
    own = [
        result for result in heap.first.values() if heap.in_changed_file(result) or result.id not in heap.base
    ]
    if not own:
        return Refusal(
            code=RefusalCode.NO_TEST_ADDED,
            sentence=(
                f"{some(sorted(heap.changed))} changed, but the runner finds no test there: write at least one test "
                "that fails until the story is done, where the runner looks for tests."
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
            f"None of the added or changed tests is red. They {'; they '.join(part for part in why if part)}. "
            "Write at least one test that fails now because what the story asks for is missing."
        ),
        tests=tuple(passing + silent + before),
        files=_files(own),
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
                    f"The test command fails at the base already (exit code {codes[0]}), and without a report nothing "
                    "tells whether a new test fails. Let `test_command` write one: {junit} stands for its path."
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
                sentence=f"The test command ended with {codes[1]} and then with {codes[2]} on the same files.",
            )
        )
    red = () if refusals else tuple(result.id for result in facts.first.results)
    basics = _basics(facts)
    evidence = Evidence(
        tree=basics.tree,
        runner=basics.runner,
        command=basics.command,
        changed_files=basics.changed_files,
        seconds=basics.seconds,
        base_passed=tuple(result.id for result in facts.base.results if result.outcome is Outcome.PASSED),
        red=red,
        red_collected=tuple(result.id for result in facts.first.results),
        exit_code_only=True,
        notes=("Judged by the exit code only: which test failed, and why, is not known.",),
    )
    return Verdict(phase=Phase.TEST_RED, refusals=tuple(refusals), evidence=evidence)


def _basics(facts: RedFacts) -> Evidence:
    return Evidence(
        tree=facts.first.tree,
        runner=facts.first.runner,
        command=facts.first.command,
        changed_files=tuple(change.path for change in facts.changes),
        seconds=round(sum(run.seconds for run in facts.runs), 3),
        exit_code_only=facts.first.exit_code_only,
        cached=facts.cached,
    )


def _files(results: Iterable[TestResult]) -> tuple[str, ...]:
    return tuple(sorted({result.file for result in results if result.file}))


def _names(test: str, path: str) -> bool:
    """Whether a test's name tells its file: runners without a `file` put the path or the module there."""
    stem = path.rpartition(".")[0] or path
    return path in test or stem.replace("/", ".") in test


__all__ = ["RedFacts", "judge_changes", "judge_red", "suspects"]
