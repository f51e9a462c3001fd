"""PURE: what one watched pytest session says, from its channel, its report and its exit code together."""

from __future__ import annotations

import hashlib
import hmac
import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.domain.evidence import Failure, Outcome, RunState, TestResult
from core.errors import InvalidInput
from core.worker.report import clean_id, parse_junit, worst
from core.worker.runners.contract import Ended, Reading, Secret

FOREIGN = "Something other than the test runner wrote to Orchard's report channel."  # a sign of tampering
_SUCCESS = 0
_SILENT = (Outcome.SKIPPED, Outcome.XFAILED)
_TESTS_FAILED = 1  # pytest's exit code: always, since one canary fails

Record = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Channel:
    """The records of a channel as far as they are signed in unbroken order."""

    records: list[Record] = field(default_factory=list)
    foreign: bool = False  # a line that the plugin did not write
    cut: bool = False  # the last line is not whole


def read_channel(content: bytes, key: bytes) -> Channel:
    """Never raises: what cannot be verified, or is signed and no record, is said to be foreign."""
    channel = Channel()
    last = b""
    *lines, rest = content.split(b"\n")
    channel.cut = bool(rest)
    for line in lines:
        mac, _, payload = line.partition(b" ")
        last = hmac.new(key, last + payload, hashlib.sha256).hexdigest()[:32].encode()
        if not hmac.compare_digest(mac, last):
            channel.foreign = True
            break
        record = _record(payload)
        if record is None:
            channel.foreign = True
            break
        channel.records.append(record)
    return channel


def _record(payload: bytes) -> Record | None:
    try:
        record = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("kind"), str) else None


def read_session(ended: Ended, secret: Secret, *, folder: str) -> Reading:
    """Results and signs of tampering. `folder` is the project's in the repository, "." for its top."""
    channel = read_channel(ended.channel, secret.key)
    records = channel.records
    if channel.foreign:
        return _crashed("", (FOREIGN,))
    if not records_of(records, "began"):
        return _crashed(_never_began(ended))
    if len(records_of(records, "began")) > 1:
        return _crashed("The test command runs pytest more than once; only one session can be judged.")
    finish = records_of(records, "ended")
    if not finish:
        return _crashed(broken_off(ended))
    if flooded := records_of(records, "flooded"):
        return Reading(state=RunState.FLOODED, problem=f"{_id(flooded[0])} printed too much")
    if internal := records_of(records, "internal"):
        last = str(internal[-1].get("text", "")).strip().splitlines()[-1:] or [""]
        return _crashed(f"pytest had an internal error: {last[0]}")
    results = results_of(records, folder)
    tampering = [
        *canaries_out_of_place(results, records, secret),
        *reported_otherwise(records),
        *_report_differs(ended, finish[-1], results),
    ]
    status = int(finish[-1].get("status", -1))
    if status not in (_TESTS_FAILED, _SUCCESS) or (not tampering and status == _SUCCESS):
        # Stopped on the way: that canaries are missing then tells nothing.
        return _crashed(_stopped(status, ended))
    tampering += exit_differs(ended, status, records_of(records, "exit"))
    own = tuple(result for result in results.values() if not is_canary(result, secret))
    return Reading(state=RunState.COMPLETED, results=own, tampering=tuple(tampering))


def records_of(records: Iterable[Record], kind: str) -> list[Record]:
    return [record for record in records if record.get("kind") == kind]


def _crashed(problem: str, tampering: tuple[str, ...] = ()) -> Reading:
    return Reading(state=RunState.CRASHED, problem=problem, tampering=tampering)


def _never_began(ended: Ended) -> str:
    if "No module named 'orchard_" in ended.output:
        return (
            "the test command replaces PYTHONPATH, by which Orchard watches pytest: let it add to it, as in "
            "PYTHONPATH=src:$PYTHONPATH"
        )
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    telling = [line for line in lines if ": error: " in line] or [
        line for line in lines if line.startswith(("E ", "ERROR", "orchard_start:")) or "Error" in line
    ]
    said = f": {(telling or lines)[-1][:300]}" if lines else ", and printed nothing"
    return f"pytest ended with exit code {ended.exit_code} before its session began{said}"


