import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogs.text import code, count, cut, fence, length, one_line, plain, told, visible


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("@everyone", "@\u200beveryone"),
        ("hi @HERE", "hi @\u200bHERE"),
        ("<@123> <@&4> <#5>", "\\<@\u200b123\\> \\<@\u200b&4\\> \\<#5\\>"),
        ("**bold** _it_ ~~x~~ ||secret||", r"\*\*bold\*\* \_it\_ \~\~x\~\~ \|\|secret\|\|"),
        ("[text](http://x)", r"\[text\](http://x)"),
        ("# big", r"\# big"),
        ("a\n- item\n1. one\n-# small", "a\n\\- item\n1\\. one\n\\-# small"),
        ("no - list # here", "no - list # here"),
        ("```js\nx```", "\\`\\`\\`js\nx\\`\\`\\`"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_outside_text_reads_as_typed(typed: str, shown: str) -> None:
    assert plain(typed) == shown


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("a\x1b[31mb", "a␛[31mb"),
        ("abc\u202etxt.exe", "abc[U+202E]txt.exe"),
        ("zero\u200bwidth", "zero[U+200B]width"),
        ("tag\U000e0041", "tag[U+E0041]"),
        ("del\x7f c1\x85", "del␡ c1[U+0085]"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("lone\ud800", "lone\ufffd"),
    ],
)
def test_hidden_characters_are_spelled_out(typed: str, shown: str) -> None:
    assert visible(typed) == shown


def test_a_sentence_names_people_as_discord_does() -> None:
    assert told("by discord:1573714418007670784. <@1>") == "by <@1573714418007670784>. \\<@\u200b1\\>"
    assert told("discord:42") == "discord:42"


def test_a_code_block_cannot_be_left_from_inside() -> None:
    block = fence("x\n```\n@everyone\n```", "diff")
    assert block.count("```") == 2
    assert block.startswith("```diff\n")
    assert block.endswith("\n```")


def test_inline_code_has_no_backtick_of_its_own() -> None:
    assert code("a`b\nc") == "`a\u02cbb c`"
    assert code("") == "` `"


def test_cutting_counts_as_discord_does() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert length("🙂") == 2
    assert length(cut("🙂" * 10, 7)) <= 7


@given(st.text(max_size=300))
def test_no_text_leaves_a_fence_or_pings(text: str) -> None:
    assert fence(text).count("```") == 2
    assert not re.search("@(everyone|here)", plain(text), re.IGNORECASE)
    assert length(fence(text, limit=60)) <= 60
    assert "\n" not in one_line(text)
    plain(text).encode("utf-8")


@given(st.text(max_size=100), st.integers(1, 100))
def test_a_cut_text_fits(text: str, limit: int) -> None:
    assert length(cut(text, limit)) <= limit


def test_one_is_no_many() -> None:
    assert [count(n, "story", "stories") for n in (0, 1, 2)] == ["0 stories", "1 story", "2 stories"]
    assert (count(1, "point"), count(3, "point")) == ("1 point", "3 points")
