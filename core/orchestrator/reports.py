"""What a worker's report does to the store: one transaction a report, so a crash leaves all of it or none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.domain.approval import ApprovalKind, Asking
from core.domain.event import EventKind
from core.domain.lifecycles import CycleEvent, Phase
from core.domain.risk import RiskLimits, assess
from core.domain.story import Cycle
from core.orchestrator.blocking import block
from core.orchestrator.conflicts import start_again
from core.orchestrator.gate_events import emit_passed, emit_refused
from core.orchestrator.meanwhile import told_meanwhile, words_meanwhile
from core.orchestrator.single_step import stop_after_step
from core.orchestrator.usage_limit import UsagePolicy, pause_for_usage
from core.store import approvals, cycles, gates, leases, merges, stories
from core.store.database import Transaction
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPolicy:
    """What of a project's `ai_settings` decides after a gate."""

    max_auto_retry: int
    auto_approve_low_risk: bool
    require_human_review: bool
    limits: RiskLimits
    max_conflicts: int = 2  # after so many people are asked
    usage: UsagePolicy = field(default_factory=UsagePolicy)
    pauses: bool = True  # at a usage limit; False: who records the report sees to whom that concerns
    starts_again: bool = False  # after a failed start: this agent or another may be started once more
    asking: Asking = field(default_factory=Asking)


def record_phase(tx: Transaction, job: PhaseJob, report: PhaseReport, policy: ReviewPolicy) -> Cycle:
    """Applies a phase's report. Raises LostRace when its lease is no longer the story's."""
    leases.release(tx, report.story_id, report.generation)
    cycle = cycles.get(tx.conn, report.story_id)
    assert cycle is not None  # a lease refers to it
    if report.verdict is not None:
        gates.add(
            tx,
            report.story_id,
            phase=report.phase,
            attempt=cycle.attempt,
            verdict=report.verdict,
            commit=report.head_commit if report.end is PhaseEnd.PASSED else None,
        )
    cycle = _rebased(tx, cycle, job, report)
    if report.end is PhaseEnd.PARKED:
        return _parked(tx, cycle, report)
    if cycle.blocked_reason:
        return cycle  # what it needs went away while it ran: people decide, and this phase comes again
    match report.end:
        case PhaseEnd.PASSED:
            return stop_after_step(tx, _passed(tx, cycle, report, policy), report.phase)
        case PhaseEnd.REFUSED:
            assert report.verdict is not None
            emit_refused(tx, cycle, report.phase, report.verdict)
            return _retry_or_block(tx, cycle, report, report.verdict.explain(), policy)
        case PhaseEnd.AGENT_FAILED:
            return _agent_failed(tx, cycle, job.agent.name, report, policy)
        case PhaseEnd.BLOCKED:
            return block(tx, cycle, f"{report.error} {report.hint}".strip())
        case PhaseEnd.CONFLICT:
            again = start_again(
                tx, cycle, report.conflicts, report.conflict_detail, max_conflicts=policy.max_conflicts
            )
            return stop_after_step(tx, again, report.phase)
        case PhaseEnd.LIMITED:
            if policy.pauses:
                pause_for_usage(
                    tx,
                    cycle.project,
                    agent=job.agent.name,
                    reason=f"{report.error} {report.hint}".strip(),
                    said=report.limited_until,
                    policy=policy.usage,
                )
            return cycles.patch(tx, cycle.story_id, state=cycle.state, session_id=report.session_id)
        case PhaseEnd.CANCELLED:
            return cycle


def _rebased(tx: Transaction, cycle: Cycle, job: PhaseJob, report: PhaseReport) -> Cycle:
    """Where the story stands once the worker took a newer main branch in, whatever became of the phase."""
    if report.rebased_base is None:
        # Asked for, and nothing to do: the story stood there already.
        judged = report.end in (PhaseEnd.PASSED, PhaseEnd.REFUSED) and not report.rebase_put_off
        if judged and job.rebase_onto is not None and cycle.rebase_onto == job.rebase_onto:
            return cycles.patch(tx, cycle.story_id, state=cycle.state, rebase_onto=None)
        return cycle
    merged = merges.of_candidate(tx.conn, report.rebased_base)
    tx.emit(
        EventKind.STORY_REBASED,
        project=cycle.project,
        story_id=cycle.story_id,
        data={"onto": report.rebased_base, "after": merged.story_id if merged else None},
    )
    return cycles.patch(
        tx,
        cycle.story_id,
        state=cycle.state,
        base_commit=report.rebased_base,
        red_commit=report.rebased_red if cycle.red_commit else None,
        head_commit=report.rebased_head,
        # Another story may have been merged while this phase ran; then there is more to take in.
        rebase_onto=None if cycle.rebase_onto == report.rebased_base else cycle.rebase_onto,
    )


