"""Tells that a story goes back to an earlier phase: the one event that every way back emits."""

from __future__ import annotations

from typing import Any

from core.domain.event import EventKind
from core.domain.lifecycles import CycleState
from core.domain.story import Cycle
from core.store.transaction import Transaction


def tell_sent_back(
    tx: Transaction, cycle: Cycle, start: CycleState, reason: str, *, actor: str = "orchard", **more: Any
) -> None:
    """`cycle` has moved, and was in `start`; `more` goes into the event's data."""
    tx.emit(
        EventKind.STORY_SENT_BACK,
        project=cycle.project,
        story_id=cycle.story_id,
        actor=actor,
        data={"from": str(start), "to": str(cycle.state), "reason": reason, **more},
    )
