"""What people said to a story while a phase of it ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.agents import prompts
from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.story import Cycle
from core.store import events
from core.store.database import Transaction


def told_meanwhile(tx: Transaction, cycle: Cycle, *, only_unheard: bool = False) -> str:
    """What people said to the story since its phase began, for the next prompt: words to its turn, and why
    something was not allowed (an agent's protocol carries the refusal, and seldom its reason)."""
    return "\n\n".join(words_meanwhile(tx, cycle, only_unheard=only_unheard))


def words_meanwhile(tx: Transaction, cycle: Cycle, *, only_unheard: bool) -> list[str]:
    """The same, one by one, oldest first. `only_unheard`: without what reached the turn itself."""
    lines: list[str] = []
    kinds = (EventKind.PHASE_STARTED, EventKind.STORY_STEERED, EventKind.APPROVAL_ANSWERED)
    for event in reversed(events.latest(tx.conn, story_id=cycle.story_id, kinds=kinds, limit=50)):
        if event.kind is EventKind.PHASE_STARTED:
            break
        if event.kind is EventKind.APPROVAL_ANSWERED:
            if not only_unheard and (denied := _denied(event.data)):
                lines.append(denied)
        elif not (only_unheard and event.data["reached"]):
            lines.append(prompts.said(event.data["text"]))
    return lines[::-1]


def _denied(answer: Mapping[str, Any]) -> str:
    """A refused permission as the agent should read it; empty for every other answer."""
    refused = answer.get("state") == ApprovalState.REJECTED and answer.get("kind") == ApprovalKind.PERMISSION
    if not refused or not answer.get("reason"):
        return ""
    return prompts.not_allowed(answer.get("question", ""), answer["reason"])
