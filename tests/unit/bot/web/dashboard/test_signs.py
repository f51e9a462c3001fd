"""Every state has a sign, and what needs a person comes first."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.web.dashboard import signs
from bot.web.dashboard.views.overview import overview
from core.domain.alert import Severity
from core.domain.budget import Amounts
from core.domain.lifecycles import CycleState, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority, StoryStatus
from core.orchestrator.budget_views import BudgetsView
from core.orchestrator.views import ProjectView, WorkerView

AT = datetime(2026, 5, 1, tzinfo=UTC)
MARKS = {"later", "wait", "run", "ask", "bad", "held", "good", "gone"}


def view(name="shop", *, status=ProjectStatus.ACTIVE, workflow=WorkflowState.SPRINT_ACTIVE, **counts):
    return ProjectView(
        project=Project(
            name=name, path=Path("/x"), main_branch="main", status=status, workflow=workflow, registered_at=AT
        ),
        priority=Priority.NORMAL,
        worker=WorkerView(state="running"),
        **{"running": 0, "waiting": 0, "blocked": 0, "done": 0, "pending_approvals": 0, **counts},
    )


def test_every_state_of_a_story_a_workflow_and_an_alert_has_a_sign():
    assert set(signs.STORY) == set(StoryStatus)
    assert set(signs.WORKFLOW) == set(WorkflowState)
    assert set(signs.SEVERITY) == set(Severity)
    assert set(signs.STORY.values()) <= MARKS


@pytest.mark.parametrize("status", list(ProjectStatus))
@pytest.mark.parametrize("workflow", list(WorkflowState))
def test_every_project_has_a_mark_and_a_word(status, workflow):
    sign, word = signs.of_project(view(status=status, workflow=workflow))
    assert sign in MARKS
    assert word


@pytest.mark.parametrize(
    ("counts", "sign"),
    [
        ({"running": 1, "blocked": 1, "pending_approvals": 1}, "bad"),
        ({"running": 1, "pending_approvals": 1}, "ask"),
        ({"running": 1, "waiting": 3}, "run"),
        ({"waiting": 3}, "wait"),
        ({"running": 1, "problem": "settings.yaml:3: no such key"}, "bad"),
    ],
)
def test_what_needs_a_person_is_the_sign(counts, sign):
    assert signs.of_project(view(**counts))[0] == sign


def test_projects_that_need_a_person_stand_first():
    projects = [view("quiet", workflow=WorkflowState.IDLE), view("busy", running=1), view("stuck", blocked=1)]
    nothing = BudgetsView(at=AT, projects=(), total=Amounts())
    made = overview(projects, (), (), None, nothing, {"busy": 0.5}, {})
    assert [row.name for row in made.rows] == ["stuck", "busy", "quiet"]
    assert [row.health for row in made.rows] == [None, 0.5, None]  # what was not seen is not 0
    assert [row.cost.today for row in made.rows] == [None] * 3


def test_a_storys_way_goes_up_to_its_end():
    ways = [signs.steps_of(state) for state in (*signs.PHASES, CycleState.DONE)]
    assert ways == sorted(ways)
    assert (ways[0], ways[-1]) == (0, 5)


def test_each_mark_has_a_shape_of_its_own():
    kit = (Path(signs.__file__).parents[1] / "templates/dashboard/kit.html").read_text()
    named = set(re.findall(r'sign == "(\w+)"', kit))
    assert MARKS - named == {"gone"}  # the last one, for all else
