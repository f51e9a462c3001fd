"""JUnit XML is foreign input."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.evidence import Outcome
from core.errors import InvalidInput
from core.worker import report
from core.worker.report import clean_id, parse_junit

# A busy machine is no reason to fail.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def _suite(cases: str) -> bytes:
    return f"<testsuites><testsuite>{cases}</testsuite></testsuites>".encode()


def test_outcomes_are_told_apart():
    cases = parse_junit(
        _suite(
            '<testcase classname="a" name="ok" time="1,234.5" file="tests/test_a.py"/>'
            '<testcase classname="a" name="bad">'
            '<failure message="assert 1 == 2" type="AssertionError">why</failure></testcase>'
            '<testcase classname="a" name="boom"><error message="KeyError: 3"/></testcase>'
            '<testcase classname="a" name="skip"><skipped/></testcase>'
            '<testcase classname="a" name="xfail"><skipped type="pytest.xfail"/></testcase>'
        )
    )
    assert [(case.id, case.outcome.value) for case in cases] == [
        ("a::ok", "passed"),
        ("a::bad", "failed"),
        ("a::boom", "error"),
        ("a::skip", "skipped"),
        ("a::xfail", "xfailed"),
    ]
    assert cases[0].seconds == 1234.5
    assert cases[0].file == "tests/test_a.py"
    assert cases[1].failure is not None
    assert cases[1].failure.exception == "AssertionError"
    assert cases[2].failure is not None
    assert cases[2].failure.exception == "KeyError"


@pytest.mark.parametrize(
    ("text", "exception", "missing", "owner"),
    [
        ("E   ModuleNotFoundError: No module named 'shop.cart'", "ModuleNotFoundError", "shop.cart", ""),
        ("ImportError: cannot import name 'x' from 'shop' (/a/b.py)", "ImportError", "x", "shop"),
    ],
)
def test_a_missing_name_is_read_from_the_words(text, exception, missing, owner):
    (case,) = parse_junit(
        _suite(f'<testcase name="t"><error message="collection failure">{text}</error></testcase>')
    )
    assert case.failure is not None
    assert (case.failure.exception, case.failure.missing, case.failure.owner) == (exception, missing, owner)
    assert case.failure.when == "collect"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not xml",
        b"<testsuite><testcase></testsuite>",
        b"<html/>",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="no-such-code"?><testsuite/>',
        b'<!DOCTYPE t [<!ENTITY a "aaaa">]><testsuite name="&a;"/>',
        b'<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite name="&a;"/>',
    ],
)
def test_what_is_no_report_is_refused(content):
    with pytest.raises(InvalidInput):
        parse_junit(content)


def test_a_report_beyond_the_limit_is_not_parsed(monkeypatch):
    monkeypatch.setattr(report, "LIMIT_BYTES", 1000)
    with pytest.raises(InvalidInput, match="larger"):
        parse_junit(_suite('<testcase name="x"/>' * 100))


def test_the_same_name_in_two_files_stays_two_tests():
    cases = parse_junit(
        _suite(
            '<testcase classname="test_price" name="t" file="a/test_price.py"/>'
            '<testcase classname="test_price" name="t" file="b/test_price.py"><failure/></testcase>'
        )
    )
    assert {case.id: case.outcome.value for case in cases} == {
        "a/test_price.py::test_price::t": "passed",
        "b/test_price.py::test_price::t": "failed",
    }


def test_numbers_of_duplicates_do_not_depend_on_the_order():
    one = '<testcase classname="c" name="t"/>'
    two = '<testcase classname="c" name="t"><failure/></testcase>'
    assert {case.id: case.outcome for case in parse_junit(_suite(one + two))} == {
        case.id: case.outcome for case in parse_junit(_suite(two + one))
    }


def test_merged_duplicates_take_the_worst_outcome():
    (case,) = parse_junit(_suite('<testcase name="t"/><testcase name="t"><error/></testcase>'), merge=True)
    assert case.outcome is Outcome.ERROR


@calm
@given(st.text(max_size=3000), st.text(max_size=3000))
def test_ids_are_printable_and_bounded(classname, name):
    found = clean_id(classname, name)
    assert 0 < len(found) <= 1000
    assert found.encode()  # no lone surrogates: it travels as JSON and to Discord
    assert "\n" not in found
    assert "\0" not in found


@calm
@given(st.text(min_size=1200, max_size=1500), st.text(min_size=1200, max_size=1500))
def test_long_ids_stay_different(one, other):
    assert (clean_id("", one) == clean_id("", other)) <= (
        one.split() == other.split() or one.strip() == other.strip()
    )


@calm
@given(st.binary(max_size=400))
def test_no_bytes_make_the_parser_fall_over(content):
    with suppress(InvalidInput):
        assert len(parse_junit(b"<testsuite><testcase name='" + content + b"'/></testsuite>")) >= 1
