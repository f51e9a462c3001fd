"""A story of which a person asked for one phase only."""

from __future__ import annotations

from core.domain.event import EventKind
from core.domain.lifecycles import Phase
from core.domain.story import Cycle, Hold
from core.orchestrator.sprint_end import settle_sprint
from core.store import cycles
from core.store.database import Transaction


def stop_after_step(tx: Transaction, cycle: Cycle, phase: Phase) -> Cycle:
    """A person asked for one phase only: it is over, so the story waits for them."""
    if cycle.hold is not Hold.STEP or cycle.state.phase is None:
        return cycle
    stopped = cycles.patch(tx, cycle.story_id, state=cycle.state, hold=Hold.STOPPED.value)
    tx.emit(
        EventKind.STORY_STOPPED,
        project=cycle.project,
        story_id=cycle.story_id,
        data={"by": cycle.held_by, "after": str(phase)},
    )
    settle_sprint(tx, cycle.project)
    return stopped
