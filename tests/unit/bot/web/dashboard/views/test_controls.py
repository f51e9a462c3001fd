"""What is offered where a story or a project stands, to whom."""

from __future__ import annotations

import pytest

from bot.web.dashboard.views.controls import of_project, of_story
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.story import StoryStatus
from core.security.access import Action


def anybody(action: Action) -> bool:
    return True


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        (StoryStatus.BACKLOG, ["start"]),
        (StoryStatus.RUNNING, ["steer", "stop", "skip"]),
        (StoryStatus.BLOCKED, ["suggest", "skip"]),
        (StoryStatus.STOPPED, ["start", "steer", "skip"]),
        (StoryStatus.DONE, []),
    ],
)
def test_a_story_offers_what_its_state_allows(status: StoryStatus, offered: list[str]) -> None:
    assert [one.do for one in of_story(status, anybody)] == offered


def test_what_somebody_may_not_do_is_not_offered() -> None:
    found = of_story(StoryStatus.RUNNING, lambda action: action is Action.STEER_AGENT)
    assert [one.do for one in found] == ["steer"]
    assert of_project(ProjectStatus.ACTIVE, WorkflowState.SPRINT_ACTIVE, lambda action: False) == ()


@pytest.mark.parametrize(
    ("status", "workflow", "offered"),
    [
        (ProjectStatus.ACTIVE, WorkflowState.IDLE, ["stop-project", "maintain-project"]),
        (
            ProjectStatus.ACTIVE,
            WorkflowState.BACKLOG_READY,
            ["plan-sprint", "stop-project", "maintain-project"],
        ),
        (
            ProjectStatus.ACTIVE,
            WorkflowState.SPRINT_PLANNED,
            ["start-sprint", "plan-sprint", "stop-project", "maintain-project"],
        ),
        (
            ProjectStatus.ACTIVE,
            WorkflowState.SPRINT_ACTIVE,
            ["pause-sprint", "stop-project", "maintain-project"],
        ),
        (
            ProjectStatus.ACTIVE,
            WorkflowState.SPRINT_PAUSED,
            ["resume-sprint", "stop-project", "maintain-project"],
        ),
        (ProjectStatus.ACTIVE, WorkflowState.SPRINT_REVIEW, ["feedback", "stop-project", "maintain-project"]),
        (
            ProjectStatus.PAUSED,
            WorkflowState.SPRINT_ACTIVE,
            ["start-project", "maintain-project", "archive-project"],
        ),
        (ProjectStatus.ARCHIVED, WorkflowState.IDLE, ["reopen-project"]),
    ],
)
def test_a_project_offers_the_next_step_of_its_sprint(
    status: ProjectStatus, workflow: WorkflowState, offered: list[str]
) -> None:
    assert [one.do for one in of_project(status, workflow, anybody)] == offered