def broken_off(ended: Ended) -> str:
    how = f"with exit code {ended.exit_code}"
    if ended.exit_code > 128:
        how = f"by signal {ended.exit_code - 128}"
    return (
        f"The test process ended {how} in the middle of the tests: something in it called os._exit, "
        "crashed the interpreter or killed it"
    )


def _stopped(status: int, ended: Ended) -> str:
    why = {
        0: "pytest reports success although it was given a test that fails",
        2: "pytest was interrupted (a test called pytest.exit or raised KeyboardInterrupt)",
        3: "pytest had an internal error",
        4: "pytest does not accept its command line or configuration",
        5: "pytest ran no test at all",
    }.get(status, f"pytest ended with status {status}")
    last = [line.strip() for line in ended.output.splitlines() if line.strip()][-1:]
    return f"{why}{f': {last[0][:300]}' if last else ''}"


# --- results


def results_of(records: Sequence[Record], folder: str) -> dict[str, TestResult]:
    """One result a test, from all reports of its set-up, call and tear-down."""
    grouped: dict[str, list[Record]] = {}
    for record in records:
        if record.get("kind") == "report" and record.get("outcome") in ("passed", "failed", "skipped"):
            grouped.setdefault(_id(record), []).append(record)
    found = {test: _result(test, reports, folder) for test, reports in grouped.items()}
    for record in records_of(records, "collect"):
        result = _beside_the_loop(record, folder)
        found[result.id] = result
    return found


def _id(record: Record) -> str:
    return clean_id(str(record.get("classname", "")), str(record.get("name", "")))


def _result(test: str, reports: Sequence[Record], folder: str) -> TestResult:
    telling = _telling(reports)
    outcome = _outcome(telling)
    text = str(telling.get("text", ""))
    failure = telling.get("failure") if outcome in (Outcome.FAILED, Outcome.ERROR) else None
    if outcome in (Outcome.FAILED, Outcome.ERROR) and failure is None:
        failure = {"exception": "", "when": str(telling.get("when", "call")), "message": text[:500]}
    return TestResult(
        id=test,
        outcome=outcome,
        seconds=sum(float(report.get("seconds", 0.0)) for report in reports),
        file=_in_folder(str(telling.get("file", "")), folder),
        message=_message(failure, text),
        detail=text,
        failure=_failure(failure) if failure else None,
        skipped_by=str(telling.get("skipped_by") or "") if outcome in _SILENT else "",
    )


def _telling(reports: Sequence[Record]) -> Record:
    """The report that decides: a failed call, a failed set-up or tear-down, a skip, or just the call."""
    failed = [report for report in reports if report["outcome"] == "failed"]
    if failed:
        return next(
            (report for report in failed if report.get("when") not in ("setup", "teardown")), failed[0]
        )
    skipped = [report for report in reports if report["outcome"] == "skipped"]
    if skipped:
        return skipped[0]
    return next((report for report in reports if report.get("when") == "call"), reports[0])


def _outcome(report: Record) -> Outcome:
    if report["outcome"] == "failed":
        return Outcome.ERROR if report.get("when") in ("setup", "teardown") else Outcome.FAILED
    if report["outcome"] == "skipped":
        return Outcome.XFAILED if report.get("expected") else Outcome.SKIPPED
    return Outcome.PASSED


def _beside_the_loop(record: Record, folder: str) -> TestResult:
    """A file (or folder) that could not be collected, or was skipped as a whole."""
    file = _in_folder(str(record.get("file", "")), folder)
    text = str(record.get("text", ""))
    skipped = record.get("outcome") == "skipped"
    failure = None if skipped else record.get("failure") or {"exception": "", "when": "collect"}
    return TestResult(
        id=file or _id(record),
        outcome=Outcome.SKIPPED if skipped else Outcome.ERROR,
        file=file,
        message=_message(failure, text),
        detail=text,
        collection=True,
        failure=_failure(failure) if failure else None,
    )


def _message(failure: Record | None, text: str) -> str:
    if failure and failure.get("exception"):
        words = str(failure.get("message", "")).strip().splitlines()[:1]
        return f"{failure['exception']}: {words[0] if words else ''}".rstrip(": ")[:500]
    return (text.strip().splitlines()[-1:] or [""])[0][:500]


