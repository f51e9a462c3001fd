"""Questions to people in a running Orchard: refused with a reason, unanswered, asked by project rules."""

import pytest

from core.domain.access import AccessLevel
from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.event import EventKind

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy

FETCH = {"title": "Fetch the rates", "kind": "fetch", "command": "curl rates.example"}


@pytest.fixture
def farm(quick_farm):
    return quick_farm


async def test_why_a_permission_was_refused_reaches_the_next_prompt(farm):
    farm.add("calc")
    honest = farm.script["stories"]["Multiply"]["code_green"]
    farm.script["stories"]["Multiply"]["code_green"] = [
        {
            "when": 'feedback contains "Multiply with *, offline"',
            "then": honest,
            "else": [{"ask": {**FETCH, "then": [], "else": [{"say": "Then I cannot."}]}}],
        }
    ]
    async with farm.running() as orchard:
        await orchard.sprint("calc", "Multiply")
        asked = await orchard.until(EventKind.APPROVAL_REQUESTED)
        await orchard.runtime.commands.answer_approval(
            asked.data["approval"], False, reason="Multiply with *, offline.", actor="discord:7"
        )
        await orchard.until(EventKind.GATE_PASSED, phase="code_green")


async def test_an_unanswered_permission_is_denied_and_the_agent_goes_on_without(farm):
    farm.add("calc")
    farm.settings = {"approvals": {"answer_within_minutes": 0.02, "when_unanswered": "deny"}}
    green = farm.script["stories"]["Multiply"]["code_green"]
    farm.script["stories"]["Multiply"]["code_green"] = [{"ask": {**FETCH, "then": [], "else": green}}]
    async with farm.running() as orchard:
        await orchard.sprint("calc", "Multiply")
        answered = await orchard.until(EventKind.APPROVAL_ANSWERED)
        await orchard.green("calc-1")
    assert (answered.data["kind"], answered.data["by"]) == (ApprovalKind.PERMISSION, "orchard")
    assert "nobody answered within 0.02 minutes" in answered.data["reason"]


async def test_a_deadline_outlives_a_restart_and_the_wider_circle_is_asked(farm):
    farm.add("calc")
    farm.settings = {
        "ai_settings": {"require_human_review": True},
        "approvals": {
            "answer_within_minutes": 0.05,
            "when_unanswered": "escalate",
            "roles": ["qa"],
            "escalate_people": [42],
        },
    }
    async with farm.running() as orchard:
        await orchard.sprint("calc", "Multiply")
        asked = await orchard.until(EventKind.APPROVAL_REQUESTED)
        found = await orchard.runtime.commands.approval(asked.data["approval"])
    assert found.circle.roles == ("qa",)
    assert found.escalation.level is AccessLevel.ADMIN
    assert "require_human_review is on" in found.reasons
    async with farm.running() as orchard:
        escalated = await orchard.until(EventKind.APPROVAL_ESCALATED)
        assert escalated.data["people"] == ["42"]
        await orchard.until(EventKind.APPROVAL_OVERDUE)
        still = await orchard.runtime.commands.approval(found.id)
        assert still.state is ApprovalState.PENDING
        await orchard.runtime.commands.answer_approval(found.id, True, actor="cli")
        await orchard.until(EventKind.STORY_MERGED)


async def test_a_path_that_the_project_named_asks_a_person_and_a_plain_change_says_why_not(farm):
    farm.add("calc")
    farm.settings = {"risk_limits": {"sensitive_paths": {"arithmetic": ["mult*"]}}}
    async with farm.running() as orchard:
        await orchard.sprint("calc", "Multiply", "Subtract")
        asked = await orchard.until(EventKind.APPROVAL_REQUESTED)
        approved = await orchard.until(EventKind.AUTO_APPROVED)
    assert (asked.story_id, asked.data["reasons"]) == ("calc-1", ["touches arithmetic: multiply.py"])
    assert approved.story_id == "calc-2"
    assert "no sensitive path" in approved.data["reasons"][1]
