"""What a usage limit does: the sprint pauses, and goes on when a person says so or, where that was asked for,
by itself at the time that the provider said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowFact, WorkflowState
from core.orchestrator.sprint_end import settle_sprint
from core.store import projects, usage
from core.store.transaction import Transaction

FIRST_BACK_OFF_SECONDS = 60.0
LONGEST_BACK_OFF_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePolicy:
    """What of a project's `ai_settings` decides after a usage limit."""

    resumes: bool = False
    tries: int = 3  # resumes by itself at most so often in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """A project whose sprint cannot go on while `agent`'s provider is held."""

    project: str
    agent: str
    policy: UsagePolicy


def next_try(now: datetime, said: datetime | None, tries: int) -> datetime:
    """When to go on: when the provider said; else after 60 s, twice as long each time, at most 1 h.

    A time that is over already is as good as none: the provider's clock or ours is wrong.
    """
    if said is not None and said > now:
        return said
    seconds = min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2 ** min(tries - 1, 10))
    return now + timedelta(seconds=seconds)


def pause_for_usage(
    tx: Transaction,
    project: str,
    *,
    agent: str,
    reason: str,
    said: datetime | None,
    policy: UsagePolicy,
    others: str = "",
) -> None:
    """Pauses the project's running sprint. A second story that ran into the same limit only prolongs it.

    `others`: what becomes of other projects, in a sentence.
    """
    workflow = projects.get(tx.conn, project).workflow
    if workflow is WorkflowState.SPRINT_PAUSED and (present := usage.find(tx.conn, project)) is not None:
        if said is not None and (present.until is None or said > present.until):
            usage.prolong(tx, project, said)
        return
    if workflow is not WorkflowState.SPRINT_ACTIVE:
        return  # a person paused it meanwhile: it goes on when they say so, and meets the limit again
    tries = usage.resumed_in_a_row(tx.conn, project) + 1
    resumes = policy.resumes and tries <= policy.tries
    until = next_try(tx.now, said, tries) if resumes else said
    usage.begin(tx, project, agent=agent, reason=reason, until=until, resumes=resumes, tries=tries)
    projects.move_workflow(tx, project, WorkflowFact.USAGE_LIMITED, actor="orchard")
    tx.emit(
        EventKind.USAGE_LIMITED,
        project=project,
        data={
            "agent": agent,
            "reason": reason,
            "until": until.isoformat() if until is not None else None,
            "resumes": resumes,
            "tries": tries,
            "others": others,
        },
    )


def end_usage_pause(tx: Transaction, project: str) -> bool:
    """The limit's time is over: the sprint goes on by itself. False when somebody was quicker."""
    pause = usage.find(tx.conn, project)
    if pause is None or not pause.resumes or pause.until is None or pause.until > tx.now:
        return False
    usage.end(tx, project, by="orchard")
    if projects.get(tx.conn, project).workflow is not WorkflowState.SPRINT_PAUSED:
        return False
    projects.move_workflow(tx, project, WorkflowFact.USAGE_RESET, actor="orchard")
    settle_sprint(tx, project)  # stories may have ended while it waited
    return True