def _failure(facts: Record) -> Failure:
    def words(key: str) -> tuple[str, ...]:
        return tuple(str(value) for value in facts.get(key, ()))

    def word(key: str) -> str:
        return str(facts.get(key) or "")

    return Failure(
        exception=word("exception"),
        when=word("when") or "call",
        group=words("group"),
        missing=word("missing"),
        owner=word("owner"),
        owner_file=word("owner_file"),
        owner_foreign=bool(facts.get("owner_foreign")),
        files=words("files"),
        functions=words("functions"),
        syntax_file=word("syntax_file"),
        message=word("message"),
    )


def _in_folder(path: str, folder: str) -> str | None:
    if not path:
        return None
    return path if folder in (".", "") else posixpath.relpath(path, folder)


# --- tampering


def is_canary(result: TestResult, secret: Secret) -> bool:
    return result.id.endswith((f"::{secret.failing}", f"::{secret.passing}"))


def canaries_out_of_place(
    results: Mapping[str, TestResult], records: Sequence[Record], secret: Secret
) -> Iterable[str]:
    """Judged by their calls: a tear-down that fails there is that of the project's own session fixtures."""
    calls = {
        str(record.get("name")): record
        for record in records_of(records, "report")
        if record.get("when") == "call" and record.get("outcome") in ("passed", "failed", "skipped")
    }
    for name, wanted in ((secret.failing, "failed"), (secret.passing, "passed")):
        got = calls[name].get("outcome") if name in calls else "missing"
        if got != wanted:
            yield (
                f"A test that Orchard added to the session and that must be reported {wanted} is {got}: "
                "something changes how tests run or how they are reported."
            )
    blunted = calls.get(secret.failing, {}).get("blunted") or ()
    if blunted:
        yield f"Assertions were made to pass always: {', '.join(str(name) for name in blunted)}."


def reported_otherwise(records: Sequence[Record]) -> Iterable[str]:
    """A test that raised an exception cannot have passed."""
    lied = [
        _id(record)
        for record in records_of(records, "report")
        if record["outcome"] == "passed" and "failure" in record
    ]
    if lied:
        yield f"Tests that raised an exception were reported as passed: {_some(lied)}."


def _report_differs(ended: Ended, finish: Record, results: Mapping[str, TestResult]) -> Iterable[str]:
    """The JUnit report must be the one that pytest wrote, and tell the same as the channel."""
    if ended.report is None:
        yield "The test report that pytest wrote is gone."
        return
    if hashlib.sha256(ended.report).hexdigest() != finish.get("report"):
        yield "The test report was changed after pytest wrote it."
        return
    try:
        cases = parse_junit(ended.report, merge=True)
    except InvalidInput as error:
        yield f"The test report cannot be read: {error.message} {error.why}".rstrip()
        return
    reported = {case.id: _kind(case.outcome) for case in cases}
    logged: dict[str, Outcome] = {}
    for result in results.values():
        key = _junit_id(result)
        logged[key] = worst([result.outcome, logged.get(key, result.outcome)])
    differing = sorted(
        test
        for test in reported.keys() | logged.keys()
        if reported.get(test) != (_kind(logged[test]) if test in logged else None)
        and not _beside_the_loop_in(test, results)
    )
    if differing:
        yield f"The test report does not agree with what happened: {_some(differing)}."


def _junit_id(result: TestResult) -> str:
    return result.id


def _beside_the_loop_in(test: str, results: Mapping[str, TestResult]) -> bool:
    """The report names files that could not be collected in its own way."""
    return any(result.collection for result in results.values()) and "::" not in test


def _kind(outcome: Outcome) -> str:
    if outcome in (Outcome.FAILED, Outcome.ERROR):
        return "failed"
    return "passed" if outcome is Outcome.PASSED else "skipped"


def exit_differs(ended: Ended, status: int, said: Sequence[Record]) -> Iterable[str]:
    expected = int(said[-1].get("code", status)) if said else status
    if ended.exit_code != expected:
        yield (
            f"The test command ended with exit code {ended.exit_code} where pytest had ended with "
            f"{expected}: something changed it on the way out."
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
