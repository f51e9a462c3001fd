"""PURE: what a watched run of jest or vitest says, from its channel, its JSON report and its exit code."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from core.domain.evidence import RunState
from core.worker.report import LIMIT_BYTES
from core.worker.runners.contract import Ended, Reading, Secret
from core.worker.runners.jsfiles import File, Record, files_in, read_files
from core.worker.runners.session import FOREIGN, read_channel

Told = tuple[str, tuple[str, ...], str]  # file, names, status


def read_js_session(ended: Ended, secret: Secret, *, tool: str, cwd: str, checkout: str) -> Reading:
    """Results and signs of tampering. `cwd` is the project's folder in `checkout`, both absolute."""
    channel = read_channel(ended.channel, secret.key)
    records = channel.records
    if channel.foreign:
        return Reading(state=RunState.CRASHED, tampering=(FOREIGN,))
    if unsupported := [record for record in records if record["kind"] == "unsupported"]:
        return Reading(
            state=RunState.CRASHED, problem=f"{unsupported[0]['what']}, which Orchard cannot watch"
        )
    if not any(record["kind"] == "began" for record in records):
        return _crashed(f"{tool} ended with exit code {ended.exit_code} before the tests began", ended)
    finish = [record for record in records if record["kind"] == "ended"]
    if not finish:
        return _crashed(f"{tool} ended with exit code {ended.exit_code} in the middle of the tests", ended)
    files = files_in(records)
    for file in files:
        if file.error is not None and not file.error["name"]:
            file.error = {**file.error, "name": "Error"}
    tampering = [
        *_report_differs(ended, finish[-1], files, tool),
        *_exit_differs(ended, finish[-1], files, tool),
    ]
    return read_files(files, cwd=cwd, checkout=checkout, tampering=tampering)


def _crashed(problem: str, ended: Ended) -> Reading:
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line and not line.startswith("at ")] or lines
    return Reading(state=RunState.CRASHED, problem=f"{problem}{': ' + telling[0][:300] if telling else ''}")


def _report_differs(ended: Ended, finish: Record, files: Sequence[File], tool: str) -> Iterable[str]:
    """The JSON report must be the one that the runner wrote, and tell the same as the channel."""
    if ended.report is None:
        yield f"The test report that {tool} wrote is gone."
        return
    if hashlib.sha256(ended.report).hexdigest() != finish["report"]:
        yield f"The test report was changed after {tool} wrote it."
        return
    try:
        reported = set(_reported(ended.report))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        yield f"The test report cannot be read: {type(error).__name__}: {str(error)[:200]}."
        return
    # What kept a file from being run is told in many ways: only the tests of the others are compared.
    aside = {file.path for file in files if file.error is not None}
    logged = {(file.path, tuple(test["names"]), str(test["status"])) for file in files for test in file.tests}
    secret = {name for file in files for name in (file.failing, file.passing)}
    differing = sorted(
        {
            f"{posixpath.basename(path)} > {' > '.join(names)}" if names[-1] not in secret else path
            for path, names, _ in reported ^ logged
            if path not in aside
        }
    )
    if differing:
        yield f"The test report does not agree with what happened: {', '.join(differing[:3])}."


def _reported(report: bytes) -> Iterator[Told]:
    """Jest's JSON, which vitest writes too. Raises ValueError and the like for what is none."""
    if len(report) > LIMIT_BYTES:
        raise ValueError(f"it is larger than {LIMIT_BYTES >> 20} MiB")
    document: Any = json.loads(report)
    for file in document["testResults"]:
        for test in file["assertionResults"]:
            status = test["status"] if test["status"] in ("passed", "failed") else "skipped"
            yield file["name"], (*test["ancestorTitles"], test["title"]), status


def _exit_differs(ended: Ended, finish: Record, files: Sequence[File], tool: str) -> Iterable[str]:
    if ended.exit_code != finish["code"]:
        yield (
            f"The test run ended with exit code {ended.exit_code} where {tool} had ended with "
            f"{finish['code']}: something changed it on the way out."
        )
    elif finish["success"] and files:
        yield f"{tool} reports success although it was given tests that fail."
