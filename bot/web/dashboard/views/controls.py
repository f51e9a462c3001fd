"""What a person may do with a story or a project where it stands. PURE: two tables of controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.domain.lifecycles import (
    PROJECT,
    WORKFLOW,
    ProjectCommand,
    ProjectStatus,
    WorkflowCommand,
    WorkflowState,
)
from core.domain.story import StoryStatus
from core.security.access import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A button; `asks`: which words it takes, and `required` whether it can be without; `about`: what comes
    of it; `tone`: "first", "second" or "danger"."""

    do: str
    title: str
    action: Action
    tone: str = "second"
    about: str = ""
    asks: str = ""
    required: bool = False


STEER = Control(
    do="steer",
    title="Tell the agent",
    action=Action.STEER_AGENT,
    tone="first",
    asks="What the agent should know or do",
    about="The turn that runs gets it now, else it stands in the next prompt.",
    required=True,
)
SUGGEST = Control(
    do="suggest",
    title="Suggest a fix",
    action=Action.STEER_AGENT,
    tone="first",
    asks="How it can go on",
    about="It gets new tries, and the agent works by these words.",
    required=True,
)
START = Control(do="start", title="Let it go on", action=Action.RUN_STORY, tone="first")
JOIN = Control(do="start", title="Add to the running sprint", action=Action.RUN_STORY)
STOP = Control(
    do="stop",
    title="Stop",
    action=Action.RUN_STORY,
    about="What runs for it ends; it goes on from its last passed gate.",
)
SKIP = Control(
    do="skip",
    title="Skip",
    action=Action.RUN_STORY,
    tone="danger",
    asks="Why it is skipped",
    about="It leaves its sprint; its commits are kept.",
)
STORY: Mapping[StoryStatus, tuple[Control, ...]] = {
    StoryStatus.BACKLOG: (JOIN,),
    StoryStatus.WAITING: (STEER, STOP, SKIP),
    StoryStatus.RUNNING: (STEER, STOP, SKIP),
    StoryStatus.AWAITING_APPROVAL: (STOP, SKIP),
    StoryStatus.BLOCKED: (SUGGEST, SKIP),
    StoryStatus.STOPPED: (START, STEER, SKIP),
}
_PROJECT: Mapping[ProjectCommand, Control] = {
    ProjectCommand.START: Control(
        do="start-project", title="Start the project", action=Action.RUN_PROJECT, tone="first"
    ),
    ProjectCommand.PAUSE: Control(
        do="stop-project",
        title="Pause the project",
        action=Action.RUN_PROJECT,
        about="Nothing of it runs any more until it is started.",
    ),
    ProjectCommand.MAINTAIN: Control(
        do="maintain-project",
        title="Maintenance",
        action=Action.RUN_PROJECT,
        about="Nothing of it runs while something outside is mended; it is started again by hand.",
    ),
    ProjectCommand.REOPEN: Control(
        do="reopen-project",
        title="Reopen the project",
        action=Action.ARCHIVE_PROJECT,
        tone="first",
        about="It is there again with all its history, paused.",
    ),
    ProjectCommand.ARCHIVE: Control(
        do="archive-project",
        title="Archive the project",
        action=Action.ARCHIVE_PROJECT,
        tone="danger",
        asks="Its name: it is meant",
        required=True,
        about="All that is known of it goes to a file, its questions are withdrawn. It can be reopened.",
    ),
}
_SPRINT: Mapping[WorkflowCommand, Control] = {
    WorkflowCommand.SPRINT_START: Control(
        do="start-sprint", title="Start the sprint", action=Action.RUN_SPRINT, tone="first"
    ),
    WorkflowCommand.SPRINT_PLAN: Control(
        do="plan-sprint",
        title="Plan a sprint",
        action=Action.PLAN_SPRINT,
        asks="Its goal",
        about="Of the whole backlog.",
    ),
    WorkflowCommand.SPRINT_PAUSE: Control(
        do="pause-sprint",
        title="Pause the sprint",
        action=Action.RUN_SPRINT,
        about="No new phase starts; what runs comes to its end.",
    ),
    WorkflowCommand.SPRINT_RESUME: Control(
        do="resume-sprint", title="Resume the sprint", action=Action.RUN_SPRINT, tone="first"
    ),
    WorkflowCommand.FEEDBACK: Control(
        do="feedback",
        title="End the review",
        action=Action.REVIEW_WORK,
        tone="first",
        asks="What you say of the sprint",
        about="It is kept, and the next sprint can be planned.",
        required=True,
    ),
}
ACTIONS: Mapping[str, Action] = {
    one.do: one.action for one in (*sum(STORY.values(), ()), *_PROJECT.values(), *_SPRINT.values())
}
"""What each of them takes, by its `do`."""


def of_story(status: StoryStatus, may: Callable[[Action], bool]) -> tuple[Control, ...]:
    return tuple(one for one in STORY.get(status, ()) if may(one.action))


def of_project(
    status: ProjectStatus, workflow: WorkflowState, may: Callable[[Action], bool]
) -> tuple[Control, ...]:
    """Its sprint's first, while the project may work."""
    found = [one for command, one in _PROJECT.items() if (status, command) in PROJECT]
    if status is ProjectStatus.ACTIVE:
        found = [*(one for command, one in _SPRINT.items() if (workflow, command) in WORKFLOW), *found]
    return tuple(one for one in found if may(one.action))
