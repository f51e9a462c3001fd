"""What a worker's report does to the store: one transaction a report, so a crash leaves all of it or none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from core.domain.approval import ApprovalKind, Asking
from core.domain.event import EventKind
from core.domain.evidence import Refusal, Verdict
from core.domain.lifecycles import CycleEvent, CycleState, Phase, WorkflowFact, WorkflowState
from core.domain.risk import RiskLimits, assess
from core.domain.story import OVER, Cycle, StoryState
from core.store import approvals, cycles, gates, leases, merges, projects, sprints, stories
from core.store.database import Transaction
from core.worker.contract import MergeReport, PhaseEnd, PhaseReport

_REFUSALS = TypeAdapter(tuple[Refusal, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPolicy:
    """What of a project's `ai_settings` decides after a gate."""

    max_auto_retry: int
    auto_approve_low_risk: bool
    require_human_review: bool
    limits: RiskLimits
    asking: Asking = field(default_factory=Asking)


def record_phase(tx: Transaction, report: PhaseReport, policy: ReviewPolicy) -> Cycle:
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
    match report.end:
        case PhaseEnd.PASSED:
            return _passed(tx, cycle, report, policy)
        case PhaseEnd.REFUSED:
            assert report.verdict is not None
            emit_refused(tx, cycle, report.phase, report.verdict)
            return _retry_or_block(tx, cycle, report, report.verdict.explain(), policy)
        case PhaseEnd.AGENT_FAILED:
            return _retry_or_block(tx, cycle, report, f"{report.error} {report.hint}".strip(), policy)
        case PhaseEnd.BLOCKED:
            return block(tx, cycle, f"{report.error} {report.hint}".strip())
        case PhaseEnd.CANCELLED:
            return cycle


def _passed(tx: Transaction, cycle: Cycle, report: PhaseReport, policy: ReviewPolicy) -> Cycle:
    assert report.verdict is not None
    emit_passed(tx, cycle, report.phase, report.verdict, report.head_commit)
    facts: dict[str, Any] = {
        "head_commit": report.head_commit,
        "session_id": report.session_id,
        "feedback": "",
    }
    if report.phase is Phase.DESIGN:
        facts |= {"base_commit": report.base_commit, "spec": report.spec or cycle.spec}
    if report.phase is Phase.TEST_RED:
        # After a conflict there was no base: the worker took the main branch's commit.
        facts |= {"red_commit": report.head_commit, "base_commit": report.base_commit}
    if report.phase is not Phase.REFACTOR:
        return cycles.move(tx, cycle.story_id, CycleEvent.PASSED, state=cycle.state, **facts)
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
    tx: Transaction, cycle: Cycle, report: PhaseReport, feedback: str, policy: ReviewPolicy
) -> Cycle:
    if cycle.attempt > policy.max_auto_retry:
        tried = "once" if cycle.attempt == 1 else f"{cycle.attempt} times"
        # Whoever goes on with it, helped by a person, works by this last refusal too.
        cycles.patch(tx, cycle.story_id, state=cycle.state, feedback=feedback)
        return block(tx, cycle, f"{report.phase} was tried {tried}. The last refusal:\n{feedback}")
    return cycles.retry(
        tx, cycle.story_id, state=cycle.state, feedback=feedback, session_id=report.session_id
    )


def block(tx: Transaction, cycle: Cycle, reason: str) -> Cycle:
    """Out of retries, or nothing a worker can mend: people are asked."""
    blocked = cycles.block(tx, cycle.story_id, state=cycle.state, reason=reason)
    tx.emit(
        EventKind.STORY_BLOCKED,
        project=cycle.project,
        story_id=cycle.story_id,
        data={"phase": str(cycle.state), "reason": reason, "tried": cycle.attempt},
    )
    settle_sprint(tx, cycle.project)
    return blocked


def emit_passed(tx: Transaction, cycle: Cycle, phase: Phase, verdict: Verdict, commit: str | None) -> None:
    evidence = verdict.evidence
    tx.emit(
        EventKind.GATE_PASSED,
        project=cycle.project,
        story_id=cycle.story_id,
        actor="gate",
        data={
            "phase": str(phase),
            "attempt": cycle.attempt,
            "summary": summarise(phase, verdict),
            "commit": commit,
            "red": list(evidence.red[:20]) + list(evidence.red_files[:5]),
            "green": list(evidence.green[:20]),
            "exit_code_only": evidence.exit_code_only,
        },
    )


def emit_refused(tx: Transaction, cycle: Cycle, phase: Phase, verdict: Verdict) -> None:
    tx.emit(
        EventKind.GATE_REFUSED,
        project=cycle.project,
        story_id=cycle.story_id,
        actor="gate",
        data={
            "phase": str(phase),
            "attempt": cycle.attempt,
            "summary": verdict.refusals[0].sentence,
            "refusals": _REFUSALS.dump_python(verdict.refusals, mode="json"),
        },
    )


