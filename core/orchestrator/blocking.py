"""A story that cannot go on without people: they are told why, and what was tried."""

from __future__ import annotations

import sqlite3
from typing import Any

from core.domain.event import EventKind
from core.domain.story import Cycle
from core.orchestrator.sprint_end import settle_sprint
from core.store import cycles, events
from core.store.transaction import Transaction

_SAID_CHARACTERS = 1000  # of what one try came to
_TRIES = frozenset({EventKind.GATE_REFUSED, EventKind.AGENT_FAILED})
_FRESH_STARTS = frozenset({EventKind.GATE_PASSED, EventKind.STORY_SENT_BACK, EventKind.STORY_UNBLOCKED})


def block(tx: Transaction, cycle: Cycle, reason: str, **data: Any) -> Cycle:
    """Out of retries, or nothing a worker can mend: people are asked. `data` goes into the event."""
    blocked = cycles.block(tx, cycle.story_id, state=cycle.state, reason=reason)
    tx.emit(
        EventKind.STORY_BLOCKED,
        project=cycle.project,
        story_id=cycle.story_id,
        data={
            "phase": str(cycle.state),
            "reason": reason,
            "tried": cycle.attempt,
            "tried_list": tried(tx.conn, cycle.story_id),
            **data,
        },
    )
    settle_sprint(tx, cycle.project)
    return blocked


def tried(conn: sqlite3.Connection, story_id: str) -> list[dict[str, Any]]:
    """What each attempt came to since the story last got on, was sent back or was helped, oldest first.

    Each is phase, attempt, at (ISO time), by ("gate" or "agent") and said.
    """
    kinds = _TRIES | _FRESH_STARTS
    found: list[dict[str, Any]] = []
    for event in reversed(events.latest(conn, story_id=story_id, kinds=kinds, limit=200)):
        if event.kind in _FRESH_STARTS:
            break
        found.append(
            {
                "phase": event.data["phase"],
                "attempt": event.data["attempt"],
                "at": event.at.isoformat(),
                "by": event.actor,
                "said": str(event.data["summary"])[:_SAID_CHARACTERS],
            }
        )
    return found[::-1]
