from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from core.domain.evidence import Outcome, RunState
from core.worker.runners.contract import Ended, Secret
from core.worker.runners.gofailure import why_broken, why_failed
from core.worker.runners.programs import read_programs
from core.worker.runners.rustfailure import why_failed as rust_failed

SECRET = Secret(failing="f", passing="p", key=b"k" * 32)
UNIT = {"kind": "unit", "unit": "a", "failing": "failed", "passing": "passed", "bare": False}
NO_TOTAL = "x.Total undefined (type %s has no field or method Total)"
NO_MODULE = "no required module provides package %s; to add it:"
TEST = {
    "kind": "test", "unit": "a_test.go", "name": "TestX", "file": "a_test.go", "code": 0, "skipped": False,
    "early": False, "seconds": 0.1, "output": "",
}  # fmt: skip
BROKEN = {
    "message": "undefined: Price", "text": "", "file": "a_test.go", "inside": True, "defines": [],
    "own": ["shop"], "module": "example.com/shop", "product": "a.go",
}  # fmt: skip


def _channel(records, key=SECRET.key):
    lines, last = b"", b""
    for record in records:
        payload = json.dumps(record).encode()
        last = hmac.new(key, last + payload, hashlib.sha256).hexdigest()[:32].encode()
        lines += last + b" " + payload + b"\n"
    return lines


def _read(*records, whole=True, exit_code=0, output="", channel=None):
    sent = [{"kind": "began"}, *records, *([{"kind": "ended"}] if whole else [])]
    ended = Ended(exit_code=exit_code, report=None, channel=channel or _channel(sent), output=output)
    return read_programs(ended, SECRET, tool="go", why_broken=why_broken, why_failed=why_failed)


def test_outcomes_are_exit_codes_whatever_was_printed():
    said = "--- PASS: TestX (0.00s)\nPASS\n"
    reading = _read(UNIT, TEST, {**TEST, "name": "TestY", "code": 1, "output": said})
    assert {result.id: result.outcome for result in reading.results} == {
        "a_test.go::TestX": Outcome.PASSED,
        "a_test.go::TestY": Outcome.FAILED,
    }
    assert reading.tampering == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [({"failing": "passed"}, "must be reported failed is passed"),
     ({"failing": "missing"}, "must be reported failed is missing"),
     ({"passing": "ended with code 3"}, "must be reported passed is ended with code 3")],
)  # fmt: skip
def test_a_canary_out_of_place_is_a_sign(change, words):
    (sign,) = _read({**UNIT, **change}, TEST).tampering
    assert words in sign


def test_a_unit_that_is_empty_by_its_own_word_has_no_canary():
    assert _read({**UNIT, "failing": "missing", "passing": "missing", "bare": True}).tampering == ()


def test_a_test_that_ends_its_process_early_is_a_sign():
    (sign,) = _read(UNIT, {**TEST, "early": True}).tampering
    assert "a_test.go::TestX ends its process with success" in sign


def test_foreign_records_cut_channels_and_ends_in_the_middle_give_no_results():
    assert _read(channel=_channel([{"kind": "began"}], key=b"other" * 8)).tampering
    cut = _read(UNIT, TEST, whole=False, exit_code=137, output="Killed")
    assert (cut.state, cut.results) == (RunState.CRASHED, ())
    assert "exit code 137: Killed" in cut.problem
    stopped = _read(
        {"kind": "stopped", "why": "go cannot read the module (exit code 1)"}, output="error: no go.mod"
    )
    assert stopped.problem == "go cannot read the module (exit code 1): error: no go.mod"


def test_what_stands_on_code_that_does_not_compile_tells_its_cause():
    reading = _read(
        {"kind": "broken", "unit": "a.go", "errors": [{**BROKEN, "file": "a.go"}]},
        {"kind": "unbuilt", "unit": "a_test.go"},
    )
    assert [(result.id, result.collection) for result in reading.results] == [
        ("a.go", True),
        ("a_test.go", True),
    ]
    assert "since a.go does not compile" in reading.results[1].message
    assert _read({"kind": "unbuilt", "unit": "a_test.go"}).state is RunState.CRASHED


@pytest.mark.parametrize(
    ("message", "more", "exception", "to_come"),
    [
        ("undefined: Price", {}, "ImportError", True),
        ("undefined: Price", {"inside": False}, "NameError", False),
        ("undefined: shop.Price", {"inside": False}, "ImportError", True),
        ("undefined: json.Price", {}, "ImportError", False),
        ("undefined: strings", {}, "NameError", False),
        ("name price not exported by package shop", {"inside": False}, "ImportError", True),
        (NO_TOTAL % "Cart", {}, "AttributeError", True),
        (NO_TOTAL % "Cart", {"defines": ["Cart"]}, "AttributeError", False),
        (NO_TOTAL % "*bytes.Buffer", {}, "AttributeError", False),
        ("too many arguments in call to Gross", {}, "compile error", True),
        ('cannot use "a" (untyped string constant) as int value', {}, "compile error", False),
        ("syntax error: unexpected newline, expected expression", {}, "SyntaxError", False),
        (NO_MODULE % "github.com/x/pad", {}, "ModuleNotFoundError", False),
        (NO_MODULE % "example.com/shop/cart", {}, "ImportError", True),
        ('"fmt" imported and not used', {}, "compile error", False),
    ],
)  # fmt: skip
def test_go_errors_tell_names_to_come_from_broken_tests(message, more, exception, to_come):
    failure = why_broken([{**BROKEN, **more, "message": message}])
    assert failure.exception == exception
    assert (failure.owner_file == "a.go") is to_come


@pytest.mark.parametrize(
    ("output", "code", "exception", "files"),
    [
        ("panicked at tests/a.rs:2:3:\nassertion failed\n", 101, "AssertionError", ("tests/a.rs",)),
        ("thread 't' (7) panicked at src/lib.rs:2:3:\nno stock\n", 101, "panic", ("src/lib.rs",)),
        ("panicked at /rustc/abc/library/core/src/x.rs:1:1:\nindex out of bounds", 101, "panic", ()),
        ('Error: "no"\n', 101, "Error", ()),
        ("", -6, "signal 6", ()),
        ("", 3, "exit code 3", ()),
    ],
)  # fmt: skip
def test_a_rust_failure_is_told_by_its_panic_or_its_end(output, code, exception, files):
    failure = rust_failed(output, code)
    assert (failure.exception, failure.files) == (exception, files)
