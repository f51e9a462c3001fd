"""PURE: what the watched runs of `node --test` say, from their channel."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.domain.evidence import Failure, Outcome, RunState, TestResult
from core.worker.report import clean_id, worst
from core.worker.runners.contract import Ended, Reading, Secret
from core.worker.runners.session import read_channel

Record = Mapping[str, Any]

_NO_EXPORT = re.compile(
    r"requested module '(?P<owner>[^']+)' does not provide an export named '(?P<name>\w+)'"
)
_NO_NAMED = re.compile(r"Named export '(?P<name>\w+)' not found\. The requested module '(?P<owner>[^']+)'")
_NO_MODULE = re.compile(r"Cannot find (module|package) '([^']+)'(?: imported from (\S+))?")
_NO_NAME = re.compile(r"^(\w+) is not defined")
_ERROR = re.compile(r"^(?:Uncaught )?(\w*(?:Error|Exception))(?: \[(\w+)\])?: (.*)$", re.MULTILINE)
_QUOTED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_STEP = re.compile(r"(?:file://)?(/[^\s()]+?):\d+(?::\d+)?\)?$", re.MULTILINE)


@dataclass(slots=True, kw_only=True)
class File:
    """One test file's process."""

    path: str  # absolute
    failing: str
    passing: str
    tests: list[Record] = field(default_factory=list)
    stderr: str = ""
    ended: bool = False

    def own(self) -> list[Record]:
        aside = (self.failing, self.passing)
        return [test for test in self.tests if test["names"][-1] not in aside and not self._is_whole(test)]

    def whole(self) -> Record | None:
        """What node says of the file itself: only when its process ended otherwise than its tests."""
        return next((test for test in self.tests if self._is_whole(test)), None)

    def _is_whole(self, test: Record) -> bool:
        """Node calls a file by its path, absolute or, in some versions, relative to where it runs."""
        name = str(test["names"][0])
        return len(test["names"]) == 1 and (self.path == name or self.path.endswith(f"/{name}"))

    def top(self, name: str) -> Record | None:
        found = [test for test in self.tests if test["names"] == [name]]
        return found[0] if len(found) == 1 else None


def read_node_session(ended: Ended, secret: Secret, *, cwd: str, checkout: str) -> Reading:
    """Results and signs of tampering. `cwd` is the project's folder in `checkout`, both absolute."""
    channel = read_channel(ended.channel, secret.key)
    if channel.foreign:
        said = "Something other than the test runner wrote to Orchard's report channel."
        return Reading(state=RunState.CRASHED, tampering=(said,))
    kinds = {record["kind"] for record in channel.records}
    if "began" not in kinds:
        return _crashed(f"node ended with exit code {ended.exit_code} before the tests began", ended)
    if "ended" not in kinds or ended.exit_code != 0:
        return _crashed(f"node ended with exit code {ended.exit_code} in the middle of the tests", ended)
    files = _files(channel.records)
    results: dict[str, TestResult] = {}
    tampering: list[str] = []
    for file in files:
        tampering += _signs(file, cwd)
        for result in _results(file, cwd, checkout):
            before = results.get(result.id)
            # Two tests of one name are one: a pass that is written beside a failure hides nothing.
            if before is None or worst([before.outcome, result.outcome]) is not before.outcome:
                results[result.id] = result
    return Reading(
        state=RunState.COMPLETED, results=tuple(results.values()), tampering=tuple(dict.fromkeys(tampering))
    )


def _crashed(problem: str, ended: Ended) -> Reading:
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    telling = [line for line in lines if _ERROR.match(line)] or lines
    return Reading(state=RunState.CRASHED, problem=f"{problem}{': ' + telling[-1][:300] if telling else ''}")


def _files(records: Sequence[Record]) -> list[File]:
    files: list[File] = []
    for record in records:
        if record["kind"] == "file":
            files.append(File(path=record["file"], failing=record["failing"], passing=record["passing"]))
        elif record["kind"] == "test":
            files[-1].tests.append(record)
        elif record["kind"] == "file ended":
            files[-1].stderr = record["stderr"]
            files[-1].ended = True
    return files


