"""PURE: every result of a red run, in its heap: red, broken, flaky, broken at the base, failing before."""

from __future__ import annotations

import dataclasses
import posixpath
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from core.domain.evidence import Evidence, Outcome, SuiteRun, TestResult
from core.domain.risk import FileChange
from core.worker.gates.honesty import Project, same_way, why_broken
from core.worker.gates.runs import BAD, SILENT, by_id, histories, ids, renamed
from core.worker.gates.wording import some

_TELLING = 4  # characters of a data file's name that a test's name does not hold by chance


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


def suspects(facts: RedFacts) -> tuple[str, ...]:
    """Files (relative to the folder) whose tests passed at the base, were not changed, and fail now: worth
    another run, to tell flaky from broken.
    """
    return tuple(sorted({result.file for result, _ in SortedRed(facts).base_broken if result.file}))


class SortedRed:
    """The results of a red, each in its heap."""

    def __init__(self, facts: RedFacts) -> None:
        self.facts = facts
        self.base = by_id(facts.base)
        self.first = by_id(facts.first)
        self.second = by_id(facts.second)
        self.again = histories(facts.again)
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
        elif any(result.outcome not in BAD for result in self.again.get(test, ())):
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
        return any(
            path.name in result.detail or (len(path.stem) >= _TELLING and path.stem in result.id)
            for path in data
        )

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

    def missing(self) -> list[TestResult]:
        """Tests that passed at the base and are not there now, nor under another name."""
        gone = [test for test in self._passed_before if test not in self.first]
        moved = renamed(gone, self.base, self.first.values())
        return [self.base[test] for test in gone if test not in moved]

    def silenced(self) -> list[TestResult]:
        """Tests that passed at the base and are now skipped or expected to fail."""
        return [
            self.base[test]
            for test in self._passed_before
            if test in self.first and self.first[test].outcome in SILENT
        ]

    @cached_property
    def _passed_before(self) -> tuple[str, ...]:
        return ids(self.facts.base.results, (Outcome.PASSED,))

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

    def evidence(self) -> Evidence:
        facts = self.facts
        removed = [
            before.id
            for before in self.missing()
            if self.was_free(before) and before.file not in self.red_files
        ]
        weakened = [before.id for before in self.silenced() if self.was_free(before)]
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
        return dataclasses.replace(
            basics_of(facts),
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


def basics_of(facts: RedFacts) -> Evidence:
    return Evidence(
        tree=facts.first.tree,
        runner=facts.first.runner,
        command=facts.first.command,
        changed_files=tuple(change.path for change in facts.changes),
        seconds=round(sum(run.seconds for run in facts.runs), 3),
        exit_code_only=facts.first.exit_code_only,
        cached=facts.cached,
    )


def _names(test: str, path: str) -> bool:
    """Whether a test's name tells its file: runners without a `file` put the path or the module there."""
    stem = path.rpartition(".")[0] or path
    return path in test or stem.replace("/", ".") in test
