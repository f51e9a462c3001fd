"""By which sign and word a state is shown: each colour has a shape of its own. PURE.

"later", "wait", "run", "ask", "bad", "held", "good", "gone" are the marks of templates/dashboard/kit.html.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.alert import Severity
from core.domain.lifecycles import CycleState, ProjectStatus, WorkflowState
from core.domain.story import StoryStatus
from core.orchestrator.views import ProjectView

STORY: Mapping[StoryStatus, str] = {
    StoryStatus.PROPOSED: "later",
    StoryStatus.BACKLOG: "later",
    StoryStatus.PLANNED: "later",
    StoryStatus.WAITING: "wait",
    StoryStatus.RUNNING: "run",
    StoryStatus.AWAITING_APPROVAL: "ask",
    StoryStatus.BLOCKED: "bad",
    StoryStatus.STOPPED: "held",
    StoryStatus.TAKEN: "held",
    StoryStatus.DONE: "good",
    StoryStatus.SKIPPED: "gone",
    StoryStatus.ABORTED: "gone",
    StoryStatus.REMOVED: "gone",
}
WORKFLOW: Mapping[WorkflowState, str] = {
    WorkflowState.IDLE: "nothing to do",
    WorkflowState.BACKLOG_READY: "backlog ready",
    WorkflowState.SPRINT_PLANNED: "sprint planned",
    WorkflowState.SPRINT_ACTIVE: "sprint runs",
    WorkflowState.SPRINT_PAUSED: "sprint paused",
    WorkflowState.SPRINT_REVIEW: "sprint to review",
    WorkflowState.BLOCKED: "blocked",
}
SEVERITY: Mapping[Severity, str] = {Severity.CRITICAL: "bad", Severity.WARNING: "ask", Severity.INFO: "wait"}
PHASES = (
    CycleState.DESIGN,
    CycleState.TEST_RED,
    CycleState.CODE_GREEN,
    CycleState.REFACTOR,
    CycleState.COMMIT,
)
PHASE_NAMES: Mapping[CycleState, str] = {
    CycleState.DESIGN: "design",
    CycleState.TEST_RED: "red test",
    CycleState.CODE_GREEN: "green code",
    CycleState.REFACTOR: "refactor",
    CycleState.COMMIT: "merge",
}


def of_project(view: ProjectView) -> tuple[str, str]:
    """Its mark and its state in words: what needs a person comes first."""
    project = view.project
    if view.problem:
        return "bad", "settings unusable"
    if project.status is not ProjectStatus.ACTIVE:
        return ("gone" if project.status is ProjectStatus.ARCHIVED else "held"), project.status.value
    if view.blocked or project.workflow is WorkflowState.BLOCKED:
        return "bad", "blocked"
    if view.pending_approvals:
        return "ask", "asks"
    if project.workflow is WorkflowState.SPRINT_PAUSED:
        return "held", WORKFLOW[project.workflow]
    if view.running:
        return "run", "runs"
    if view.waiting:
        return "wait", "waits"
    if project.workflow is WorkflowState.SPRINT_REVIEW:
        return "ask", WORKFLOW[project.workflow]
    return "later", WORKFLOW[project.workflow]


def steps_of(state: CycleState) -> int:
    """How many phases a story has behind it, of 5."""
    return PHASES.index(state) if state in PHASES else len(PHASES)
