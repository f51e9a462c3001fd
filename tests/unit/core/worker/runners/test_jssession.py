"""What channel, report and exit code of jest and vitest are read as."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from core.domain.evidence import Outcome, RunState
from core.worker.runners.contract import Ended, Secret
from core.worker.runners.jssession import read_js_session

SECRET = Secret(failing="f", passing="p", key=b"k" * 32)
FILE = "/co/tree/shop/test/a.test.js"


def _test(name, status="passed", error=None):
    return {
        "kind": "test", "names": ["all", name] if name not in ("f1", "p1") else [name], "status": status,
        "passed": status == "passed", "skip": status == "skipped", "todo": False, "suite": False,
        "seconds": 0.1, "error": error,
    }  # fmt: skip


ERROR = {"name": "AssertionError", "message": "1 is not 2", "stack": f"at {FILE}:1:2", "code": "", "why": ""}
GOOD = (_test("x"), _test("f1", "failed", ERROR), _test("p1"))


def _report(*tests):
    said = [
        {"ancestorTitles": test["names"][:-1], "title": test["names"][-1], "status": test["status"]}
        for test in tests
    ]
    return json.dumps({"testResults": [{"name": FILE, "assertionResults": said}]}).encode()


def _read(*tests, report=None, written=None, code=1, said=1, success=False, error=None, ended=True, extra=()):
    written = _report(*tests) if written is None else written
    records = [{"kind": "began", "version": "1"}, *extra]
    records += [{"kind": "file", "file": FILE, "failing": "f1", "passing": "p1"}, *tests]
    records += [{"kind": "file ended", "file": FILE, "stderr": "", "error": error}]
    digest = hashlib.sha256(written).hexdigest()
    records += [{"kind": "ended", "success": success, "report": digest, "code": said}] if ended else []
    content, last = b"", b""
    for record in records:
        payload = json.dumps(record).encode()
        last = hmac.new(SECRET.key, last + payload, hashlib.sha256).hexdigest()[:32].encode()
        content += last + b" " + payload + b"\n"
    found = Ended(
        exit_code=code, report=written if report is None else report, channel=content, output="Error: lost"
    )
    return read_js_session(found, SECRET, tool="jest", cwd="/co/tree/shop", checkout="/co/tree")


def test_a_run_in_which_all_agree_is_believed():
    reading = _read(*GOOD)
    assert (reading.state, reading.tampering) == (RunState.COMPLETED, ())
    assert [(result.id, result.outcome) for result in reading.results] == [
        ("test/a.test.js::all > x", Outcome.PASSED)
    ]


@pytest.mark.parametrize(
    ("told", "sign"),
    [
        ({"report": b"{}"}, "was changed after"),
        ({"written": b"{}"}, "cannot be read"),
        ({"written": _report(_test("x", "failed"), *GOOD[1:])}, "a.test.js > all > x"),
        ({"written": _report(*GOOD[1:])}, "does not agree"),
        ({"code": 0}, "exit code 0 where jest had ended with 1"),
        ({"success": True, "said": 0, "code": 0}, "reports success although"),
    ],
    ids=["rewritten", "no report of jest", "another outcome", "one less", "exit code", "success"],
)
def test_what_disagrees_is_told(told, sign):
    assert sign in " ".join(_read(*GOOD, **told).tampering)


@pytest.mark.parametrize(
    "tests", [(GOOD[0],), (GOOD[0], _test("f1"), GOOD[2]), (*GOOD, _test("f1", "failed", ERROR))],
    ids=["missing", "passed", "twice"],
)  # fmt: skip
def test_a_canary_out_of_place_is_told(tests):
    assert "Orchard added to test/a.test.js" in " ".join(_read(*tests).tampering)


def test_a_run_that_breaks_off_or_cannot_be_watched_has_no_results():
    broken = _read(*GOOD, ended=False)
    assert (broken.state, broken.results) == (RunState.CRASHED, ())
    assert "in the middle of the tests: Error: lost" in broken.problem
    foreign = _read(*GOOD, extra=({"kind": "unsupported", "what": "vitest's browser mode is on"},))
    assert "browser mode is on, which Orchard cannot watch" in foreign.problem


@pytest.mark.parametrize(
    ("message", "exception", "missing", "owner_file"),
    [
        ("Cannot find module '../src/n' from 'test/a.test.js'", "ModuleNotFoundError", "n", "shop/src/n"),
        (f"Cannot find module '../src/n' imported from {FILE}", "ModuleNotFoundError", "n", "shop/src/n"),
        ('Failed to resolve import "../src/n" from "test/a.test.js". Does the file exist?',
         "ModuleNotFoundError", "n", "shop/src/n"),
        (f"Failed to load url ../src/n (resolved id: ../src/n) in {FILE}. Does the file exist?",
         "ModuleNotFoundError", "n", "shop/src/n"),
        ("Cannot find module '/src/n' imported from test/a.test.js",
         "ModuleNotFoundError", "n", "shop/src/n"),
        ("Cannot find package '@/n' imported from test/a.test.js", "ModuleNotFoundError", "n", "n"),
        ("Could not locate module @/n mapped as:\n/co/tree/shop/src/$1.", "ModuleNotFoundError", "n", "@/n"),
        ("Cannot find package 'left' imported from test/a.test.js", "ModuleNotFoundError", "left", ""),
        ("The requested module '../src/m.js' does not provide an export named 'n'", "ImportError", "n",
         "shop/src/m.js"),
        ("lost", "Error", "", ""),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_tells_what_is_missing(message, exception, missing, owner_file):
    error = {"name": "", "message": message, "stack": "", "code": "", "why": ""}
    (result,) = _read(error=error).results
    failure = result.failure
    assert result.collection
    assert (failure.exception, failure.missing, failure.owner_file) == (exception, missing, owner_file)


@pytest.mark.parametrize(
    "message",
    [f"{FILE}: Unexpected token (2:0)", "Transform failed with 1 error:\n\n  ╭─[ test/a.test.js:2:19 ]"],
)
def test_a_file_that_is_no_program_has_a_syntax_error(message):
    stack = "Jest encountered an unexpected token"
    (result,) = _read(error={"name": "", "message": message, "stack": stack, "code": "", "why": ""}).results
    assert (result.failure.exception, result.failure.syntax_file) == ("SyntaxError", "shop/test/a.test.js")
