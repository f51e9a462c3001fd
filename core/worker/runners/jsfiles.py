"""PURE: what the watched runs of a JavaScript test runner say, file by file."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.domain.evidence import Outcome, RunState, TestResult
from core.worker.report import clean_id, worst
from core.worker.runners.contract import Reading
from core.worker.runners.jsfailure import read_failure

Record = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class File:
    """One test file. Its `error` (name, message, stack) is what kept the file itself from being run."""

    path: str  # absolute
    failing: str
    passing: str
    tests: list[Record] = field(default_factory=list)
    error: Record | None = None
    stderr: str = ""

    def own(self) -> list[Record]:
        return [test for test in self.tests if test["names"][-1] not in (self.failing, self.passing)]

    def top(self, name: str) -> Record | None:
        found = [test for test in self.tests if test["names"] == [name]]
        return found[0] if len(found) == 1 else None


def files_in(records: Sequence[Record]) -> list[File]:
    files: list[File] = []
    for record in records:
        if record["kind"] == "file":
            files.append(File(path=record["file"], failing=record["failing"], passing=record["passing"]))
        elif record["kind"] == "test":
            files[-1].tests.append(record)
        elif record["kind"] == "file ended":
            files[-1].stderr = record["stderr"]
            files[-1].error = record.get("error")
    return files


def read_files(files: Sequence[File], *, cwd: str, checkout: str, tampering: Iterable[str] = ()) -> Reading:
    """All results, and the signs of tampering after those already known. Both paths are absolute."""
    results: dict[str, TestResult] = {}
    signs = list(tampering)
    for file in files:
        signs += _signs(file, cwd)
        for result in _results(file, cwd, checkout):
            before = results.get(result.id)
            # Two tests of one name are one: a pass that is written beside a failure hides nothing.
            if before is None or worst([before.outcome, result.outcome]) is not before.outcome:
                results[result.id] = result
    return Reading(
        state=RunState.COMPLETED, results=tuple(results.values()), tampering=tuple(dict.fromkeys(signs))
    )


def _signs(file: File, cwd: str) -> Iterable[str]:
    """The canaries stand behind all tests of the file, in its own process."""
    where = posixpath.relpath(file.path, cwd)
    if file.error is not None:
        return
    for own in file.tests:
        if own.get("lied"):
            yield f"{where}::{' > '.join(own['names'])} raised an error and was reported as passed."
    for name, wanted in ((file.failing, "failed"), (file.passing, "passed")):
        test = file.top(name)
        if test is None:
            got = "missing, or there more than once"
        elif test["skip"] or test["todo"]:
            got = "skipped"
        else:
            got = "passed" if test["passed"] else "failed"
        # A hook of the project around all tests may fail before the test is reached: before any other, too.
        hook = test is not None and got == "failed" and test["error"]["why"] == "hookFailed"
        if test is not None and test.get("unreached") and any(own["passed"] for own in file.own()):
            hook = False
        if got != wanted and not hook:
            yield (
                f"A test that Orchard added to {where} and that must be reported {wanted} is {got}: "
                "something ends the test process early, or changes how tests run or how they are reported."
            )


def _results(file: File, cwd: str, checkout: str) -> Iterable[TestResult]:
    where = posixpath.relpath(file.path, cwd)
    if file.error is not None:
        failure = read_failure(file.error, path=file.path, cwd=cwd, checkout=checkout, when="collect")
        yield TestResult(
            id=where,
            outcome=Outcome.ERROR,
            file=where,
            message=f"{failure.exception}: {failure.message}".strip(": ")[:500],
            detail=str(file.error["stack"])[-4000:],
            collection=True,
            failure=failure,
        )
        return
    for test in file.own():
        why = (test["error"] or {}).get("why", "")
        if (
            test["suite"]
            and (test["passed"] or why == "subtestsFailed")
            and not (test["skip"] or test["todo"])
        ):
            continue
        outcome = _outcome(test, why)
        bad = outcome in (Outcome.FAILED, Outcome.ERROR)
        error = test["error"] or {}
        when = "setup" if why == "hookFailed" else "call"
        yield TestResult(
            id=clean_id(where, " > ".join(test["names"])),
            outcome=outcome,
            seconds=float(test["seconds"]),
            file=where,
            message=f"{error['name']}: {error['message']}".splitlines()[0][:500] if bad else "",
            detail=str(error.get("stack") or error.get("message"))[-4000:] if bad else "",
            failure=read_failure(error, path=file.path, cwd=cwd, checkout=checkout, when=when)
            if bad
            else None,
            skipped_by=posixpath.relpath(file.path, checkout)
            if outcome in (Outcome.SKIPPED, Outcome.XFAILED)
            else "",
        )


def _outcome(test: Record, why: str) -> Outcome:
    if test["skip"]:
        return Outcome.SKIPPED
    if test["todo"]:
        return Outcome.XFAILED
    if test["passed"]:
        return Outcome.PASSED
    return Outcome.ERROR if why == "hookFailed" else Outcome.FAILED
