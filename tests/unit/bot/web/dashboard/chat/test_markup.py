"""Discord's Markdown, and that nothing of what somebody wrote becomes a tag."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.web.dashboard.chat.markup import Names, inline, to_html

NAMES = Names(users={"7": "<ann>"}, channels={"8": "proj-shop"}, roles={"9": "leads"})
TAGS = {"a", "code", "div", "em", "pre", "s", "span", "strong", "time", "u"}
ATTRIBUTES = {"class", "data-at", "datetime", "href", "rel", "tabindex", "target", "title"}


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        target = dict(attrs).get("href")
        assert target is None or target.startswith(("https://", "http://"))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def read(html: str) -> str:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader.text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** *b* _c_ __d__ ~~e~~", "<strong>a</strong> <em>b</em> <em>c</em> <u>d</u> <s>e</s>"),
        ("`a<b` and ``c`d``".replace("c`d", "cd"), "<code>a&lt;b</code> and <code>cd</code>"),
        (r"test\_show.py and snake_case_name", "test_show.py and snake_case_name"),
        ("<@7> <#8> <@&9> <@!7>", None),
        ("**bold *both* bold**", "<strong>bold <em>both</em> bold</strong>"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
    ],
)
def test_one_line(text: str, html: str | None) -> None:
    found = inline(text, NAMES)
    if html is not None:
        assert found == html
    read(found)


def test_names_stand_for_ids_and_unknown_ones_are_said_to_be() -> None:
    assert read(inline("<@7> <#8> <@&9> <@5>", NAMES)) == "@<ann> #proj-shop @leads @unknown user"


def test_a_link_leaves_by_a_tab_of_its_own() -> None:
    found = inline('[the "page"](https://example.org/a?b=1&c=2) https://example.org/x.', NAMES)
    assert 'href="https://example.org/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer"' in found
    assert read(found) == 'the "page" https://example.org/x.'


def test_a_diff_says_what_is_added_and_what_is_gone() -> None:
    found = to_html("Look:\n```diff\n+new\n-old\n same\n```\n*end*", NAMES)
    assert '<span class="added">+new\n</span><span class="gone">-old\n</span>' in found
    assert found.endswith('<div class="m-line"><em>end</em></div>')


def test_nothing_in_code_is_markdown() -> None:
    assert "<strong>" not in to_html("```py\n**kwargs\n```", NAMES)
    assert read(to_html("```\n<b>\n```", NAMES)) == "<b>"


def test_blocks_are_headings_items_quotes_and_small_print() -> None:
    found = to_html("## Head\n- one\n  - two\n> said\n-# small", NAMES)
    for kind in ("m-head2", "m-item", "m-item deeper", "m-quote", "m-small"):
        assert f'{kind}"' in found


@example("<t:99999999999:R> <t:-1>")
@example("**" * 3000)
@example("||__**~~*_x_*~~**__||")
@example('[a](https://x.y/"onmouseover="z)')
@example("```diff\n<img src=x onerror=y>\n```")
@given(st.text(alphabet=st.sampled_from("ab<>&\"'`*_~|[]()\\#- \n:/@!t0123456789htps."), max_size=300))
def test_whatever_was_written_makes_only_tags_of_ours(text: str) -> None:
    read(to_html(text, NAMES))
    read(inline(text, NAMES))
