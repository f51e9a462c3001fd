"""A question to people: what exactly, until when, and what the answer was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.domain.access import AccessLevel


class ApprovalKind(StrEnum):
    MERGE = "merge"  # may this story go to the main branch?
    PERMISSION = "permission"  # may the agent do this one thing?


class ApprovalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"  # the question went away (the turn ended, the story was skipped)


class Unanswered(StrEnum):
    """What happens to a question that nobody answers in time. Never an approval."""

    WAIT = "wait"  # it stays open
    ESCALATE = "escalate"  # a wider circle is asked
    DENY = "deny"  # it is rejected, with that as its reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """Who may answer: whoever has the level, one of the roles (names or ids), or is named (Discord ids).

    With roles or people named, the level alone is not enough, unless it is ADMIN or higher.
    """

    level: AccessLevel = AccessLevel.CONTRIBUTOR
    roles: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a project puts its questions. `within`: None: people may answer whenever they like."""

    circle: Circle = Circle()
    within: timedelta | None = None
    unanswered: Unanswered = Unanswered.WAIT
    escalation: Circle = Circle(level=AccessLevel.ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    id: str
    project: str
    story_id: str
    kind: ApprovalKind
    question: str  # one line
    detail: str  # the whole command or diff
    reasons: tuple[str, ...]  # why a person is asked: the risk rules' words
    subject: str  # what is asked about: one pending question for each
    state: ApprovalState
    asked_at: datetime
    answered_at: datetime | None = None
    answered_by: str | None = None
    reason: str = ""
    circle: Circle = Circle()
    due_at: datetime | None = None  # None: whenever
    unanswered: Unanswered = Unanswered.WAIT
    escalation: Circle = Circle(level=AccessLevel.ADMIN)
    escalated_at: datetime | None = None
