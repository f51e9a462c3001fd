"""What the dashboard reads of others: what browsers say, diffs and transcripts as agents wrote them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bot.web.dashboard.markup import drawn
from bot.web.dashboard.views.diff import diff_of
from bot.web.dashboard.views.said import LONGEST, MOST, said_by
from bot.web.dashboard.views.transcript import transcript_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
LINES = st.text() | st.sampled_from(
    [
        "diff --git a/x b/x",
        "@@ -1,2 +1,2 @@",
        "+<script>alert(1)</script>",
        "- </pre>",
        '09:30:01 agent: <img src=x onerror="alert(1)">',
        "09:30:02 tool: {{ 7 * 7 }}",
        "    </details>",
    ]
)
TAG = re.compile(r"<(/?[a-z0-9]+)")
OURS = {"div", "p", "span", "b", "i", "details", "summary", "pre", "section", "h2", "li", "small"}


@given(JSON | st.fixed_dictionaries({"do": st.text()}, optional={"id": st.text(), "answer": JSON}))
def test_whatever_a_control_says_is_texts_or_nothing(args):
    said = said_by(args)
    assert len(said) <= MOST
    assert all(isinstance(one, str) and len(one) <= LONGEST for pair in said.items() for one in pair)
    assert not said or said["do"] == args["do"]


@given(st.lists(LINES, max_size=20).map("\n".join))
def test_whatever_a_diff_holds_is_shown_as_text(text):
    html = drawn("diffs", base="0" * 40, diff=diff_of(text))
    assert {tag.strip("/") for tag in TAG.findall(html)} <= OURS


@given(st.lists(LINES, max_size=20).map("\n".join))
def test_whatever_an_agent_said_is_shown_as_text(text):
    for entry in transcript_of(text).entries:
        html = drawn("entry", entry=entry, kind="agent")
        assert {tag.strip("/") for tag in TAG.findall(html)} <= OURS
        assert "49" not in html or "49" in entry.head + entry.body + entry.at
