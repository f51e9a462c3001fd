"""What the faces show: read-only pictures of the state, made in one read each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.approval import Approval
from core.domain.evidence import Verdict
from core.domain.lifecycles import Phase, WorkflowCommand, WorkflowState
from core.domain.project import Project
from core.domain.story import Cycle, Priority, Sprint, Story, StoryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryView:
    story: Story
    status: StoryStatus
    cycle: Cycle | None
    why: str  # one sentence: what it waits for, what runs, why it is blocked


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    phase: Phase
    attempt: int
    at: datetime
    verdict: Verdict
    commit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryDetail:
    view: StoryView
    gates: tuple[GateView, ...]  # oldest first
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    state: str  # "stopped" | "starting" | "running" | "backing off" | "quarantined"
    pid: int | None = None
    memory_mb: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectView:
    project: Project
    priority: Priority
    worker: WorkerView
    running: int  # phases now
    waiting: int
    blocked: int
    done: int
    pending_approvals: int
    not_in_force: tuple[str, ...] = ()  # configured keys whose feature is not there yet
    problem: str = ""  # why its settings cannot be used, in sentences; it goes on with those it had


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowView:
    project: Project
    state: WorkflowState
    allowed: tuple[WorkflowCommand, ...]
    sprint: Sprint | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SprintView:
    sprint: Sprint
    stories: tuple[StoryView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemView:
    running: bool
    startup_complete: bool
    started_at: datetime | None
    projects: tuple[ProjectView, ...]
    pending_approvals: tuple[Approval, ...]
    isolation: str
    discord: str  # "connected as Orchard" | "no token: running without Discord" | "reconnecting"
    cpu_percent: float
    memory_percent: float
    # Configured projects that could not be taken in: name to what is wrong, in sentences.
    unusable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    project: Project
    notes: tuple[str, ...] = ()  # what its owner should know: uncommitted changes, no tests, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A folder that discovery found."""

    path: str
    name: str  # proposed
    reasons: tuple[str, ...]  # "has .orch-state", "git repository, 42 commits in 30 days", "pyproject.toml"
    registered_as: str | None = None
