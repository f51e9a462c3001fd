"""Questions to people, answered once."""

from __future__ import annotations

from core.domain.approval import Approval, ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.lifecycles import (
    CycleEvent,
    CycleState,
)
from core.orchestrator.commands.topic import TEXT_LIMIT, Topic, checked
from core.store import approvals, cycles
from core.store.database import Transaction


class Approvals(Topic):
    async def answer_approval(
        self, approval_id: str, approve: bool, *, reason: str = "", actor: str
    ) -> Approval:
        """The first answer wins. Rejecting needs a reason: the agent works by it."""
        reason = checked("reason", reason, TEXT_LIMIT, required=not approve)

        def answer(tx: Transaction) -> Approval:
            answered = approvals.answer(
                tx,
                approval_id,
                state=ApprovalState.APPROVED if approve else ApprovalState.REJECTED,
                by=actor,
                reason=reason,
            )
            if answered.kind is not ApprovalKind.MERGE:
                return answered
            if approve:
                cycles.move(tx, answered.story_id, CycleEvent.PASSED, state=CycleState.REFACTOR)
                return answered
            cycles.move(
                tx,
                answered.story_id,
                CycleEvent.SENT_BACK,
                state=CycleState.REFACTOR,
                feedback=f"A person rejected the change: {reason}",
            )
            tx.emit(
                EventKind.STORY_SENT_BACK,
                project=answered.project,
                story_id=answered.story_id,
                actor=actor,
                data={
                    "from": str(CycleState.REFACTOR),
                    "to": str(CycleState.CODE_GREEN),
                    "reason": reason,
                },
            )
            return answered

        return await self._store.write(answer)
