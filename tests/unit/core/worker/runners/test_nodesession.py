"""What the channel of a `node --test` run is read as. That node writes it so is shown by real runs."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from core.domain.evidence import Outcome, RunState
from core.worker.runners.contract import Ended, Secret
from core.worker.runners.nodesession import read_node_session

SECRET = Secret(failing="f", passing="p", key=b"k" * 32)
FILE = "/c o/tree/shop/test/a.test.js"


def _test(name, *, passed=True, error=None, skip=False):
    return {
        "kind": "test", "passed": passed, "names": [name], "suite": False, "seconds": 0.1, "skip": skip,
        "todo": False, "error": error,
    }  # fmt: skip


def _error(name="AssertionError", message="", stack="", why="testCodeFailure"):
    return {"name": name, "message": message, "stack": stack, "code": "", "why": why}


GOOD = (_test("f1", passed=False, error=_error()), _test("p1"))


def _read(*tests, stderr="", code=0, ended=True, tail=b"", began=True):
    records = [{"kind": "began"}] if began else []
    records += [{"kind": "file", "file": FILE, "failing": "f1", "passing": "p1"}, *tests] if began else []
    records += [{"kind": "file ended", "file": FILE, "stderr": stderr}, {"kind": "ended"}] if ended else []
    content, last = b"", b""
    for record in records:
        payload = json.dumps(record).encode()
        last = hmac.new(SECRET.key, last + payload, hashlib.sha256).hexdigest()[:32].encode()
        content += last + b" " + payload + b"\n"
    found = Ended(exit_code=code, report=None, channel=content + tail, output="")
    return read_node_session(found, SECRET, cwd="/c o/tree/shop", checkout="/c o/tree")


def test_a_pass_beside_a_failure_of_the_same_name_hides_nothing():
    lied = [_test("x"), _test("x", passed=False, error=_error(message="1 !== 2")), _test("x")]
    (result,) = _read(*lied, *GOOD).results
    assert (result.id, result.outcome) == ("test/a.test.js::x", Outcome.FAILED)


@pytest.mark.parametrize(
    "tests",
    [(), (_test("f1"), _test("p1")), (*GOOD, _test("f1")), (GOOD[0], _test("p1", skip=True)), GOOD[:1]],
    ids=["missing", "passed", "forged beside", "skipped", "one missing"],
)
def test_a_canary_out_of_place_is_told(tests):
    reading = _read(_test("x"), *tests)
    assert "Orchard added to test/a.test.js" in reading.tampering[0]


def test_a_hook_of_the_project_around_all_tests_is_no_tampering():
    broken = _test("p1", passed=False, error=_error(why="hookFailed"))
    assert _read(_test("x"), GOOD[0], broken).tampering == ()


def test_what_node_did_not_write_makes_the_run_worthless():
    reading = _read(*GOOD, tail=b"0000 {}\n")
    assert (reading.state, reading.results) == (RunState.CRASHED, ())
    assert reading.tampering


@pytest.mark.parametrize(
    ("told", "expected"),
    [({"began": False, "ended": False, "code": 1}, "before the tests began"), ({"ended": False}, "middle"),
     ({"code": 9}, "exit code 9")],
)  # fmt: skip
def test_a_run_that_breaks_off_has_no_results(told, expected):
    reading = _read(*GOOD, **told)
    assert reading.state is RunState.CRASHED
    assert expected in reading.problem


def test_a_missing_export_names_its_owner_from_the_top_of_the_repository():
    stderr = (
        "file:///c%20o/tree/shop/test/a.test.js:1\n"
        "SyntaxError: The requested module '../src/m.js' does not provide an export named 'nope'\n"
    )
    (result,) = _read(_test(FILE, passed=False, error=_error()), stderr=stderr).results
    assert result.collection
    assert (result.id, result.failure.exception, result.failure.missing) == (
        "test/a.test.js", "ImportError", "nope",
    )  # fmt: skip
    assert result.failure.owner_file == "shop/src/m.js"
