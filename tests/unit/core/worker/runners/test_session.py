"""What a watched session says, and what a forged one gives away. Lines are written by the real plugin."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.domain.evidence import Outcome, RunState
from core.worker.probe import FOLDER
from core.worker.runners.contract import Ended, Secret
from core.worker.runners.session import read_channel, read_session

SECRET = Secret(failing="test_f", passing="test_p", key=b"k" * 32)
_CASE = '<testcase classname="{0}" name="{1}">{2}</testcase>'


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("orchard_probe")
    for name in set(sys.modules) - before:
        if name.startswith("orchard_"):
            del sys.modules[name]


@pytest.fixture
def written(probe: Any) -> Callable[..., bytes]:
    def write(*records: dict[str, Any], key: bytes = SECRET.key) -> bytes:
        ours, theirs = os.pipe()
        send = probe.open_channel(theirs, key)
        for record in records:
            send(record)
        content = os.read(ours, 1 << 16)
        os.close(ours)
        return content

    return write


def _report(name: str, outcome: str, when: str = "call", **more: Any) -> dict[str, Any]:
    return {
        "kind": "report", "classname": "t", "name": name, "when": when, "outcome": outcome,
        "file": "tests/t.py", "seconds": 0.1, **more,
    }  # fmt: skip


CANARIES = [_report("test_p", "passed"), _report("test_f", "failed", failure={"exception": "AssertionError"})]


def _junit(*cases: tuple[str, str]) -> bytes:
    body = "".join(
        _CASE.format("t", name, mark) for name, mark in (("test_p", ""), ("test_f", "<failure/>"), *cases)
    )
    return f"<testsuite>{body}</testsuite>".encode()


def _session(written, records, report, *, exit_code=1, status=1, **ends):
    digest = hashlib.sha256(report).hexdigest() if report is not None else ""
    channel = written(
        {"kind": "began"}, *CANARIES, *records, {"kind": "ended", "status": status, "report": digest, **ends}
    )
    return Ended(exit_code=exit_code, report=report, channel=channel, output="")


def test_a_whole_session(written):
    ended = _session(
        written,
        [_report("a", "passed", "setup"), _report("a", "passed"), _report("a", "failed", "teardown")],
        _junit(("a", "<error/>")),
    )
    reading = read_session(ended, SECRET, folder=".")
    assert (reading.state, reading.tampering) == (RunState.COMPLETED, ())
    (result,) = reading.results
    assert (result.id, result.outcome, result.file) == ("t::a", Outcome.ERROR, "tests/t.py")
    assert result.seconds == pytest.approx(0.3)


def test_paths_are_relative_to_the_projects_folder(written):
    ended = _session(written, [_report("a", "passed", file="packages/shop/tests/t.py")], _junit(("a", "")))
    (result,) = read_session(ended, SECRET, folder="packages/shop").results
    assert result.file == "tests/t.py"


@pytest.mark.parametrize(
    ("records", "report", "words"),
    [
        ([_report("a", "failed")], _junit(("a", "")), "does not agree"),
        ([_report("a", "failed")], _junit(), "does not agree"),
        ([], _junit(("a", "")), "does not agree"),
        (
            [_report("a", "passed", failure={"exception": "KeyError"})],
            _junit(("a", "")),
            "raised an exception",
        ),
        ([_report("test_f", "passed")], _junit(), "must be reported failed"),
        ([_report("test_p", "failed")], _junit(), "must be reported passed"),
        ([_report("test_f", "failed", blunted=["pytest.raises"])], _junit(), "pytest.raises"),
        ([], b"<not-junit/>", "cannot be read"),
        ([], None, "is gone"),
    ],
)
def test_a_report_that_lies_is_tampering(written, records, report, words):
    reading = read_session(_session(written, records, report), SECRET, folder=".")
    assert any(words in sentence for sentence in reading.tampering), reading


def test_a_report_changed_afterwards_is_tampering(written):
    ended = _session(written, [_report("a", "failed")], _junit(("a", "<failure/>")))
    reading = read_session(dataclasses.replace(ended, report=_junit(("a", ""))), SECRET, folder=".")
    assert reading.tampering == ("The test report was changed after pytest wrote it.",)


def test_an_exit_code_changed_on_the_way_out_is_tampering(written):
    ended = _session(written, [], _junit(), exit_code=0)
    (sentence,) = read_session(ended, SECRET, folder=".").tampering
    assert "exit code 0" in sentence


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "success"), (2, "interrupted"), (4, "command line"), (5, "no test"), (9, "status 9")],
)
def test_a_session_that_did_not_run_to_its_end_has_no_results(written, status, words):
    reading = read_session(_session(written, [], _junit(), status=status), SECRET, folder=".")
    assert (reading.state, reading.results) == (RunState.CRASHED, ())
    assert words in reading.problem


@pytest.mark.parametrize(
    ("exit_code", "output", "words"),
    [
        (4, "ERROR: usage\n", "ERROR: usage"),
        (4, "E   ModuleNotFoundError: No module named 'x'\nlast\n", "No module named 'x'"),
        (4, "ERROR: usage: pytest\npytest: error: unknown: --cov\n  rootdir: /x\n", "unknown: --cov"),
        (1, "", "printed nothing"),
        (4, "ImportError: No module named 'orchard_probe'", ":$PYTHONPATH"),
    ],
)
def test_a_session_that_never_began_says_why(exit_code, output, words):
    reading = read_session(
        Ended(exit_code=exit_code, report=None, channel=b"", output=output), SECRET, folder="."
    )
    assert reading.state is RunState.CRASHED
    assert words in reading.problem


def test_a_test_that_prints_too_much_is_named(written):
    ended = _session(written, [{"kind": "flooded", "classname": "t", "name": "loud"}], _junit())
    reading = read_session(ended, SECRET, folder=".")
    assert (reading.state, reading.problem) == (RunState.FLOODED, "t::loud printed too much")


def test_two_sessions_cannot_be_judged(written):
    channel = written({"kind": "began"}, {"kind": "began"})
    reading = read_session(Ended(exit_code=1, report=None, channel=channel, output=""), SECRET, folder=".")
    assert "more than once" in reading.problem


def test_a_process_that_ends_in_the_middle_is_said(written):
    channel = written({"kind": "began"}, *CANARIES)
    for code, words in ((0, "exit code 0"), (137, "signal 9")):
        reading = read_session(
            Ended(exit_code=code, report=_junit(), channel=channel, output=""), SECRET, folder="."
        )
        assert reading.state is RunState.CRASHED
        assert words in reading.problem


def test_lines_that_the_plugin_did_not_write_are_noticed(written):
    whole = written({"kind": "began"}, *CANARIES, {"kind": "ended", "status": 1})
    lines = whole.splitlines(keepends=True)
    forged = {
        "another key": written({"kind": "began"}, key=b"x" * 32),
        "a line taken out": b"".join(lines[:1] + lines[2:]),
        "two lines swapped": b"".join([lines[1], lines[0], *lines[2:]]),
        "a line twice": b"".join([*lines[:2], lines[1]]),
        "a line of junk": lines[0] + b"junk\n",
        "a changed line": whole.replace(b"passed", b"failed"),
        "an empty line": lines[0] + b"\n",
    }
    for name, content in forged.items():
        assert read_channel(content, SECRET.key).foreign, name
        reading = read_session(
            Ended(exit_code=1, report=_junit(), channel=content, output=""), SECRET, folder="."
        )
        assert reading.tampering, name
    assert not read_channel(whole, SECRET.key).foreign


def test_a_last_line_that_is_cut_is_no_record(written):
    whole = written({"kind": "began"}, {"kind": "ended", "status": 1})
    channel = read_channel(whole[:-5], SECRET.key)
    assert (len(channel.records), channel.cut, channel.foreign) == (1, True, False)
