"""Stories, sprints and the cycle that carries one story through its phases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.domain.lifecycles import CycleState


class StoryState(StrEnum):
    PROPOSED = "proposed"  # an epic's design agent made it; nobody has approved it yet
    BACKLOG = "backlog"
    PLANNED = "planned"  # chosen for a sprint that has not started
    ACTIVE = "active"  # its cycle may run
    DONE = "done"
    SKIPPED = "skipped"  # a person took it out of the sprint
    ABORTED = "aborted"  # a person ended its cycle
    REMOVED = "removed"  # taken out of the backlog


OVER = frozenset({StoryState.DONE, StoryState.SKIPPED, StoryState.ABORTED, StoryState.REMOVED})


class Priority(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    id: str  # "<project>-<number>"
    project: str
    number: int
    title: str
    body: str
    acceptance_criteria: tuple[str, ...]
    priority: Priority
    state: StoryState
    sprint_id: str | None
    added_by: str
    added_at: datetime
    place: int = 0  # order among stories of the same priority, lowest first
    estimate: int | None = None  # story points
    labels: tuple[str, ...] = ()
    links: tuple[str, ...] = ()  # URLs
    epic_id: str | None = None
    origin: str | None = None  # what it came from outside, such as another tool's story


class EpicState(StrEnum):
    DESIGNING = "designing"  # the design agent is at work, or waits for its turn
    PROPOSED = "proposed"  # its stories wait for people
    SETTLED = "settled"  # every story was approved or removed
    FAILED = "failed"  # the agent gave nothing usable: `error` says what


@dataclass(frozen=True, slots=True, kw_only=True)
class Epic:
    """A wish that is too large for one story. `id` is "<project>-e<number>"."""

    id: str
    project: str
    number: int
    text: str
    state: EpicState
    asked_by: str
    asked_at: datetime
    attempt: int
    generation: int  # rises with each start of the agent: an older one's answer counts for nothing
    feedback: str  # what was wrong with the last answer
    session_id: str | None
    error: str
    wish: str = ""  # what people want changed in its proposals; empty again when the new ones are there
    limits: int = 0  # how often in a row its agent met its usage limit
    not_before: datetime | None = None  # when it is tried again after a usage limit


class Hold(StrEnum):
    """What keeps a cycle from going on by itself."""

    NONE = ""
    STOPPED = "stopped"  # a person stopped it
    STEP = "step"  # runs one phase, then it is stopped again
    TAKEN = "taken"  # a person works in its worktree


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprint:
    id: str
    project: str
    number: int
    goal: str
    planned_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    retrospective: str = ""  # what people said when it was reviewed
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """Where a story stands. `head_commit` is the commit of the last passed gate: a restart goes on there."""

    story_id: str
    project: str
    state: CycleState
    attempt: int  # of the present phase, from 1
    base_commit: str | None  # the main branch's commit it starts from; None before the first phase
    red_commit: str | None
    head_commit: str | None
    session_id: str | None  # the agent's resumable conversation
    spec: str  # the story's design, as markdown; the record, mirrored into the worktree
    feedback: str  # what the last gate or person said, for the agent's next prompt
    blocked_reason: str  # not empty: out of retries, people are asked
    merge_commit: str | None
    generation: int  # rises with each claim; an older worker may report nothing
    started_at: datetime
    updated_at: datetime
    hold: Hold = Hold.NONE
    held_by: str | None = None
    by_hand: bool = False  # the next attempt judges what a person left in the worktree, without an agent
    conflicts: int = 0  # how often it did not fit on the main branch, since people last helped
    rebase_onto: str | None = None  # a commit of the main branch to be taken in before the next phase
    parked: bool = False  # its turn was interrupted to make place; its next claim goes on with it


class StoryStatus(StrEnum):
    """Derived, never stored: what a person wants to know of a story."""

    PROPOSED = "proposed"
    BACKLOG = "backlog"
    PLANNED = "planned"
    WAITING = "waiting"  # runnable, no worker has taken it yet
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting approval"
    BLOCKED = "blocked"
    STOPPED = "stopped"  # by a person
    TAKEN = "with a person"
    DONE = "done"
    SKIPPED = "skipped"
    ABORTED = "aborted"
    REMOVED = "removed"


def status_of(story: Story, cycle: Cycle | None, *, leased: bool, approval_pending: bool) -> StoryStatus:
    """What the facts add up to."""
    return status_from(
        story.state,
        blocked=cycle is not None and bool(cycle.blocked_reason),
        hold=cycle.hold if cycle is not None else Hold.NONE,
        leased=leased,
        approval_pending=approval_pending,
    )


def status_from(
    state: StoryState, *, blocked: bool, hold: Hold, leased: bool, approval_pending: bool
) -> StoryStatus:
    """As `status_of`, from what it looks at of a story and its cycle."""
    if state is not StoryState.ACTIVE:
        return StoryStatus(state.value)
    if blocked:
        return StoryStatus.BLOCKED
    if hold is Hold.TAKEN:
        return StoryStatus.TAKEN
    if approval_pending:
        return StoryStatus.AWAITING_APPROVAL
    if leased:
        return StoryStatus.RUNNING
    return StoryStatus.STOPPED if hold is Hold.STOPPED else StoryStatus.WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryBrief:
    """What an agent is told of a story."""

    id: str
    title: str
    body: str
    acceptance_criteria: tuple[str, ...]
    spec: str = ""  # the design so far, markdown
