"""Whatever is printed for people, and whoever wrote it, steers no terminal."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bot.cli.terminal import console

NASTY = st.lists(
    st.sampled_from(
        [
            *(
                "\x1b[2J",
                "\x1b]0;title\x07",
                "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
                "\x9b2J",
                "\x1b",
            ),
            *(
                "[bold]",
                "[link=https://evil.example]x[/link]",
                "[/]",
                "[red on white]",
                ":smile:",
                "\r",
                "\b",
            ),
            *("\u202e", "\u2066", "\u200b", "\ufeff", "\x00", "\x85", "\ud800", "a", " ", "\n", "ü", "長"),
            "x" * 3000,
        ]
    ),
    max_size=10,
).map("".join)
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printed(*things: object) -> str:
    stream, kept = io.StringIO(), sys.stdout
    sys.stdout = stream
    try:
        target = console()
    finally:
        sys.stdout = kept
    for thing in things:
        target.print(thing)
    return stream.getvalue()


@settings(max_examples=25, deadline=None)
@given(NASTY)
def test_nothing_that_is_printed_steers(text):
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    table.add_row(Text(text, style="bold"))
    shown = printed(text, Text(text), Panel(text), table, Text.assemble(("a", "red"), text))
    assert not STEERING.search(shown)
    shown.encode()


def test_markup_is_read_as_text():
    assert "[bold]x[/bold] [link=https://a]b[/link] :smile:" in printed(
        "[bold]x[/bold] [link=https://a]b[/link] :smile:"
    )


@given(NASTY)
def test_json_for_programs_steers_no_terminal_and_says_the_same(text):
    from bot.cli.asking import _STEERING

    text = text.replace("\ud800", "")
    said = _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps({"a": text}, ensure_ascii=False))
    assert not STEERING.search(said)
    assert json.loads(said) == {"a": text}


@pytest.mark.parametrize("text", ["✓ done → next", "ünïcode 長い", "a\tb\nc"])
def test_ordinary_text_stays(text):
    assert "".join(text.split()) in "".join(printed(text).split())