def summarise(phase: Phase, verdict: Verdict) -> str:
    """One line for people: what the gate saw."""
    if not verdict.passed:
        return verdict.refusals[0].sentence
    evidence = verdict.evidence
    match phase:
        case Phase.DESIGN:
            return "the spec has acceptance criteria"
        case Phase.TEST_RED:
            red = len(evidence.red)
            parts = [f"{red} test{'s' if red != 1 else ''} failed honestly"] if red else []
            parts += [f"{name} cannot be collected yet" for name in evidence.red_files[:3]]
            return ", ".join(parts) or "red"
        case _ if evidence.exit_code_only:
            return "the test command succeeded (exit code only)"
        case _:
            return f"{len(evidence.green)} red now pass, {evidence.passed_count} passed in all"


def record_conflict(tx: Transaction, cycle: Cycle, merge_id: str, report: MergeReport) -> Cycle:
    """The main branch moved under the story: it starts again at red, on the new main branch."""
    leases.release(tx, cycle.story_id, report.generation)
    merges.finish(tx, merge_id, "conflict")
    files = ", ".join(report.conflicts[:5])
    reason = f"the main branch changed the same lines: {files}"
    tx.emit(
        EventKind.STORY_SENT_BACK,
        project=cycle.project,
        story_id=cycle.story_id,
        data={"from": str(CycleState.COMMIT), "to": str(CycleState.TEST_RED), "reason": reason},
    )
    return cycles.move(
        tx,
        cycle.story_id,
        CycleEvent.CONFLICTED,
        state=CycleState.COMMIT,
        base_commit=None,
        red_commit=None,
        head_commit=None,
        feedback=f"Your earlier work no longer fits on the main branch. {reason}\n{report.conflict_detail}",
    )


def record_merge_refused(tx: Transaction, cycle: Cycle, merge_id: str, report: MergeReport) -> Cycle:
    """The gate refused the rebased tree: the agent goes on from there."""
    assert report.verdict is not None
    leases.release(tx, cycle.story_id, report.generation)
    merges.finish(tx, merge_id, "refused")
    gates.add(
        tx, cycle.story_id, phase=Phase.COMMIT, attempt=cycle.attempt, verdict=report.verdict, commit=None
    )
    emit_refused(tx, cycle, Phase.COMMIT, report.verdict)
    tx.emit(
        EventKind.STORY_SENT_BACK,
        project=cycle.project,
        story_id=cycle.story_id,
        data={
            "from": str(CycleState.COMMIT),
            "to": str(CycleState.CODE_GREEN),
            "reason": "the gate refused it on top of the main branch",
        },
    )
    return cycles.move(
        tx,
        cycle.story_id,
        CycleEvent.SENT_BACK,
        state=CycleState.COMMIT,
        base_commit=report.main_commit,
        red_commit=report.rebased_red,
        head_commit=report.rebased_head,
        feedback=report.verdict.explain(),
    )


def record_candidate(tx: Transaction, cycle: Cycle, merge_id: str, report: MergeReport) -> None:
    """The candidate passed. It is stored before the main branch moves, so a crash in between is seen."""
    assert report.verdict is not None
    assert report.candidate is not None
    assert report.main_commit is not None
    leases.check(tx.conn, cycle.story_id, report.generation)
    merges.set_candidate(tx, merge_id, report.candidate, report.main_commit)
    gates.add(
        tx,
        cycle.story_id,
        phase=Phase.COMMIT,
        attempt=cycle.attempt,
        verdict=report.verdict,
        commit=report.candidate,
    )
    emit_passed(tx, cycle, Phase.COMMIT, report.verdict, report.candidate)


def record_merged(tx: Transaction, cycle: Cycle, merge_id: str, candidate: str, generation: int) -> Cycle:
    """The main branch holds the candidate."""
    leases.release(tx, cycle.story_id, generation)
    merges.finish(tx, merge_id, "merged")
    done = cycles.move(
        tx, cycle.story_id, CycleEvent.PASSED, state=CycleState.COMMIT, merge_commit=candidate, feedback=""
    )
    stories.move(tx, cycle.story_id, StoryState.ACTIVE, StoryState.DONE)
    tx.emit(
        EventKind.STORY_MERGED,
        project=cycle.project,
        story_id=cycle.story_id,
        data={"commit": candidate, "branch": projects.get(tx.conn, cycle.project).main_branch},
    )
    settle_sprint(tx, cycle.project)
    return done


def settle_sprint(tx: Transaction, project: str) -> None:
    """Moves the workflow when the sprint is finished or stuck."""
    if projects.get(tx.conn, project).workflow is not WorkflowState.SPRINT_ACTIVE:
        return  # paused: looked at again when it resumes
    sprint = sprints.current(tx.conn, project)
    if sprint is None or sprint.started_at is None:
        return
    chosen = sprints.stories(tx.conn, sprint.id)
    if all(story.state in OVER for story in chosen):
        projects.move_workflow(tx, project, WorkflowFact.SPRINT_FINISHED, actor="orchard")
        sprints.end(tx, sprint.id)
        tx.emit(
            EventKind.SPRINT_FINISHED,
            project=project,
            data={
                "sprint": sprint.number,
                "goal": sprint.goal,
                "stories": {story.id: str(story.state) for story in chosen},
            },
        )
        return
    going = [cycles.get(tx.conn, story.id) for story in chosen if story.state not in OVER]
    if all(cycle is not None and cycle.blocked_reason for cycle in going):
        projects.move_workflow(tx, project, WorkflowFact.SPRINT_STUCK, actor="orchard")
