"""PURE: what the drivers of compiled tests say over their channel: one process a test, its exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from core.domain.evidence import Failure, Outcome, RunState, TestResult
from core.worker.report import clean_id
from core.worker.runners.contract import Ended, Reading, Secret
from core.worker.runners.session import FOREIGN, read_channel

Record = Mapping[str, Any]
WhyBroken = Callable[[Sequence[Record]], Failure]  # of a file that does not compile
WhyFailed = Callable[[str, int], Failure]  # of a test, by what it printed and its exit code


def read_programs(
    ended: Ended, secret: Secret, *, tool: str, why_broken: WhyBroken, why_failed: WhyFailed
) -> Reading:
    """Results and signs of tampering. `tool` is what the driver is called in sentences."""
    channel = read_channel(ended.channel, secret.key)
    records = channel.records
    if channel.foreign:
        return Reading(state=RunState.CRASHED, tampering=(FOREIGN,))
    if stopped := next((record for record in records if record["kind"] == "stopped"), None):
        return _crashed(str(stopped["why"]), ended)
    if not any(record["kind"] == "ended" for record in records) or ended.exit_code != 0:
        return _crashed(f"Orchard's driver of {tool} ended with exit code {ended.exit_code}", ended)
    broken = {str(record["unit"]): _broken(record, why_broken) for record in records if _is(record, "broken")}
    results = dict(broken)
    for record in records:
        if record["kind"] == "unbuilt" and not broken:
            # Beside files that do not compile, what is not built is built without them in the end or is
            # one of them.
            return _crashed(f"{tool} did not build {record['unit']}", ended)
        if record["kind"] == "unbuilt" and record["unit"] not in broken:
            results[record["unit"]] = _unbuilt(str(record["unit"]), broken)
        if record["kind"] == "test":
            result = _result(record, why_failed)
            results[result.id] = result
    signs = [sign for record in records for sign in _signs(record)]
    put = [record for record in records if record["kind"] == "put back"]
    return Reading(
        state=RunState.COMPLETED,
        results=tuple(results.values()),
        tampering=tuple(dict.fromkeys(signs)),
        put_back=tuple(path for record in put for path in record["files"]),
        rewritten=tuple(path for record in put for path in record["changed"]),
    )


def most_telling(failures: Sequence[Failure]) -> Failure:
    """Of all errors of a file the one that tells most against it; a name that is to come only when there is
    nothing else.
    """
    return min(failures, key=_weight)


def is_to_come(failure: Failure) -> bool:
    """Whether what is missing belongs to another of the project's files."""
    return bool(failure.owner_file) and failure.owner_file not in failure.files


def _weight(failure: Failure) -> int:
    if failure.exception == "SyntaxError":
        return 0
    return 2 if is_to_come(failure) else 1


def _is(record: Record, kind: str) -> bool:
    return bool(record["kind"] == kind)


def _crashed(problem: str, ended: Ended) -> Reading:
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    telling = [line for line in lines if line.lower().startswith("error")] or lines
    return Reading(state=RunState.CRASHED, problem=f"{problem}{': ' + telling[-1][:300] if telling else ''}")


def _signs(record: Record) -> Iterable[str]:
    if record["kind"] == "unit" and not record["bare"]:
        for wanted in ("failed", "passed"):
            got = record["failing" if wanted == "failed" else "passing"]
            if got != wanted:
                yield (
                    f"A test that Orchard added to {record['unit']} and that must be reported {wanted} is "
                    f"{got}: something ends the test process early, hides tests, or changes how they run."
                )
    elif record["kind"] == "swapped":
        yield f"The program of {record['unit']}'s tests was written over after Orchard had built it."
    elif record["kind"] == "test" and record["early"]:
        yield (
            f"{record['unit']}::{record['name']} ends its process with success although another test in it "
            "fails: something in it ends the test process early."
        )


def _broken(record: Record, why: WhyBroken) -> TestResult:
    unit, errors = str(record["unit"]), record["errors"]
    failure = why(errors)
    return TestResult(
        id=clean_id("", unit),
        outcome=Outcome.ERROR,
        file=unit,
        message=f"does not compile: {failure.message}"[:500],
        detail="\n".join(str(error["text"]) for error in errors)[-4000:],
        collection=True,
        failure=failure,
    )


def _unbuilt(unit: str, broken: Mapping[str, TestResult]) -> TestResult:
    """It stands on what does not compile."""
    cause = next(iter(broken.values()))
    return TestResult(
        id=clean_id("", unit),
        outcome=Outcome.ERROR,
        file=unit,
        message=f"could not be built, since {cause.id} {cause.message}"[:500],
        collection=True,
        failure=cause.failure,
    )


def _result(record: Record, why: WhyFailed) -> TestResult:
    code, output = int(record["code"]), str(record["output"])
    outcome = Outcome.SKIPPED if record["skipped"] else Outcome.PASSED if code == 0 else Outcome.FAILED
    failure = why(output, code) if outcome is Outcome.FAILED else None
    return TestResult(
        id=clean_id(str(record["unit"]), str(record["name"])),
        outcome=outcome,
        seconds=float(record["seconds"]),
        file=str(record["file"]),
        message=f"{failure.exception}: {failure.message}".strip(": ")[:500] if failure else "",
        detail=output,
        failure=failure,
    )
