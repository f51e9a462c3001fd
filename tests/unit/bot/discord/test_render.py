from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.discord import render
from cogs.message import fit
from core.domain.access import AccessLevel
from core.domain.approval import Approval, ApprovalKind, ApprovalState, Circle, Unanswered

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


def shown(asked: Approval) -> dict[str, str]:
    """The fields of its card."""
    return {field.name: field.value for field in render.approval(asked).cards[0].fields}


def test_a_question_says_who_may_answer_without_pinging_them() -> None:
    circle = Circle(roles=("77", "*qa*"), people=("42",))
    asked = replace(ASKED, circle=circle, escalation=Circle(level=AccessLevel.OWNER))
    message = render.approval(asked)
    assert shown(asked)["Who may answer"] == r"<@&77>, **@\*qa\***, <@42>, who manages this server"
    assert message.text == ""  # only a message's own text pings
    escalated = shown(replace(asked, escalated_at=AT))["Who may answer"]
    assert escalated.endswith(", the owner of this server")
    assert shown(ASKED)["Who may answer"] == "who may steer Orchard"


@pytest.mark.parametrize(
    ("unanswered", "then"),
    [
        (Unanswered.WAIT, "you are reminded once, and it stays open."),
        (Unanswered.DENY, "it is denied."),
        (Unanswered.ESCALATE, "these are asked as well: <@42>, who manages this server."),
    ],
)
def test_a_question_says_until_when_and_what_then(unanswered: Unanswered, then: str) -> None:
    wider = Circle(level=AccessLevel.ADMIN, people=("42",))
    asked = replace(ASKED, due_at=AT, unanswered=unanswered, escalation=wider)
    said = shown(asked)["Until when"]
    assert f"<t:{int(AT.timestamp())}:R>" in said
    assert said.endswith(f"Unanswered by then, {then}")
    assert "it stays open" in shown(ASKED)["Until when"]
    answered = replace(asked, state=ApprovalState.APPROVED, answered_at=AT, answered_by="cli")
    assert {"Until when", "Who may answer"}.isdisjoint(shown(answered))


@pytest.mark.parametrize("named", [0, 1, 500])
def test_a_question_fits_however_many_may_answer(named: int) -> None:
    many = tuple(str(10**18 + n) for n in range(named))
    circle = Circle(roles=many, people=many)
    asked = replace(ASKED, circle=circle, escalation=circle, detail="+line\n" * 5000)
    message = fit(render.approval(asked))
    assert [file.name for file in message.attachments] == ["shop-1.diff"]
    if named == 500:
        assert "960 more" in shown(asked)["Who may answer"]


def test_who_may_not_is_told_who_may() -> None:
    card = render.may_not(ASKED, frozenset({"dev", "@everyone"})).cards[0]
    assert "`shop-1`" in card.body
    assert "@everyone" not in card.fields[1].value
    assert "dev" in card.fields[1].value


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
    assert render.who("discord:<@&9>") == "discord:\\<@\u200b&9\\>"
    assert render.who(None) == "somebody"


def test_a_thread_is_named_after_its_story() -> None:
    assert render.thread_name("shop-1", "Add\na basket") == "shop-1 Add a basket"
    assert len(render.thread_name("shop-1", "x" * 300)) == 100
