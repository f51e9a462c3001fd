"""Questions to people, answered once."""

from __future__ import annotations

from core.agents import prompts
from core.domain.access import OPERATOR, Standing
from core.domain.approval import Approval, ApprovalKind, ApprovalState, may_answer
from core.domain.lifecycles import (
    CycleEvent,
    CycleState,
)
from core.errors import NotAllowed
from core.orchestrator.commands.topic import TEXT_LIMIT, Topic, checked
from core.orchestrator.sent_back import tell_sent_back
from core.store import approvals, cycles
from core.store.database import Transaction


class Approvals(Topic):
    async def answer_approval(
        self,
        approval_id: str,
        approve: bool,
        *,
        reason: str = "",
        actor: str,
        standing: Standing = OPERATOR,
    ) -> Approval:
        """The first answer wins. Rejecting needs a reason: the agent works by it.

        Raises NotAllowed, and keeps the attempt in the history, for somebody who may not answer.
        """
        reason = checked("reason", reason, TEXT_LIMIT, required=not approve)

        def answer(tx: Transaction) -> tuple[Approval, str]:
            asked = approvals.get(tx.conn, approval_id)
            if asked.state is not ApprovalState.PENDING:
                raise approvals.too_late(asked)
            if why := may_answer(asked, standing):
                # Not raised here: the attempt is to stay.
                approvals.refuse_attempt(tx, asked, approve=approve, by=actor, level=standing.level, why=why)
                return asked, why
            state = ApprovalState.APPROVED if approve else ApprovalState.REJECTED
            answered = approvals.answer(
                tx, approval_id, state=state, by=actor, reason=reason, level=standing.level
            )
            if answered.kind is ApprovalKind.MERGE:
                _move_story(tx, answered, approve, actor)
            return answered, ""

        answered, why = await self._store.write(answer)
        if why:
            raise NotAllowed(
                "You may not answer this question.",
                why=why,
                hint="Ask one of them; the question in the project's channel stays open, and so does "
                f"`orchard approve {answered.id}` on Orchard's machine.",
            )
        return answered


def _move_story(tx: Transaction, answered: Approval, approve: bool, actor: str) -> None:
    if approve:
        cycles.move(tx, answered.story_id, CycleEvent.PASSED, state=CycleState.REFACTOR)
        return
    back = cycles.move(
        tx,
        answered.story_id,
        CycleEvent.SENT_BACK,
        state=CycleState.REFACTOR,
        feedback=prompts.rejection(answered.reason),
    )
    tell_sent_back(tx, back, CycleState.REFACTOR, answered.reason, actor=actor)
