"""The state machines, as data. `machine.next_state` is the only reader that moves anything.

The README shows these tables as diagrams; a test regenerates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ProjectStatus(StrEnum):
    INITIALIZING = "initializing"  # registered, not yet checked or started
    ACTIVE = "active"  # available for work
    PAUSED = "paused"  # temporarily suspended by a person
    MAINTENANCE = "maintenance"  # suspended while something outside is mended
    ARCHIVED = "archived"  # kept for its configuration and history only, until it is reopened


class ProjectCommand(StrEnum):
    START = "start"
    PAUSE = "pause"
    MAINTAIN = "maintain"
    ARCHIVE = "archive"
    REOPEN = "reopen"


PROJECT: Mapping[tuple[ProjectStatus, ProjectCommand], ProjectStatus] = {
    (ProjectStatus.INITIALIZING, ProjectCommand.START): ProjectStatus.ACTIVE,
    (ProjectStatus.PAUSED, ProjectCommand.START): ProjectStatus.ACTIVE,
    (ProjectStatus.MAINTENANCE, ProjectCommand.START): ProjectStatus.ACTIVE,
    (ProjectStatus.ACTIVE, ProjectCommand.PAUSE): ProjectStatus.PAUSED,
    (ProjectStatus.ACTIVE, ProjectCommand.MAINTAIN): ProjectStatus.MAINTENANCE,
    (ProjectStatus.PAUSED, ProjectCommand.MAINTAIN): ProjectStatus.MAINTENANCE,
    (ProjectStatus.INITIALIZING, ProjectCommand.ARCHIVE): ProjectStatus.ARCHIVED,
    (ProjectStatus.PAUSED, ProjectCommand.ARCHIVE): ProjectStatus.ARCHIVED,
    (ProjectStatus.MAINTENANCE, ProjectCommand.ARCHIVE): ProjectStatus.ARCHIVED,
    (ProjectStatus.ARCHIVED, ProjectCommand.REOPEN): ProjectStatus.PAUSED,
}


class WorkflowState(StrEnum):
    IDLE = "IDLE"  # nothing in the backlog
    BACKLOG_READY = "BACKLOG_READY"  # stories wait to be planned
    SPRINT_PLANNED = "SPRINT_PLANNED"  # a sprint is chosen, not started
    SPRINT_ACTIVE = "SPRINT_ACTIVE"  # stories run
    SPRINT_PAUSED = "SPRINT_PAUSED"  # no new phase starts
    SPRINT_REVIEW = "SPRINT_REVIEW"  # every story ended; people look
    BLOCKED = "BLOCKED"  # nothing can run until a person helps


class WorkflowCommand(StrEnum):
    EPIC = "epic"
    APPROVE = "approve"
    SPRINT_PLAN = "sprint plan"
    SPRINT_START = "sprint start"
    SPRINT_STATUS = "sprint status"
    SPRINT_PAUSE = "sprint pause"
    SPRINT_RESUME = "sprint resume"
    SUGGEST_FIX = "suggest_fix"
    SKIP_TASK = "skip_task"
    REQUEST_CHANGES = "request_changes"
    FEEDBACK = "feedback"
    STATE = "state"
    BACKLOG_VIEW = "backlog view"
    BACKLOG_ADD_STORY = "backlog add_story"
    BACKLOG_PRIORITIZE = "backlog prioritize"
    BACKLOG_EDIT = "backlog edit"
    BACKLOG_REMOVE = "backlog remove"


class WorkflowFact(StrEnum):
    """What moves the workflow without a command: the guards in `machine` decide when."""

    BACKLOG_FILLED = "a story entered the empty backlog"
    BACKLOG_EMPTIED = "nothing is left in the backlog, and no epic is being designed"
    SPRINT_FINISHED = "every story is done or skipped"
    SPRINT_STUCK = "nothing is runnable and a story is out of retries"
    USAGE_LIMITED = "the agent ran into its usage limit"
    USAGE_RESET = "the usage limit's time is over, and resuming by itself was asked for"


WorkflowEvent = WorkflowCommand | WorkflowFact

_S, _C, _F = WorkflowState, WorkflowCommand, WorkflowFact

_BACKLOG = (
    _C.BACKLOG_VIEW,
    _C.BACKLOG_ADD_STORY,
    _C.BACKLOG_PRIORITIZE,
    _C.BACKLOG_EDIT,
    _C.BACKLOG_REMOVE,
)

WORKFLOW: Mapping[tuple[WorkflowState, WorkflowEvent], WorkflowState] = {
    (_S.IDLE, _C.EPIC): _S.BACKLOG_READY,
    (_S.BACKLOG_READY, _C.EPIC): _S.BACKLOG_READY,
    (_S.BACKLOG_READY, _C.APPROVE): _S.BACKLOG_READY,
    (_S.BACKLOG_READY, _C.SPRINT_PLAN): _S.SPRINT_PLANNED,
    (_S.SPRINT_PLANNED, _C.SPRINT_PLAN): _S.SPRINT_PLANNED,  # another choice, before it starts
    (_S.SPRINT_PLANNED, _C.SPRINT_START): _S.SPRINT_ACTIVE,
    (_S.SPRINT_ACTIVE, _C.SPRINT_PAUSE): _S.SPRINT_PAUSED,
    (_S.SPRINT_PAUSED, _C.SPRINT_RESUME): _S.SPRINT_ACTIVE,
    (_S.BLOCKED, _C.SUGGEST_FIX): _S.SPRINT_ACTIVE,
    (_S.BLOCKED, _C.SKIP_TASK): _S.SPRINT_ACTIVE,
    (_S.SPRINT_REVIEW, _C.REQUEST_CHANGES): _S.BACKLOG_READY,
    (_S.SPRINT_REVIEW, _C.FEEDBACK): _S.IDLE,
    **{
        (state, _C.SPRINT_STATUS): state
        for state in (_S.SPRINT_PLANNED, _S.SPRINT_ACTIVE, _S.SPRINT_PAUSED, _S.SPRINT_REVIEW, _S.BLOCKED)
    },
    **{(state, _C.STATE): state for state in _S},
    **{(state, command): state for state in _S if state is not _S.SPRINT_REVIEW for command in _BACKLOG},
    # A story that ran out of retries is helped while its siblings still run.
    (_S.SPRINT_ACTIVE, _C.SUGGEST_FIX): _S.SPRINT_ACTIVE,
    (_S.SPRINT_ACTIVE, _C.SKIP_TASK): _S.SPRINT_ACTIVE,
    (_S.IDLE, _F.BACKLOG_FILLED): _S.BACKLOG_READY,
    (_S.BACKLOG_READY, _F.BACKLOG_EMPTIED): _S.IDLE,
    (_S.SPRINT_ACTIVE, _F.SPRINT_FINISHED): _S.SPRINT_REVIEW,
    (_S.SPRINT_ACTIVE, _F.SPRINT_STUCK): _S.BLOCKED,
    (_S.SPRINT_ACTIVE, _F.USAGE_LIMITED): _S.SPRINT_PAUSED,
    (_S.SPRINT_PAUSED, _F.USAGE_RESET): _S.SPRINT_ACTIVE,
}


class Phase(StrEnum):
    DESIGN = "design"  # what to build, with acceptance criteria
    TEST_RED = "test_red"  # a test that fails for the right reason
    CODE_GREEN = "code_green"  # the code that makes it pass
    REFACTOR = "refactor"  # the same behaviour, better said; then risk rules or a person decide
    COMMIT = "commit"  # rebased, proven again, merged


class CycleState(StrEnum):
    """A cycle is in one of its phases, or over."""

    DESIGN = "design"
    TEST_RED = "test_red"
    CODE_GREEN = "code_green"
    REFACTOR = "refactor"
    COMMIT = "commit"
    DONE = "done"  # merged
    ABORTED = "aborted"  # counts as failure, never as success

    @property
    def phase(self) -> Phase | None:
        """The phase, or None when the cycle is over."""
        return None if self in (CycleState.DONE, CycleState.ABORTED) else Phase(self.value)


class CycleEvent(StrEnum):
    PASSED = "passed"  # the gate passed, and where it must, a person or the risk rules agreed
    SENT_BACK = "sent back"  # a gate or a person wants an earlier phase again
    CONFLICTED = "conflicted"  # the main branch moved and the story no longer fits on it
    ABORTED = "aborted"  # a person ended it
    MERGED = "merged"  # a person merged its pull request, though it had been sent back


_Y, _E = CycleState, CycleEvent

CYCLE: Mapping[tuple[CycleState, CycleEvent], CycleState] = {
    (_Y.DESIGN, _E.PASSED): _Y.TEST_RED,
    (_Y.TEST_RED, _E.PASSED): _Y.CODE_GREEN,
    (_Y.CODE_GREEN, _E.PASSED): _Y.REFACTOR,
    (_Y.REFACTOR, _E.PASSED): _Y.COMMIT,
    (_Y.COMMIT, _E.PASSED): _Y.DONE,
    (_Y.TEST_RED, _E.SENT_BACK): _Y.DESIGN,
    (_Y.CODE_GREEN, _E.SENT_BACK): _Y.TEST_RED,
    (_Y.REFACTOR, _E.SENT_BACK): _Y.CODE_GREEN,
    (_Y.COMMIT, _E.SENT_BACK): _Y.CODE_GREEN,
    **{
        (state, _E.CONFLICTED): _Y.TEST_RED
        for state in (_Y.TEST_RED, _Y.CODE_GREEN, _Y.REFACTOR, _Y.COMMIT)  # early, or when it is merged
    },
    **{(state, _E.ABORTED): _Y.ABORTED for state in _Y if state.phase is not None},
    **{(state, _E.MERGED): _Y.DONE for state in (_Y.DESIGN, _Y.TEST_RED, _Y.CODE_GREEN, _Y.REFACTOR)},
}
