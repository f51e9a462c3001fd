"""PURE: what Maven's surefire says: its reports as the driver read them, and Maven's own exit code."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.domain.evidence import Failure, Outcome, RunState, TestResult
from core.errors import InvalidInput
from core.worker.report import parse_junit
from core.worker.runners.contract import Ended, Reading, Secret
from core.worker.runners.javafailure import files_of_trace, why_broken
from core.worker.runners.programs import read_programs
from core.worker.runners.session import read_channel

Record = Mapping[str, Any]
_BAD = (Outcome.FAILED, Outcome.ERROR)


def read_surefire(ended: Ended, secret: Secret) -> Reading:
    """Results and signs of tampering."""
    read = read_programs(ended, secret, tool="Maven", why_broken=why_broken, why_failed=_never)
    if read.state is not RunState.COMPLETED:
        return read
    records = read_channel(ended.channel, secret.key).records
    known = next((record for record in records if record["kind"] == "classes"), None)
    maven = next((record for record in records if record["kind"] == "maven"), None)
    if known is None or maven is None:  # nothing compiled: all is said
        return read
    cases: list[TestResult] = []
    failed: list[str] = []  # reports with a failure
    for record in records:
        if record["kind"] == "report":
            try:
                found = parse_junit(str(record["text"]).encode(), merge=True)
            except InvalidInput as error:
                said = f"A report of surefire cannot be read: {error.message} {error.why}".rstrip()
                return replace(read, tampering=(said,))
            cases += found
            failed += [str(record["of"])] if any(case.outcome in _BAD for case in found) else []
    modules = [record for record in records if record["kind"] == "module"]
    signs = [sign for module in modules for sign in _signs(module, cases)]
    signs += _kept_back(maven, failed)
    if any(module["name"] for module in modules) and maven["code"] == 0:
        signs.append(
            "Maven ended with exit code 0 although it was given a test that fails: something skips the tests "
            "or ignores their failures."
        )
    aside = {f"{module['name']}::{module[which]}" for module in modules for which in ("failing", "passing")}
    own = [_result(case, known) for case in cases if case.id not in aside]
    return replace(read, results=(*read.results, *own), tampering=(*read.tampering, *signs))


def _never(output: str, code: int) -> Failure:
    raise AssertionError("surefire's driver tells of no single programs")


def _signs(module: Record, cases: Sequence[TestResult]) -> Iterable[str]:
    if not module["name"]:
        return
    for which, wanted in (("failing", _BAD), ("passing", (Outcome.PASSED,))):
        case = next((case for case in cases if case.id == f"{module['name']}::{module[which]}"), None)
        if case is None or case.outcome not in wanted:
            got = "missing" if case is None else case.outcome.value
            yield (
                f"A test that Orchard added to {module['unit']} and that must be reported "
                f"{'failed' if which == 'failing' else 'passed'} is {got}: something ends the test process "
                "early, hides tests, or changes how they run or are reported."
            )


def _kept_back(maven: Record, failed: Sequence[str]) -> Iterable[str]:
    """A class of which Maven said that it failed has a failure in its report, whose name may go on."""
    for name in maven["failed"]:
        if not any(report.startswith(name) for report in failed):
            yield (
                f"Maven said that tests of {name} failed, and its report has no failure: something wrote the "
                "report over."
            )


def _result(case: TestResult, known: Record) -> TestResult:
    name = case.id.partition("::")[0].partition("$")[0]
    files: Mapping[str, str] = known["files"]
    folder = str(known["folder"])
    result = replace(case, file=files.get(name))
    if case.outcome not in _BAD:
        return result
    top = {name: file if folder == "." else posixpath.join(folder, file) for name, file in files.items()}
    kind = case.failure.exception if case.failure else ""
    failure = Failure(
        exception="AssertionError" if kind.endswith(("AssertionFailedError", "AssertionError")) else kind,
        message=case.message,
        files=files_of_trace(case.detail, top),
    )
    return replace(result, failure=failure, message=f"{failure.exception}: {case.message}".strip(": ")[:500])
