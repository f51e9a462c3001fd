"""A story that no longer fits on the main branch: the agent gets both sides, then people do."""

from __future__ import annotations

from collections.abc import Sequence

from core.agents import prompts
from core.domain.lifecycles import CycleEvent
from core.domain.story import Cycle
from core.orchestrator.blocking import block
from core.orchestrator.sent_back import tell_sent_back
from core.store import cycles
from core.store.transaction import Transaction


def start_again(
    tx: Transaction, cycle: Cycle, files: Sequence[str], detail: str, *, max_conflicts: int
) -> Cycle:
    """Back to red, on the new main branch. `detail` is both sides of each conflict, for the next prompt.

    After `max_conflicts` of them people are asked, and shown both sides.
    """
    count = cycle.conflicts + 1
    named = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    reason = f"the main branch changed the same lines: {named}"
    moved = cycles.move(
        tx,
        cycle.story_id,
        CycleEvent.CONFLICTED,
        state=cycle.state,
        base_commit=None,
        red_commit=None,
        head_commit=None,
        rebase_onto=None,
        by_hand=False,
        conflicts=count,
        feedback=prompts.conflict(files, detail),
    )
    tell_sent_back(tx, moved, cycle.state, reason, conflicts=count)
    if count < max_conflicts:
        return moved
    times = "once" if count == 1 else f"{count} times"
    return block(
        tx,
        moved,
        f"It conflicted with the main branch {times}; the last time, {reason}.\n{detail}",
        conflicts=list(files),
        conflict_detail=detail,
    )
