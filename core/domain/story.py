"""Stories, sprints and the cycle that carries one story through its phases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.domain.lifecycles import CycleState


class StoryState(StrEnum):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprint:
    id: str
    project: str
    number: int
    goal: str
    planned_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


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


class StoryStatus(StrEnum):
    """Derived, never stored: what a person wants to know of a story."""

    BACKLOG = "backlog"
    PLANNED = "planned"
    WAITING = "waiting"  # runnable, no worker has taken it yet
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting approval"
    BLOCKED = "blocked"
    DONE = "done"
    SKIPPED = "skipped"
    ABORTED = "aborted"
    REMOVED = "removed"


def status_of(story: Story, cycle: Cycle | None, *, leased: bool, approval_pending: bool) -> StoryStatus:
    """What the facts add up to."""
    if story.state is not StoryState.ACTIVE or cycle is None:
        return StoryStatus.WAITING if story.state is StoryState.ACTIVE else StoryStatus(story.state.value)
    if cycle.blocked_reason:
        return StoryStatus.BLOCKED
    if approval_pending:
        return StoryStatus.AWAITING_APPROVAL
    return StoryStatus.RUNNING if leased else StoryStatus.WAITING