def _parked(tx: Transaction, cycle: Cycle, report: PhaseReport) -> Cycle:
    """The same attempt goes on later, in its files and its session, with all that was said to it so far."""
    words = words_meanwhile(tx, cycle, only_unheard=False)
    unkept = [word for word in words if word not in cycle.feedback]
    tx.emit(
        EventKind.STORY_PARKED,
        project=cycle.project,
        story_id=cycle.story_id,
        data={
            "phase": str(report.phase),
            "taker": report.parked_for,
            "reason": report.parked_reason,
        },
    )
    return cycles.patch(
        tx,
        cycle.story_id,
        state=cycle.state,
        parked=True,
        session_id=report.session_id,
        # Its files stand on this commit, whatever the main branch does meanwhile.
        base_commit=cycle.base_commit or report.base_commit,
        feedback="\n\n".join(part for part in (cycle.feedback, *unkept) if part),
    )


def _agent_failed(
    tx: Transaction, cycle: Cycle, agent: str, report: PhaseReport, policy: ReviewPolicy
) -> Cycle:
    said = f"{report.error} {report.hint}".strip()
    data = {"phase": str(report.phase), "attempt": cycle.attempt, "summary": said, "agent": agent}
    tx.emit(
        EventKind.AGENT_FAILED,
        project=cycle.project,
        story_id=cycle.story_id,
        actor="agent",
        data=data if report.began else {**data, "began": False},
    )
    if not report.began and policy.starts_again:
        return cycle  # nobody has worked at the story: the attempt is still to be made
    return _retry_or_block(tx, cycle, report, said, policy)


def _passed(tx: Transaction, cycle: Cycle, report: PhaseReport, policy: ReviewPolicy) -> Cycle:
    assert report.verdict is not None
    emit_passed(tx, cycle, report.phase, report.verdict, report.head_commit)
    facts: dict[str, Any] = {
        "head_commit": report.head_commit,
        "session_id": report.session_id,
        "feedback": told_meanwhile(tx, cycle, only_unheard=True),
        "by_hand": False,
    }
    if report.phase is Phase.DESIGN:
        facts |= {"base_commit": report.base_commit, "spec": report.spec or cycle.spec}
    if report.phase is Phase.TEST_RED:
        # After a conflict there was no base: the worker took the main branch's commit.
        facts |= {"red_commit": report.head_commit, "base_commit": report.base_commit}
    if report.phase is not Phase.REFACTOR:
        return cycles.move(tx, cycle.story_id, CycleEvent.PASSED, state=cycle.state, **facts)
    if facts["feedback"]:
        # No agent works after this phase: it comes again, so that nothing is merged past what a person said.
        return cycles.patch(tx, cycle.story_id, state=cycle.state, **facts)
    risk = assess(report.changes, policy.limits)
    if policy.auto_approve_low_risk and risk.low and not policy.require_human_review:
        tx.emit(
            EventKind.AUTO_APPROVED,
            project=cycle.project,
            story_id=cycle.story_id,
            data={"reasons": list(risk.reasons)},
        )
        return cycles.move(tx, cycle.story_id, CycleEvent.PASSED, state=cycle.state, **facts)
    moved = cycles.patch(tx, cycle.story_id, state=cycle.state, **facts)
    reasons = risk.reasons if not risk.low else (_why_asked(policy),)
    story = stories.get(tx.conn, cycle.story_id)
    approvals.ask(
        tx,
        project=cycle.project,
        story_id=cycle.story_id,
        kind=ApprovalKind.MERGE,
        subject=f"merge:{cycle.story_id}",
        question=f"Merge {story.id}: {story.title}?",
        detail=report.diff,
        reasons=reasons,
        asking=policy.asking,
    )
    return moved


def _why_asked(policy: ReviewPolicy) -> str:
    if policy.require_human_review:
        return "require_human_review is on"
    return "auto_approve_low_risk is off"


def _retry_or_block(
    tx: Transaction, cycle: Cycle, report: PhaseReport, said: str, policy: ReviewPolicy
) -> Cycle:
    feedback = "\n\n".join(part for part in (said, told_meanwhile(tx, cycle)) if part)
    if cycle.attempt > policy.max_auto_retry:
        tried = "once" if cycle.attempt == 1 else f"{cycle.attempt} times"
        # Whoever goes on with it, helped by a person, works by this last refusal too.
        cycles.patch(tx, cycle.story_id, state=cycle.state, feedback=feedback, by_hand=False)
        return block(tx, cycle, f"{report.phase} was tried {tried}. The last refusal:\n{said}")
    cycles.patch(tx, cycle.story_id, state=cycle.state, by_hand=False)
    return cycles.retry(
        tx, cycle.story_id, state=cycle.state, feedback=feedback, session_id=report.session_id
    )
