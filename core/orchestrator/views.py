"""What the faces show: read-only pictures of the state, made in one read each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.approval import Approval
from core.domain.event import EventKind
from core.domain.evidence import Verdict
from core.domain.github import Address, Pull
from core.domain.lifecycles import Phase, WorkflowCommand, WorkflowState
from core.domain.ping import Subscription
from core.domain.project import Project
from core.domain.quiet import QuietHours
from core.domain.story import Cycle, Epic, Priority, Sprint, Story, StoryStatus
from core.orchestrator.resource_views import Metrics
from core.store.usage import UsagePause
from core.worker.contract import SuiteReport


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryView:
    story: Story
    status: StoryStatus
    cycle: Cycle | None
    why: str  # one sentence: what it waits for, what runs, why it is blocked
    needs: tuple[str, ...] = ()  # ids of stories that must be done first
    addresses: tuple[Address, ...] = ()  # on GitHub: its issue, its pull request


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryTitle:
    """As little of a story as a list of choices needs."""

    id: str
    title: str
    status: StoryStatus


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
    pull: Pull | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesView:
    """What a story changed since its base. `commit`: of its last passed gate; None: as its files are now."""

    story_id: str
    base: str | None  # None: its work has not begun
    commit: str | None
    text: str  # a unified diff, redacted; empty: nothing differs
    left_out: tuple[str, ...] = ()  # sentences of what it does not show


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
    limit: UsagePause | None = None  # the agent's usage limit that the sprint waits for


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
    refused_settings: str = ""  # why the files, as they are now, are not in force: those of before are
    figures: Metrics | None = None  # None: they were not looked for
    web: str = ""  # where its pages are, or why they are not; "": not started


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    project: Project
    notes: tuple[str, ...] = ()  # what its owner should know: uncommitted changes, no tests, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveView:
    """A project that is archived, and the file in which everything of it is."""

    project: Project
    path: str
    rows: int
    sha256: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EpicView:
    epic: Epic
    stories: tuple[StoryView, ...]  # those that came of it, in every state
    why: str = ""  # one sentence: what its agent does or waits for, why it failed


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapView:
    """Two stories at work that change the same files."""

    first: str  # story id, the one that began earlier
    later: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclesView:
    """A project's stories at work."""

    project: str
    stories: tuple[StoryView, ...]  # of the sprint that is not over, those with a cycle first
    overlaps: tuple[OverlapView, ...]
    merging: tuple[str, ...]  # story ids in the order of the merge queue


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryResult:
    """One line of a sprint's review."""

    view: StoryView
    seconds: float | None  # from its cycle's begin to its end; None while it is not over
    refusals: int  # gates that said no
    tests: int  # red tests that pass now, as the commit gate saw them
    commit: str | None
    evidence: str  # what the last passed gate saw, in one line


@dataclass(frozen=True, slots=True, kw_only=True)
class BurndownPoint:
    at: datetime
    remaining: int  # story points; a story without an estimate counts one


@dataclass(frozen=True, slots=True, kw_only=True)
class Burndown:
    """`actual` falls at each story's end and rises when one joins; `ideal` is the straight line."""

    sprint: Sprint
    total: int
    actual: tuple[BurndownPoint, ...]
    ideal: tuple[BurndownPoint, BurndownPoint] | None  # None while nothing is planned


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    sprint: Sprint
    results: tuple[StoryResult, ...]
    burndown: Burndown
    points_done: int
    points_planned: int
    seconds: float | None  # of the sprint; None before it started


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A test run that a person asked for."""

    project: str
    report: SuiteReport


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverView:
    view: StoryView
    path: str  # the worktree's folder
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationView:
    """What a person hears of, and when not."""

    person: str
    subscriptions: tuple[Subscription, ...]
    quiet: QuietHours | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPlace:
    """Where in Discord something was posted."""

    channel_id: int
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What happened after the event `after`, up to the event `last`, for one person."""

    project: str | None  # None: every project
    after: int
    last: int
    since: datetime
    until: datetime
    merged: tuple[StoryView, ...]
    blocked: tuple[StoryView, ...]  # still
    questions: tuple[Approval, ...]  # still open
    finished_sprints: tuple[Sprint, ...]
    counts: Mapping[EventKind, int]  # all events, by kind, most frequent first
    posts: Mapping[str, PostPlace]  # by the id of a blocked story or an approval

    @property
    def events(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportView:
    """What was, or would be, taken over from another tool's `.orch-state`."""

    project: str
    waiting: tuple[str, ...]  # titles of stories that came into the backlog
    done: int  # stories that were done there already
    known: int  # had come before
    epics: int
    sprints: int  # that are over
    notes: tuple[str, ...]  # sentences: what was left out or changed, and why
    kept: str  # folder where the other tool's files are now; "" when nothing was moved
