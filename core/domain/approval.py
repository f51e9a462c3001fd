"""A question to people: what exactly, who may answer, until when, and what the answer was. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.domain.access import AccessLevel, Standing


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

    @property
    def enough(self) -> AccessLevel:
        """The level that is enough for whoever is not named."""
        return max(self.level, AccessLevel.ADMIN) if self.roles or self.people else self.level


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

    @property
    def circles(self) -> tuple[Circle, ...]:
        """Who may answer now: after an escalation the wider circle as well."""
        return (self.circle,) if self.escalated_at is None else (self.circle, self.escalation)

    @property
    def within(self) -> timedelta | None:
        """How long people have from when they are asked, and again from an escalation on."""
        if self.due_at is None:
            return None
        return max(self.due_at - (self.escalated_at or self.asked_at), timedelta())


def may_answer(approval: Approval, standing: Standing) -> str:
    """Empty when somebody may answer, else who may, as a sentence."""
    if any(_admits(circle, standing) for circle in approval.circles):
        return ""
    return f"It is for {who_may(approval)}."


def who_may(approval: Approval) -> str:
    """Who may answer now, in words."""
    return ", or ".join(dict.fromkeys(in_words(circle) for circle in approval.circles))


def in_words(circle: Circle) -> str:
    named = [f"the role {role}" for role in circle.roles] + [f"the person {one}" for one in circle.people]
    higher = "" if circle.enough is AccessLevel.OWNER else " and higher"
    return ", ".join([*named, f"{_LEVELS[circle.enough]}{higher}"])


def _admits(circle: Circle, standing: Standing) -> bool:
    if standing.level >= circle.enough or standing.roles & set(circle.roles):
        return True
    return bool(standing.person) and standing.person in circle.people


_LEVELS = {
    AccessLevel.VIEWER: "viewers",
    AccessLevel.CONTRIBUTOR: "contributors",
    AccessLevel.MAINTAINER: "maintainers",
    AccessLevel.ADMIN: "administrators",
    AccessLevel.OWNER: "the owner",
}


class Lapse(StrEnum):
    """What a question whose time is over comes to."""

    REMIND = "remind"  # people are told once more, and then it stays open
    ESCALATE = "escalate"
    DENY = "deny"


def lapse(approval: Approval) -> Lapse:
    """What a pending question comes to once its time is over. After an escalation it only reminds."""
    match approval.unanswered:
        case Unanswered.DENY:
            return Lapse.DENY
        case Unanswered.ESCALATE if approval.escalated_at is None:
            return Lapse.ESCALATE
        case _:
            return Lapse.REMIND


def what_then(approval: Approval) -> str:
    """What its lapse means, in words that follow "unanswered by then"."""
    match lapse(approval):
        case Lapse.DENY:
            return "it is denied"
        case Lapse.ESCALATE:
            return f"these are asked as well: {in_words(approval.escalation)}"
        case Lapse.REMIND:
            return "you are reminded once, and it stays open"


def plan_lapse(approval: Approval, now: datetime) -> Lapse | None:
    """None: nothing is to be done yet, or any more."""
    if approval.state is not ApprovalState.PENDING or approval.due_at is None or approval.due_at > now:
        return None
    return lapse(approval)


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionAnswer:
    """What came of an agent's request."""

    allowed: bool
    reason: str = ""
