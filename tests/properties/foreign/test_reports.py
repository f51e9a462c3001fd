"""What a test run leaves behind, also where the code under test has found the key that its channel is signed
with: a reading, never an error of ours."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.evidence import RunState
from core.worker.runners import gofailure, javafailure, rustfailure
from core.worker.runners.contract import Ended, Reading, Secret
from core.worker.runners.guarded import read_guarded
from core.worker.runners.jsfailure import read_failure
from core.worker.runners.jssession import read_js_session
from core.worker.runners.nodesession import read_node_session
from core.worker.runners.programs import read_programs
from core.worker.runners.session import FOREIGN, read_channel, read_session
from core.worker.runners.surefiresession import read_surefire
from core.worker.runners.unittestsession import read_unittest

KEY = b"k" * 32
SECRET = Secret(failing="test_red_9", passing="test_green_9", key=KEY)
WORDS = st.sampled_from(
    [
        "",
        "a",
        "..",
        "/",
        "test_red_9",
        "test_green_9",
        "tests/test_a.py::test_b",
        "passed",
        "failed",
        "\0",
        "\ud800",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(), WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(WORDS, st.deferred(lambda: NAMES)), inner, max_size=4),
    ),
    max_leaves=6,
)
KINDS = st.sampled_from(
    [
        "began",
        "ended",
        "test",
        "file",
        "file ended",
        "phase",
        "report",
        "flooded",
        "internal",
        "exit",
        "stopped",
        "broken",
        "unbuilt",
        "put back",
        "module",
        "maven",
        "case",
        "outcome",
    ]
)
NAMES = st.sampled_from(
    [
        "id",
        "nodeid",
        "when",
        "outcome",
        "status",
        "text",
        "file",
        "failing",
        "passing",
        "names",
        "skip",
        "todo",
        "error",
        "stderr",
        "unit",
        "errors",
        "output",
        "code",
        "why",
        "files",
        "changed",
        "message",
        "name",
        "lied",
        "failure",
        "exception",
        "detail",
        "classes",
        "path",
        "seconds",
        "cases",
        "report",
        "tests",
        "subtests",
    ]
)
RECORDS = st.lists(
    st.one_of(
        st.builds(
            lambda kind, rest: {**rest, "kind": kind}, KINDS, st.dictionaries(NAMES, VALUES, max_size=8)
        ),
        VALUES,
    ),
    max_size=6,
)


def channel(records: list[object]) -> bytes:
    """As Orchard's own plugins sign it."""
    last, lines = b"", []
    for record in records:
        payload = json.dumps(record).encode()
        last = hmac.new(KEY, last + payload, hashlib.sha256).hexdigest()[:32].encode()
        lines.append(last + b" " + payload + b"\n")
    return b"".join(lines)


READERS = {
    "pytest": lambda ended: read_session(ended, SECRET, folder="."),
    "unittest": lambda ended: read_unittest(ended, SECRET, folder="."),
    "node": lambda ended: read_node_session(ended, SECRET, cwd="/w", checkout="/w"),
    "jest": lambda ended: read_js_session(ended, SECRET, tool="jest", cwd="/w", checkout="/w"),
    "vitest": lambda ended: read_js_session(ended, SECRET, tool="vitest", cwd="/w", checkout="/w"),
    "surefire": lambda ended: read_surefire(ended, SECRET),
    "cargo": lambda ended: read_programs(
        ended, SECRET, tool="cargo", why_broken=rustfailure.why_broken, why_failed=rustfailure.why_failed
    ),
    "go": lambda ended: read_programs(
        ended, SECRET, tool="go", why_broken=gofailure.why_broken, why_failed=gofailure.why_failed
    ),
}

TOOLS = st.sampled_from(sorted(READERS))


@given(
    tool=TOOLS,
    records=RECORDS,
    code=st.sampled_from([0, 1, 2, 137]),
    report=st.one_of(st.none(), st.just(b"{}"), st.just(b"<testsuite/>"), st.binary(max_size=20)),
)
def test_any_signed_channel_is_a_reading(tool: str, records, code: int, report: bytes | None) -> None:
    ended = Ended(exit_code=code, report=report, channel=channel(records), output="out\n")

    reading = read_guarded(lambda: READERS[tool](ended))

    assert isinstance(reading, Reading)
    assert reading.state in RunState
    for result in reading.results:
        assert all(isinstance(text, str) for text in (result.id, result.message, result.detail))


@given(
    tool=TOOLS, content=st.one_of(st.binary(max_size=60), RECORDS.map(lambda records: channel(records)[:-9]))
)
def test_any_unsigned_channel_counts_for_nothing(tool: str, content: bytes) -> None:
    ended = Ended(exit_code=1, report=None, channel=content + b"\n", output="")

    reading = read_guarded(lambda: READERS[tool](ended))

    assert reading.state is not RunState.COMPLETED
    assert reading.results == ()


@pytest.mark.parametrize(
    "payload", [b"[]", b"1", b"{", b'{"a": 1}', b'{"kind": []}', b"[" * 100_000, b"\xff"]
)
def test_what_is_signed_and_no_record_is_foreign(payload: bytes) -> None:
    mac = hmac.new(KEY, payload, hashlib.sha256).hexdigest()[:32].encode()

    assert read_channel(mac + b" " + payload + b"\n", KEY).foreign


def test_a_fault_of_a_reader_is_tampering_and_not_an_error() -> None:
    def fault() -> Reading:
        raise KeyError("names")

    assert read_guarded(fault) == Reading(state=RunState.CRASHED, tampering=(FOREIGN,))


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "thread 'main' panicked at ",
                "assertion `left == right` failed",
                "--- FAIL: ",
                "panic: ",
                "\tat a.B(",
                ".java:3)",
                "error[E0425]: ",
                "cannot find ",
                "undefined: ",
                "goroutine 1 [running]:",
                "src/lib.rs:1:1",
                "'",
                "`",
                "\n",
                "(",
                "::",
                "Cannot find module './",
                "SyntaxError: ",
                "is not a function",
                "    at ",
                "file:///w/a.js:1:2",
            ]
        ),
        st.text(max_size=8),
    ),
    max_size=10,
).map("".join)


@given(text=TEXTS, code=st.integers(-10, 140))
def test_any_words_of_a_failed_program_are_a_failure(text: str, code: int) -> None:
    assert rustfailure.why_failed(text, code).exception
    assert gofailure.why_failed(text, code).exception
    assert isinstance(javafailure.files_of_trace(text, {"a.B": "src/a/B.java"}), tuple)
    for name in ("SyntaxError", text):
        error = {"name": name, "message": text, "stack": text, "code": text}
        assert read_failure(error, path="/w/a.js", cwd="/w", checkout="/w", when="running") is not None
