"""Rendered by a Markdown of GitHub's dialect, words from outside are only words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.domain.untrusted import one_line, visible
from core.domain.wording import cleaned
from core.github import quoting

_GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_DOES_SOMETHING = re.compile(
    r"@[\w-]|#\d|\bgh-\d|\b[a-z][a-z0-9+.-]*://|\bwww\.\w|\b(?:mailto|xmpp):\S", re.IGNORECASE
)
_NASTY = st.text(
    st.sampled_from("@#<>&;[]()!*_`~$|\\ \n\t-+=.:/1a9dgh\u200b\u202e" + "é"), min_size=1, max_size=60
) | st.text(max_size=80)
_SAYINGS = (
    "@ann look",
    "fixes #1, closes o/r#2 and GH-3",
    "<script>alert(1)</script> <!-- orchard:story shop-9 --> <img src=x onerror=y>",
    "https://github.com/o/r/issues/1 and www.example.com, mail a@b.example, mailto:a@b.example",
    "[click](https://evil.example) ![pixel](https://evil.example/p.png)",
    "# not a heading",
    "1. not a list",
    "---",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "```\n@ann\n```",
    "$\\href{javascript:x}{y}$",
    "&commat;ann &#64;ann &lt;b&gt;",
    "    code by its indent, @ann",
    "o/r@0123abcd0123abcd0123abcd0123abcd0123abcd and 0123abcd0",
    "a\u202eb",
    "`@ann` \\@ann \\`@ann",
)


def tokens(text: str) -> list[Token]:
    return [inner for token in _GITHUB.parse(text) for inner in (token, *(token.children or ()))]


def read(text: str) -> str:
    """What stands on the page, lines as lines."""
    shown = {"softbreak": "\n", "hardbreak": "\n"}
    return "".join(
        shown.get(token.type, token.content if token.type in ("text", "code_inline", "text_special") else "")
        for token in tokens(text)
    )


def does_nothing(text: str) -> None:
    kinds = {token.type for token in tokens(text)}
    assert kinds <= {
        "paragraph_open", "paragraph_close", "inline", "text", "text_special", "softbreak", "hardbreak"
    }  # fmt: skip
    assert not _DOES_SOMETHING.search(read(text))


@pytest.mark.parametrize("said", _SAYINGS)
def test_a_line_does_nothing_and_reads_as_it_was_typed(said: str) -> None:
    quoted = quoting.line(said)
    does_nothing(quoted)
    assert read(quoted).replace("\u200b", "") == one_line(said)


@given(_NASTY)
def test_no_line_does_anything(said: str) -> None:
    quoted = quoting.line(said, 500)
    does_nothing(quoted)
    assert read(quoted).replace("\u200b", "") == one_line(said, 500)


@given(_NASTY)
def test_no_paragraph_does_anything(said: str) -> None:
    quoted = quoting.paragraphs(said)
    does_nothing(quoted)
    words = visible(said).split()
    assert read(quoted).replace("\u200b", "").split() == words or "\n\n" in quoted


@given(_NASTY)
def test_a_quotation_is_left_by_nothing(said: str) -> None:
    quoted = quoting.quotation(said)
    assert all(each.startswith(">") for each in quoted.split("\n"))
    outer = [token for token in _GITHUB.parse(quoted) if token.level == 0]
    assert [token.type for token in outer] == ["blockquote_open", "blockquote_close"]
    assert not any("html" in token.type or "link" in token.type for token in tokens(quoted))
    assert not _DOES_SOMETHING.search(read(quoted))


@given(_NASTY)
def test_a_cell_stays_one_cell(said: str) -> None:
    table = f"| a | b |\n|:--|:--|\n| {quoting.line(said)} | {quoting.code(said)} |"
    cells = [token for token in tokens(table) if token.type == "td_open"]
    assert len(cells) == 2
    assert not any("html" in token.type or "link" in token.type for token in tokens(table))


@given(_NASTY)
def test_code_is_code_and_nothing_else(said: str) -> None:
    kinds = [token.type for token in tokens(f"before {quoting.code(said)} after")]
    assert kinds.count("code_inline") == 1
    assert set(kinds) == {"paragraph_open", "inline", "text", "code_inline", "paragraph_close"}


def test_a_link_is_made_of_whole_addresses_only() -> None:
    assert quoting.link("#12", "https://github.com/o/r/pull/12") == "[#12](https://github.com/o/r/pull/12)"
    for address in ("javascript:alert(1)", "https://x) [y](https://z", "https://x y", "", "https://x\n> z"):
        assert quoting.link("checks", address) == "checks"


def test_a_commit_is_shown_short_and_what_is_none_as_it_is() -> None:
    name = "c1d2e3f4" * 5
    assert quoting.commit(name) == "`c1d2e3f`"
    assert quoting.commit(name, "https://h/o/r") == f"[`c1d2e3f`](https://h/o/r/commit/{name})"
    assert quoting.commit("](https://evil)", "https://h/o/r") == "`](https://evil)`"


def test_words_that_look_like_a_commit_stay_whole() -> None:
    assert quoting.line("effaced the facade 1234567") == "effaced the facade 1234567"


def test_long_words_are_cut_before_they_are_escaped() -> None:
    assert quoting.line("*" * 300, 10) == "\\*" * 9 + "…"


@given(_NASTY)
def test_a_body_keeps_its_markdown_and_reads_back_as_it_was(said: str) -> None:
    written = quoting.inert(said)
    assert not {"html_inline", "html_block", "link_open", "image"} & {token.type for token in tokens(written)}
    shown = [token.content for token in tokens(written) if token.type == "text"]
    assert not any(_DOES_SOMETHING.search(text) for text in shown)
    assert cleaned(written) == cleaned(visible(said.replace("\u200b", "")))
    assert quoting.inert(written) == written
