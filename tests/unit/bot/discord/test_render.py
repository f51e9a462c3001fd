from dataclasses import replace
from datetime import UTC, datetime

from bot.discord import render
from cogs.message import fit
from core.domain.approval import Approval, ApprovalKind, ApprovalState

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
ASKED = Approval(
    id="approval_0123456789ab",
    project="shop",
    story_id="shop-1",
    kind=ApprovalKind.MERGE,
    question="Merge shop-1: Add a basket?",
    detail="--- a/x.py\n+++ b/x.py\n+print(1)\n",
    reasons=("changes 300 lines of code, more than 200",),
    subject="merge:shop-1",
    state=ApprovalState.PENDING,
    asked_at=AT,
)


def test_a_pending_approval_shows_the_diff_the_reasons_and_both_buttons() -> None:
    message = render.approval(ASKED, "Add a basket")
    assert [(b.verb, b.target) for b in message.buttons] == [
        ("approve", "approval_0123456789ab"),
        ("reject", "approval_0123456789ab"),
    ]
    assert "+print(1)" in message.cards[0].body
    assert "300 lines" in message.cards[0].fields[0].value
    assert not message.attachments


def test_an_answered_approval_says_who_what_and_why_and_has_no_buttons() -> None:
    answered = replace(
        ASKED, state=ApprovalState.REJECTED, answered_by="discord:42", reason="*ugly*", answered_at=AT
    )
    message = render.approval(answered)
    assert not message.buttons
    assert "**Rejected** by <@42>" in message.cards[0].fields[-1].value
    assert r"\*ugly\*" in message.cards[0].fields[-1].value


def test_a_long_diff_is_attached_whole() -> None:
    detail = "+line\n" * 5000
    message = fit(render.approval(replace(ASKED, detail=detail)))
    assert [a.name for a in message.attachments] == ["shop-1.diff"]
    assert message.attachments[0].text == detail
    assert "shop-1.diff" in message.cards[0].body


def test_a_diff_with_fences_is_attached_as_it_is() -> None:
    detail = "+```\n+@everyone\n+```\n"
    message = render.approval(replace(ASKED, detail=detail))
    assert message.attachments[0].text == detail
    assert message.cards[0].body.count("```") == 2


def test_people_outside_discord_are_named() -> None:
    assert render.who("cli") == "the command line"
    assert render.who("discord:7") == "<@7>"
    assert render.who("discord:<@&9>") == r"discord:\<@&9\>"
    assert render.who(None) == "somebody"


def test_a_thread_is_named_after_its_story() -> None:
    assert render.thread_name("shop-1", "Add\na basket") == "shop-1 Add a basket"
    assert len(render.thread_name("shop-1", "x" * 300)) == 100