def _signs(file: File, cwd: str) -> Iterable[str]:
    """The canaries stand behind all tests of the file, in its own process."""
    if not file.own() and _loading_failed(file):
        return
    where = posixpath.relpath(file.path, cwd)
    for name, wanted in ((file.failing, "failed"), (file.passing, "passed")):
        test = file.top(name)
        if test is None:
            got = "missing, or there more than once"
        elif test["skip"] or test["todo"]:
            got = "skipped"
        else:
            got = "passed" if test["passed"] else "failed"
        # A hook of the project around all tests may fail before the test is reached.
        hook = test is not None and got == "failed" and test["error"]["why"] == "hookFailed"
        if got != wanted and not hook:
            yield (
                f"A test that Orchard added to {where} and that must be reported {wanted} is {got}: "
                "something ends the test process early, or changes how tests run or how they are reported."
            )


def _loading_failed(file: File) -> bool:
    whole = file.whole()
    return whole is not None and not whole["passed"]


def _results(file: File, cwd: str, checkout: str) -> Iterable[TestResult]:
    where = posixpath.relpath(file.path, cwd)
    own = file.own()
    if not own and _loading_failed(file):
        failure = _of_stderr(file, checkout)
        yield TestResult(
            id=where,
            outcome=Outcome.ERROR,
            file=where,
            message=f"{failure.exception}: {failure.message}".strip(": ")[:500],
            detail=file.stderr[-4000:],
            collection=True,
            failure=failure,
        )
        return
    for test in own:
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
        yield TestResult(
            id=clean_id(where, " > ".join(test["names"])),
            outcome=outcome,
            seconds=float(test["seconds"]),
            file=where,
            message=f"{error['name']}: {error['message']}".splitlines()[0][:500] if bad else "",
            detail=str(error.get("stack") or error.get("message"))[-4000:] if bad else "",
            failure=_failure(error, file, checkout, "setup" if why == "hookFailed" else "call")
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


def _of_stderr(file: File, checkout: str) -> Failure:
    """Why a file could not be loaded: node tells it in words only."""
    found = _ERROR.search(file.stderr)
    if found is None:
        return Failure(exception="", when="collect", message=file.stderr.strip()[-500:])
    error = {"name": found[1], "message": found[3], "stack": file.stderr, "code": found[2] or ""}
    return _failure(error, file, checkout, "collect")


def _failure(error: Mapping[str, str], file: File, checkout: str, when: str) -> Failure:
    name, message, stack = error["name"], error["message"], error["stack"]
    files = _steps(stack, checkout)
    importer = f"{checkout}/{files[-1]}" if files else file.path

    def made(exception: str, **rest: Any) -> Failure:
        return Failure(exception=exception, when=when, message=message[:500], files=files, **rest)

    if no_export := _NO_EXPORT.search(message) or _NO_NAMED.search(message):
        owner = no_export["owner"]
        owner_file = _inside(owner, importer, checkout)
        return made(
            "ImportError",
            missing=no_export["name"],
            owner=owner,
            owner_file=owner_file,
            owner_foreign=not owner_file,
        )
    if no_module := _NO_MODULE.search(message):
        missing = no_module[2]
        owner_file = _inside(missing, no_module[3] or importer, checkout)
        return made(
            "ModuleNotFoundError",
            missing=posixpath.basename(missing) if owner_file else missing,
            owner="node_modules",
            owner_file=owner_file,
            owner_foreign=not owner_file,
        )
    if name == "ReferenceError" and (no_name := _NO_NAME.search(message)):
        return made(name, missing=no_name[1])
    if name == "SyntaxError" and when == "collect":
        return made(name, syntax_file=files[-1] if files else "")
    return made(name)


def _inside(module: str, importer: str, checkout: str) -> str:
    """The repository's file that an import names; "" for a package or what lies outside."""
    if not module.startswith((".", "/")):
        return ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(importer), module))
    return path.removeprefix(f"{checkout}/") if path.startswith(f"{checkout}/") else ""


def _steps(stack: str, checkout: str) -> tuple[str, ...]:
    """The repository's files in a stack, innermost last; packages left out."""
    found = [_unquoted(path) for path in _STEP.findall(stack)]
    inside = [path.removeprefix(f"{checkout}/") for path in found if path.startswith(f"{checkout}/")]
    return tuple(dict.fromkeys(path for path in reversed(inside) if "node_modules/" not in path))


def _unquoted(path: str) -> str:
    """A path out of a file URL."""
    return _QUOTED.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode(errors="replace"), path)
