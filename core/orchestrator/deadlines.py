"""What becomes of questions that nobody answers in time. Silence is never an approval."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from core.clock import Clock
from core.domain.approval import Approval, ApprovalKind, ApprovalState, Lapse, plan_lapse
from core.errors import LostRace
from core.orchestrator.blocking import block
from core.store import approvals, cycles
from core.store.database import Store, Transaction

log = logging.getLogger(__name__)

_CLOCK_WAS_SET = timedelta(seconds=30)  # more than a busy machine is late


class Deadlines:
    """`tick` is called on a timer. Everything is in the rows: a restart goes on where the last life was."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: tuple[datetime, float] | None = None  # the wall clock, and monotonic seconds

    async def tick(self) -> int:
        """Deals with what is due. Returns how many questions that were."""
        jump = self._clock_jump()
        if jump:
            log.warning("the clock was set by %s; deadlines of questions move with it", jump)
            await self._store.write(lambda tx: approvals.shift_due(tx, jump))
        now = self._clock.now()
        due = await self._store.read(lambda conn: approvals.overdue(conn, now))
        done = 0
        for approval in due:
            try:
                done += await self._store.write(partial(_lapsed, approval_id=approval.id))
            except LostRace:
                log.info("%s was answered in its last moment", approval.id)
        return done

    def _clock_jump(self) -> timedelta:
        """By how much the wall clock moved more (or less) than time did, since the last look."""
        now, steady = self._clock.now(), self._clock.monotonic()
        seen, self._seen = self._seen, (now, steady)
        if seen is None:
            return timedelta()
        moved = (now - seen[0]) - timedelta(seconds=steady - seen[1])
        return moved if abs(moved) > _CLOCK_WAS_SET else timedelta()


def _lapsed(tx: Transaction, approval_id: str) -> bool:
    """Whether something was to be done."""
    asked = approvals.get(tx.conn, approval_id)
    match plan_lapse(asked, tx.now):
        case Lapse.REMIND:
            approvals.remind(tx, asked)
        case Lapse.ESCALATE:
            approvals.escalate(tx, asked)
        case Lapse.DENY:
            _deny(tx, asked)
        case None:
            return False
    return True


def _deny(tx: Transaction, asked: Approval) -> None:
    reason = f"nobody answered within {_minutes(asked.within)}"
    denied = approvals.answer(tx, asked.id, state=ApprovalState.REJECTED, by="orchard", reason=reason)
    if denied.kind is not ApprovalKind.MERGE:
        return  # the agent is told, and goes on without
    cycle = cycles.get(tx.conn, denied.story_id)
    assert cycle is not None  # somebody asked to merge it
    # Not sent back: there is nothing for an agent to do better, and it would be asked about again and again.
    block(tx, cycle, f"The merge was denied: {reason}. `/suggest_fix` goes on with it, and asks again.")


def _minutes(within: timedelta | None) -> str:
    minutes = (within or timedelta()).total_seconds() / 60
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"
