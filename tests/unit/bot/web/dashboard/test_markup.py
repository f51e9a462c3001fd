from __future__ import annotations

from bot.web.dashboard.markup import drawn


def test_words_between_backticks_are_code_and_markup_in_them_is_text():
    shown = drawn("trouble", message="No.", why="", hint="`orchard <b>` says it, `half")
    assert "<code>orchard &lt;b&gt;</code> says it, `half" in shown
