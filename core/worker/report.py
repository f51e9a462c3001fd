"""PURE: JUnit XML, as foreign input: any program may have written it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from core.domain.evidence import Failure, Outcome, TestResult
from core.errors import InvalidInput

LIMIT_BYTES = 64 << 20
_ID_CHARACTERS = 1000
_DETAIL_CHARACTERS = 4000
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EXCEPTION = re.compile(
    r"^(?:E\s+)?((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Failure|Warning))\b",
    re.MULTILINE,
)
_NO_MODULE = re.compile(r"No module named '?([\w.]+)")
_NO_NAME = re.compile(r"cannot import name '?(\w+)'? from '([\w.]+)'")

# Worst first: what a test case with several marks counts as.
_ORDER = (Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED, Outcome.XFAILED, Outcome.PASSED)


def parse_junit(content: bytes, *, merge: bool = False) -> tuple[TestResult, ...]:
    """The test cases of a report, in its order.

    Cases of the same identity become one with the worst outcome (`merge`, for runners whose names are
    unique), or are told apart by their file, and then numbered so that the numbers do not depend on the order
    of runs. Raises InvalidInput for what is no JUnit report, is larger than LIMIT_BYTES, or holds entities.
    """
    if len(content) > LIMIT_BYTES:
        raise InvalidInput(f"The test report is larger than {LIMIT_BYTES >> 20} MiB.")
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise InvalidInput("The test report is not well-formed XML.", why=str(error)[:200]) from error
    if root.tag not in ("testsuites", "testsuite"):
        raise InvalidInput(f"The test report is not JUnit XML: its root is <{str(root.tag)[:50]}>.")
    cases = [_case(element) for element in root.iter("testcase")]
    return tuple(_merged(cases)) if merge else tuple(_told_apart(cases))


def clean_id(classname: str, name: str) -> str:
    """`classname::name`, printable and of bounded length, still different for different names."""
    whole = f"{classname}::{name}" if classname else name
    text = _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", whole.replace("\n", "\\n")).strip()
    if len(text) > _ID_CHARACTERS:
        digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]
        text = f"{text[: _ID_CHARACTERS - 20]}...({digest})"
    return text or "(unnamed)"


def worst(outcomes: list[Outcome]) -> Outcome:
    return min(outcomes, key=_ORDER.index)


def _case(element: Element) -> TestResult:
    marks = {child.tag: child for child in element if child.tag in ("failure", "error", "skipped")}
    outcome, mark = Outcome.PASSED, None
    if "failure" in marks:
        outcome, mark = Outcome.FAILED, marks["failure"]
    elif "error" in marks:
        outcome, mark = Outcome.ERROR, marks["error"]
    elif "skipped" in marks:
        mark = marks["skipped"]
        outcome = Outcome.XFAILED if mark.get("type") == "pytest.xfail" else Outcome.SKIPPED
    text = "" if mark is None else "".join(mark.itertext())
    message = "" if mark is None else mark.get("message", "")
    file = element.get("file")
    return TestResult(
        id=clean_id(element.get("classname", ""), element.get("name", "")),
        outcome=outcome,
        seconds=_seconds(element.get("time", "")),
        file=clean_id("", file) if file else None,
        message=message[:500],
        detail=text[-_DETAIL_CHARACTERS:],
        failure=_failure(mark, message, text) if outcome in (Outcome.FAILED, Outcome.ERROR) else None,
    )


def _failure(mark: Element | None, message: str, text: str) -> Failure:
    """What the report's words tell of the cause. `<failure>` is an assertion unless it says otherwise."""
    words = f"{message}\n{text}"
    kind = (mark.get("type", "") if mark is not None else "").strip()
    if not kind:
        found = _EXCEPTION.search(words)
        kind = found[1] if found else ("AssertionError" if mark is not None and mark.tag == "failure" else "")
    when = (
        "call"
        if mark is None or mark.tag == "failure"
        else "collect"
        if "collection failure" in message
        else "setup"
    )
    failure = Failure(exception=kind, when=when, message=message[:500])
    if no_module := _NO_MODULE.search(words):
        return Failure(
            exception="ModuleNotFoundError", when=when, missing=no_module[1], message=message[:500]
        )
    if no_name := _NO_NAME.search(words):
        return Failure(
            exception="ImportError", when=when, missing=no_name[1], owner=no_name[2], message=message[:500]
        )
    return failure


def _seconds(text: str) -> float:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return value if 0.0 <= value < 1e9 else 0.0


def _merged(cases: list[TestResult]) -> Iterator[TestResult]:
    groups: dict[str, list[TestResult]] = {}
    for case in cases:
        groups.setdefault(case.id, []).append(case)
    for same in groups.values():
        outcome = worst([case.outcome for case in same])
        yield next(case for case in same if case.outcome is outcome)


def _told_apart(cases: list[TestResult]) -> Iterator[TestResult]:
    files: dict[str, set[str | None]] = {}
    for case in cases:
        files.setdefault(case.id, set()).add(case.file)
    named = [
        replace(case, id=f"{case.file}::{case.id}") if len(files[case.id]) > 1 and case.file else case
        for case in cases
    ]
    groups: dict[str, list[TestResult]] = {}
    for case in named:
        groups.setdefault(case.id, []).append(case)
    for same in groups.values():
        # Passed first: the numbers then mean the same in two runs of another order.
        for number, case in enumerate(sorted(same, key=lambda case: -_ORDER.index(case.outcome)), start=1):
            yield case if number == 1 else replace(case, id=f"{case.id} ({number})")
