from __future__ import annotations

import base64
import html
import json
import shlex
from urllib.parse import quote, quote_plus, urlencode

from hypothesis import given
from hypothesis import strategies as st

from core.agents.redaction import Redactor

VALUES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=10, max_size=30).filter(
    lambda value: len(value.strip()) >= 10 and "redacted" not in value
)


@given(VALUES, st.binary(max_size=7), st.binary(max_size=7))
def test_a_value_is_found_in_base_64_wherever_it_stands(value, before, after):
    redactor = Redactor([value])
    data = before + value.encode() + after
    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        assert "[redacted" in redactor.text(f"x {text.decode()} y")


@given(VALUES)
def test_a_value_is_found_as_programs_write_it(value):
    redactor = Redactor([value])
    data = value.encode()
    written = [
        value,
        json.dumps(value),
        json.dumps({"a": json.dumps({"b": value})}),
        repr(value),
        html.escape(value),
        shlex.quote(value),
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        urlencode({"a": value}),
        data.hex(),
        data.hex().upper(),
    ]
    for text in written:
        assert "[redacted" in redactor.text(f"x {text} y"), text


def test_each_long_line_of_a_value_counts():
    redactor = Redactor(["-----BEGIN X-----\nfirst-line-of-a-secret\nab\nsecond-line-of-a-secret\n"])
    told = redactor.text("  1 first-line-of-a-secret\n  2 ab\n  3 second-line-of-a-secret")
    assert "line-of" not in told
    assert "  2 ab\n" in told


@given(VALUES, st.integers(6, 9))
def test_a_cut_text_shows_no_part_of_a_value(value, size):
    redactor = Redactor([value])
    assert not redactor.cut_text(value[-size:] + " rest").startswith(value[-size:])
    assert not redactor.cut_text("begin " + value[:size]).endswith(value[:size])
