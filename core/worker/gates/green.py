"""PURE: the gate after `code_green` and `refactor`, and again on the rebased tree for `commit`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from core.domain.evidence import Evidence, Outcome, Refusal, RefusalCode, SuiteRun, TestResult, Verdict
from core.domain.lifecycles import Phase
from core.domain.risk import FileChange
from core.worker.gates.runs import (
    BAD,
    SILENT,
    by_id,
    files_of,
    flips,
    histories,
    ids,
    judge_rewriting,
    judge_run,
    renamed,
)
from core.worker.gates.wording import some, with_reasons


@dataclass(frozen=True, kw_only=True)
class GreenFacts:
    """Everything that green is judged by.

    `since_red` are the changes from red's commit (for `commit`: from red's commit as rebased),
    `config_changed` the files in which the runner's own configuration differs from red's. `base` is the run
    on the commit that the story stands on now. `again` are further runs: of red's tests, to notice flaky
    ones, and of tests that seemed broken. `is_test_path` tells tests and their support, by paths from the
    repository's top.
    """

    phase: Phase
    red: Evidence
    since_red: tuple[FileChange, ...]
    config_changed: tuple[str, ...]
    base: SuiteRun
    now: SuiteRun
    is_test_path: Callable[[str], bool]
    again: tuple[SuiteRun, ...] = ()
    base_again: tuple[SuiteRun, ...] = ()
    cached: bool = False

    @property
    def runs(self) -> tuple[SuiteRun, ...]:
        return (self.now, *self.again)


def judge_changes(since_red: Sequence[FileChange], config_changed: Sequence[str]) -> tuple[Refusal, ...]:
    """What can be said without running anything."""
    tests = [change.path for change in since_red if change.is_test]
    config = [path for path in config_changed if path not in tests]
    refusals = []
    if tests:
        refusals.append(
            Refusal(
                code=RefusalCode.TESTS_CHANGED,
                sentence=(
                    f"Tests or their support changed after they were seen to fail: {some(tests)}. Put them "
                    "back as they were; if a test is wrong, say so instead of changing it."
                ),
                files=tuple(tests),
            )
        )
    if config:
        refusals.append(
            Refusal(
                code=RefusalCode.TESTS_CHANGED,
                sentence=(
                    f"The test runner's configuration changed after red: {some(config)}. "
                    "Put it back as it was."
                ),
                files=tuple(config),
            )
        )
    return tuple(refusals)


def judge_green(facts: GreenFacts) -> Verdict:
    """The base run must be usable; see `evaluate` for what happens otherwise."""
    refusals = list(judge_changes(facts.since_red, facts.config_changed))
    unusable = judge_run(facts.now) or tuple(
        refusal for run in facts.again if run.tampering for refusal in judge_run(run)
    )
    unusable = unusable or judge_rewriting(facts.runs, facts.base)
    if unusable:
        return Verdict(phase=facts.phase, refusals=(*refusals, *unusable), evidence=_basics(facts))
    results = _Results(facts)
    refusals += results.refusals()
    if refusals and not facts.since_red and facts.phase is Phase.CODE_GREEN:
        refusals.insert(
            0,
            Refusal(
                code=RefusalCode.NOTHING_CHANGED,
                sentence="No file changed since the tests were written: write the code that makes them pass.",
            ),
        )
    return Verdict(phase=facts.phase, refusals=tuple(refusals), evidence=results.evidence())


def suspects(facts: GreenFacts) -> tuple[str, ...]:
    """Files (relative to the folder) with tests that passed at the base and fail now: worth another run."""
    return tuple(sorted({result.file for result, _ in _Results(facts).base_broken if result.file}))


class _Results:
    def __init__(self, facts: GreenFacts) -> None:
        self.facts = facts
        self.red = facts.red
        self.base = by_id(facts.base)
        self.now = by_id(facts.now)
        self.runs = histories(facts.runs)
        self.base_runs = histories((facts.base, *facts.base_again))
        dead_before = {*facts.red.failing_before, *ids(facts.base.results, BAD, files=True)}
        self.dead_files = {
            result.id: result
            for result in facts.now.results
            if result.collection and result.outcome in BAD and result.id not in dead_before
        }

    # --- what must hold

    @cached_property
    def red_tests(self) -> tuple[str, ...]:
        """Red's tests by name, and all that are now in files that could not be collected at red.

        Of those files' tests the ones that failed at the base already may stay so.
        """
        before = set(self.red.failing_before)
        inside = [
            result.id
            for result in self.now.values()
            if result.file in self.red.red_files
            and not result.collection
            and not (result.id in before and result.outcome in BAD and result.file in self.proven_files)
        ]
        return tuple(dict.fromkeys((*self.red.red, *inside)))

    @cached_property
    def proven_files(self) -> frozenset[str]:
        """Files with a test that passes. One of red in which none does proves nothing, so excuses nothing."""
        return frozenset(
            result.file
            for result in self.now.values()
            if result.file and result.outcome is Outcome.PASSED and not result.collection
        )

    @cached_property
    def skipped_by_themselves(self) -> tuple[str, ...]:
        """Silent tests of files that could not be collected at red, where the tests' own files ask for it:
        nobody could see that then, and the code under test has no part in it."""
        changed = {change.path for change in self.facts.since_red}
        return tuple(
            result.id
            for result in self.now.values()
            if result.outcome in SILENT
            and not result.collection
            and result.file in self.red.red_files
            and result.file in self.proven_files
            and result.id not in self.red.red
            and result.skipped_by
            and result.skipped_by not in changed
            and self.facts.is_test_path(result.skipped_by)
        )

    @cached_property
    def removed_at_red(self) -> frozenset[str]:
        """Passed at the base and taken out by the story's own red, in the open."""
        return frozenset(self.red.base_passed) - frozenset(self.red.red_collected)

    @cached_property
    def removed_below(self) -> frozenset[str]:
        """Known to the base that red stood on, and gone from the base that the story stands on now."""
        known = frozenset(self.red.base_passed) | frozenset(self.red.failing_before)
        return known - frozenset(self.base)

    @cached_property
    def must_pass(self) -> tuple[str, ...]:
        passed = ids(self.facts.base.results, (Outcome.PASSED,))
        free = {*self.removed_at_red, *self.red.skipped, *self.red.flaky, *self.red_tests}
        return tuple(
            test for test in dict.fromkeys((*passed, *self.red.characterisation)) if test not in free
        )

    @cached_property
    def must_be_there(self) -> tuple[str, ...]:
        free = {*self.removed_below, *self.red.skipped}
        return tuple(
            test
            for test in dict.fromkeys((*self.red.red_collected, *self.must_pass))
            if test not in free and test not in self.red_tests
        )

    # --- what is

    @cached_property
    def base_broken(self) -> tuple[tuple[TestResult, str], ...]:
        """Fails now in every run, although it passed at the base each time that it ran there."""
        found = []
        for test in self.must_pass:
            result = self.now.get(test)
            if result is None or result.outcome not in BAD or test in self.flaky:
                continue
            found.append((result, result.message))
        return tuple(found)

    @cached_property
    def flaky(self) -> frozenset[str]:
        found = set()
        for test in self.must_pass:
            result = self.now.get(test)
            if result is None or result.outcome not in BAD:
                continue
            if flips(self.runs[test]) or flips(self.base_runs.get(test, ())):
                found.add(test)
        return frozenset(found)

    @cached_property
    def red_flaky(self) -> tuple[TestResult, ...]:
        return tuple(self.now[test] for test in self.red_tests if test in self.now and flips(self.runs[test]))

    def refusals(self) -> Iterable[Refusal]:
        yield from self._red()
        yield from self._broken()
        yield from self._silenced()
        yield from self._missing()

    def _red(self) -> Iterable[Refusal]:
        flaky = {result.id for result in self.red_flaky}
        failing = [
            self.now[test]
            for test in self.red_tests
            if test in self.now and self.now[test].outcome in BAD and test not in flaky
        ]
        beside_the_loop = [result for file, result in self.dead_files.items() if self._is_reds(file)]
        if failing or beside_the_loop:
            still = [*beside_the_loop, *failing]
            yield Refusal(
                code=RefusalCode.STILL_RED,
                sentence=(
                    f"These tests still fail: {with_reasons([(r.id, r.message) for r in still])}. "
                    "Change the code until they pass."
                ),
                tests=tuple(result.id for result in still),
                files=files_of(still),
            )
        if self.red_flaky:
            yield Refusal(
                code=RefusalCode.FLAKY_TEST,
                sentence=(
                    "These tests, red before, now pass in one run and fail in another of the same files: "
                    f"{some(r.id for r in self.red_flaky)}. Make the code behave the same each time."
                ),
                tests=tuple(result.id for result in self.red_flaky),
                files=files_of(self.red_flaky),
            )

    def _is_reds(self, file: str) -> bool:
        """Whether the story's own red wrote the file. Its changes are named from the repository's top."""
        ours = self.red.changed_files
        return file in self.red.red_files or any(path == file or path.endswith(f"/{file}") for path in ours)

    def _broken(self) -> Iterable[Refusal]:
        dead = [result for file, result in self.dead_files.items() if not self._is_reds(file)]
        broken = [*((result, result.message) for result in dead), *self.base_broken]
        if broken:
            yield Refusal(
                code=RefusalCode.BASE_BROKEN,
                sentence=(
                    "These tests passed before and fail now: "
                    f"{with_reasons([(r.id, why) for r, why in broken])}. "
                    "Mend the code, so that they pass again."
                ),
                tests=tuple(result.id for result, _ in broken),
                files=files_of(result for result, _ in broken),
            )
        known = {*self.base, *self.red.red_collected, *self.red_tests, *self.red.failing_before}
        new = [
            result
            for result in self.now.values()
            if result.outcome in BAD and result.id not in known and not result.collection
        ]
        if new:
            yield Refusal(
                code=RefusalCode.BROKEN_TEST,
                sentence=(
                    "These tests came with the code and fail: "
                    f"{with_reasons([(r.id, r.message) for r in new])}. Mend the code or its examples."
                ),
                tests=tuple(result.id for result in new),
                files=files_of(new),
            )

    def _silenced(self) -> Iterable[Refusal]:
        # Excused is only what is in a file that red could not look into: silent at the base, or of itself.
        silent_before = set(ids(self.facts.base.results, SILENT)) - set(self.red.red)
        silent_before.update(self.skipped_by_themselves)
        silenced = [
            self.now[test]
            for test in dict.fromkeys((*self.red_tests, *self.must_pass))
            if test in self.now and self.now[test].outcome in SILENT and test not in silent_before
        ]
        silenced += [
            result
            for result in self.now.values()
            if result.collection and result.outcome in SILENT and result.id in self.red.red_files
        ]
        if silenced:
            yield Refusal(
                code=RefusalCode.TEST_SILENCED,
                sentence=(
                    "These tests ran before and are now skipped or expected to fail: "
                    f"{some(r.id for r in silenced)}. They must run and pass."
                ),
                tests=tuple(result.id for result in silenced),
                files=files_of(silenced),
            )

    def _missing(self) -> Iterable[Refusal]:
        gone_quiet = {result.id for result in self.now.values() if result.collection}
        gone = [test for test in self.must_be_there if test not in self.now]
        moved = renamed(gone, {*self.base, *self.red.red_collected}, self.now.values())
        wanted = dict.fromkeys((*(test for test in self.red.red if test not in self.now), *gone))
        missing = [test for test in wanted if test not in moved and not self._explained(test, gone_quiet)]
        empty = [
            file
            for file in self.red.red_files
            if file not in gone_quiet and not any(result.file == file for result in self.now.values())
        ]
        if missing or empty:
            yield Refusal(
                code=RefusalCode.TESTS_MISSING,
                sentence=(
                    f"These tests were there at red and do not run now: {some((*missing, *empty))}. "
                    "They must be collected and run as before."
                ),
                tests=tuple(missing),
                files=tuple(empty),
            )

    def _explained(self, test: str, quiet_files: set[str]) -> bool:
        """A test of a file that is reported as a whole is not missing besides."""
        before = self.base.get(test)
        if before is not None and before.file is not None:
            return before.file in quiet_files
        return any(file.rpartition(".")[0].replace("/", ".") in test for file in quiet_files)

    # --- what is kept

    def evidence(self) -> Evidence:
        facts = self.facts
        passed = ids(facts.now.results, (Outcome.PASSED,))
        lost = [test for test in self.removed_at_red if test not in self.now]
        notes = []
        if self.flaky:
            notes.append(f"Flaky, before and now: {some(sorted(self.flaky))}.")
        if lost:
            notes.append(f"Removed when the tests were written: {some(sorted(lost))}.")
        if self.skipped_by_themselves:
            notes.append(
                "Skipped or expected to fail by the tests' own files, which could not be collected at red: "
                f"{some(self.skipped_by_themselves)}."
            )
        if facts.now.exit_code_only:
            notes.append("Judged by the exit code only: which tests passed is not known.")
        green = set(passed) & set(self.red_tests)
        return dataclasses.replace(
            _basics(facts),
            base_passed=ids(facts.base.results, (Outcome.PASSED,)),
            red=self.red.red,
            red_files=self.red.red_files,
            red_collected=self.red.red_collected,
            green=tuple(test for test in self.red_tests if test in green),
            characterisation=self.red.characterisation,
            flaky=tuple(sorted(self.flaky)),
            failing_before=tuple(
                test for test in ids(facts.now.results, BAD, files=True) if test in self.red.failing_before
            ),
            skipped=ids(facts.now.results, SILENT),
            passed_count=len(passed),
            notes=tuple(notes),
        )


def _basics(facts: GreenFacts) -> Evidence:
    return Evidence(
        tree=facts.now.tree,
        runner=facts.now.runner,
        command=facts.now.command,
        changed_files=tuple(change.path for change in facts.since_red),
        seconds=round(sum(run.seconds for run in facts.runs), 3),
        exit_code_only=facts.now.exit_code_only,
        cached=facts.cached,
    )
