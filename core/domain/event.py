"""What happened, in the past tense. One row an event, written in the transaction that made it true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    PROJECT_REGISTERED = "project_registered"  # data: path, notes (sentences)
    PROJECT_STARTED = "project_started"
    PROJECT_STOPPED = "project_stopped"
    PROJECT_MAINTAINED = "project_maintained"  # nothing starts while something outside is mended
    PROJECT_REOPENED = "project_reopened"  # was archived; it is paused now
    PROJECT_ARCHIVED = "project_archived"  # data: path (of the archive), rows, sha256
    PROJECT_UNAVAILABLE = "project_unavailable"  # data: message, hint
    WORKFLOW_CHANGED = "workflow_changed"  # data: old, new, cause
    STORY_ADDED = "story_added"  # data: title
    SPRINT_PLANNED = "sprint_planned"  # data: sprint, goal, stories
    SPRINT_STARTED = "sprint_started"
    SPRINT_FINISHED = "sprint_finished"
    SPRINT_REVIEWED = "sprint_reviewed"  # data: text
    PHASE_STARTED = "phase_started"  # data: phase, attempt, agent, why (it is not the one asked for)
    AGENT_SAID = "agent_said"  # data: phase, text (a turn's closing words, shortened)
    GATE_PASSED = "gate_passed"  # data: phase, attempt, summary, evidence (Evidence as JSON)
    GATE_REFUSED = "gate_refused"  # data: phase, attempt, summary, refusals (list of Refusal as JSON)
    # data: phase, attempt, summary, agent, began (false: it could not be started). It is tried again
    AGENT_FAILED = "agent_failed"
    STORY_SENT_BACK = "story_sent_back"  # data: from, to, reason
    APPROVAL_REQUESTED = "approval_requested"  # data: approval, question, reasons
    APPROVAL_ANSWERED = "approval_answered"  # data: approval, kind, state, by, how, level, question, reason
    AUTO_APPROVED = "auto_approved"  # data: reasons
    STORY_BLOCKED = "story_blocked"  # data: phase, reason, tried, tried_list (phase, attempt, at, by, said)
    STORY_UNBLOCKED = "story_unblocked"  # data: by, text
    STORY_MERGED = "story_merged"  # data: commit, branch
    STORY_SKIPPED = "story_skipped"  # data: by, reason
    STORY_ABORTED = "story_aborted"  # data: by, reason
    WORK_SALVAGED = "work_salvaged"  # data: ref, files
    WORKER_STARTED = "worker_started"  # data: pid, generation
    WORKER_STOPPED = "worker_stopped"  # data: pid (it was asked to)
    WORKER_LOST = "worker_lost"  # data: pid, cause
    WORKER_QUARANTINED = "worker_quarantined"  # data: restarts, until
    PROCESS_REAPED = "process_reaped"  # data: pid, argv
    EPIC_ASKED = "epic_asked"  # data: epic, text
    EPIC_PROPOSED = "epic_proposed"  # data: epic, stories (ids)
    EPIC_FAILED = "epic_failed"  # data: epic, error, tried
    STORIES_APPROVED = "stories_approved"  # data: stories (ids), by
    STORY_EDITED = "story_edited"  # data: fields (names), by
    STORY_PRIORITIZED = "story_prioritized"  # data: priority, place, by
    STORY_REMOVED = "story_removed"  # data: reason, by
    STORY_JOINED_SPRINT = "story_joined_sprint"  # data: sprint, by
    CHANGES_REQUESTED = "changes_requested"  # data: text, by, stories (ids of what was added)
    STORY_STOPPED = "story_stopped"  # data: by, after (the phase, where one was asked for; else null)
    STORY_RELEASED = "story_released"  # data: by (it goes on after a stop)
    STORY_STEERED = "story_steered"  # data: by, text, reached (whether a running turn got it)
    STORY_TAKEN = "story_taken"  # data: by, path
    STORY_HANDED_BACK = "story_handed_back"  # data: by, note
    AGENT_STALLED = "agent_stalled"  # data: phase, seconds, doing
    USAGE_LIMITED = "usage_limited"  # data: agent, reason, until (ISO time or null), resumes
    USAGE_RESET = "usage_reset"  # data: agent, by
    OVERLAP_FORESEEN = "overlap_foreseen"  # data: other (story id), files
    STORY_REBASED = "story_rebased"  # data: onto, after (the story that was merged)
    TESTS_RAN = "tests_ran"  # data: SuiteReport as JSON, by
    STATE_IMPORTED = "state_imported"  # data: stories (how many came from another tool's .orch-state)
    APPROVAL_ESCALATED = "approval_escalated"  # data: approval, question, to, roles, people
    APPROVAL_OVERDUE = "approval_overdue"  # data: approval, question, to, roles, people (it stays open)
    APPROVAL_REFUSED_ATTEMPT = "approval_refused_attempt"  # data: approval, by, how, level, approve, why
    RESOURCES_REBALANCED = "resources_rebalanced"  # data: strategy, changes (sentences), by
    STRATEGY_REFUSED = "strategy_refused"  # data: strategy, why, kept (what decides meanwhile)
    BACKUP_FAILED = "backup_failed"  # data: message, hint, again (when); of no project
    LIMIT_BREACHED = "limit_breached"  # data: resource, limit, used, ended, program, program_mb, text
    STORY_PARKED = "story_parked"  # data: phase, taker (a project), reason
    PROMPTS_REFUSED = "prompts_refused"  # data: problems (sentences with file and line; Orchard's are used)
    NETWORK_DENIED = "network_denied"  # data: what ("agent", "setup"), phase, host, port, why, hint, text
    CALLS_REFUSED = "calls_refused"  # data: phase, refused (how many, by RefusedCall), text
    NETWORK_USED = "network_used"  # data: what, phase, sent, received, connections, denied, hosts
    BUDGET_WARNED = "budget_warned"  # data: scope, day, unit, spent, limit, percent, text
    BUDGET_REACHED = "budget_reached"  # data: as above
    BUDGET_RAISED = "budget_raised"  # data: raise, scope, unit, amount, until (ISO time or null), by, text
    GITHUB_LINKED = "github_linked"  # data: repository, url, by
    GITHUB_UNLINKED = "github_unlinked"  # data: repository, by
    GITHUB_TROUBLED = "github_troubled"  # data: repository, state, text (a sentence and what to do)
    GITHUB_RECOVERED = "github_recovered"  # data: repository
    GITHUB_SYNCED = "github_synced"  # data: repository, added, edited, closed, reopened (counts), first
    # data: number, url, what ("edited", "closed", "reopened", "gone"), by, together (of GITHUB_SYNCED)
    ISSUE_FOLLOWED = "issue_followed"
    PULL_OPENED = "pull_opened"  # data: number, url, branch, commit
    PULL_UPDATED = "pull_updated"  # data: number, url, commit
    CHECKS_CHANGED = "checks_changed"  # data: number, url, commit, state, checks (name, conclusion, url)
    PULL_REVIEWED = "pull_reviewed"  # data: number, url, by, verdict ("approved", "changes requested"), text
    PULL_REFUSED = "pull_refused"  # data: number, url, why (GitHub does not merge it yet)
    PULL_CLOSED = "pull_closed"  # data: number, url, by, why
    ALERT_CHANGED = "alert_changed"  # data: the Alert as core.store.alerts.as_data; told by its own tellings


# What people are told in Discord; the rest is history and the live feed.
POSTED = frozenset(
    {
        EventKind.PROJECT_REGISTERED,
        EventKind.PROJECT_STARTED,
        EventKind.PROJECT_STOPPED,
        EventKind.PROJECT_MAINTAINED,
        EventKind.PROJECT_ARCHIVED,
        EventKind.PROJECT_REOPENED,
        EventKind.PROJECT_UNAVAILABLE,
        EventKind.SPRINT_PLANNED,
        EventKind.SPRINT_STARTED,
        EventKind.SPRINT_FINISHED,
        EventKind.PHASE_STARTED,
        EventKind.GATE_PASSED,
        EventKind.GATE_REFUSED,
        EventKind.STORY_SENT_BACK,
        EventKind.APPROVAL_REQUESTED,
        EventKind.APPROVAL_ANSWERED,
        EventKind.AUTO_APPROVED,
        EventKind.STORY_BLOCKED,
        EventKind.STORY_UNBLOCKED,
        EventKind.STORY_MERGED,
        EventKind.STORY_SKIPPED,
        EventKind.STORY_ABORTED,
        EventKind.WORK_SALVAGED,
        EventKind.WORKER_QUARANTINED,
        EventKind.EPIC_PROPOSED,
        EventKind.EPIC_FAILED,
        EventKind.STORIES_APPROVED,
        EventKind.CHANGES_REQUESTED,
        EventKind.STORY_STOPPED,
        EventKind.STORY_RELEASED,
        EventKind.STORY_STEERED,
        EventKind.STORY_TAKEN,
        EventKind.STORY_HANDED_BACK,
        EventKind.AGENT_STALLED,
        EventKind.USAGE_LIMITED,
        EventKind.USAGE_RESET,
        EventKind.OVERLAP_FORESEEN,
        EventKind.STORY_REBASED,
        EventKind.TESTS_RAN,
        EventKind.APPROVAL_ESCALATED,
        EventKind.APPROVAL_OVERDUE,
        EventKind.STRATEGY_REFUSED,
        EventKind.BACKUP_FAILED,
        EventKind.LIMIT_BREACHED,
        EventKind.NETWORK_DENIED,
        EventKind.STORY_PARKED,
        EventKind.BUDGET_WARNED,
        EventKind.BUDGET_REACHED,
        EventKind.BUDGET_RAISED,
        EventKind.GITHUB_LINKED,
        EventKind.GITHUB_UNLINKED,
        EventKind.GITHUB_TROUBLED,
        EventKind.GITHUB_RECOVERED,
        EventKind.GITHUB_SYNCED,
        EventKind.ISSUE_FOLLOWED,
        EventKind.PULL_OPENED,
        EventKind.PULL_UPDATED,
        EventKind.CHECKS_CHANGED,
        EventKind.PULL_REVIEWED,
        EventKind.PULL_REFUSED,
        EventKind.PULL_CLOSED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`seq` rises with each event of the store; 0 before it is written."""

    kind: EventKind
    at: datetime
    project: str | None = None
    story_id: str | None = None
    actor: str = "orchard"  # who or what caused it: "discord:<id>", "cli", "gate", "agent", "orchard"
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0
