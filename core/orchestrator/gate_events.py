"""What a gate said, as events for people."""

from __future__ import annotations

from pydantic import TypeAdapter

from core.domain.event import EventKind
from core.domain.evidence import Refusal, Verdict
from core.domain.lifecycles import Phase
from core.domain.story import Cycle
from core.store.database import Transaction

_REFUSALS = TypeAdapter(tuple[Refusal, ...])


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
