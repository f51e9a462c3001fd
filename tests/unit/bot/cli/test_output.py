"""What is shown: it fits 80 columns, shows what others wrote as it is, and cannot steer the terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from bot.cli import output, output_answers, output_sprints, output_stories
from bot.cli.questions import Discovered, ProjectReport
from core.domain.approval import Approval, ApprovalKind, ApprovalState, Circle, Unanswered
from core.domain.lifecycles import ProjectStatus, WorkflowCommand, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority, Sprint, Story, StoryState, StoryStatus
from core.errors import NotAllowed
from core.orchestrator.views import (
    Candidate,
    ProjectView,
    Registration,
    SprintView,
    StoryView,
    SystemView,
    WorkerView,
    WorkflowView,
)

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LONG = "a-name-as-long-as-a-name-may-be-40-chars"
NASTY = "\x1b]0;owned\x07[bold]not markup[/bold] \u202eevil 日本語 " + "word " * 30


def project(name=LONG, status=ProjectStatus.INITIALIZING):
    return Project(
        name=name,
        path=Path(f"/home/user/projects/{name}/[x]/{'deep/' * 12}"),
        main_branch="main",
        status=status,
        workflow=WorkflowState.SPRINT_PLANNED,
        registered_at=AT,
    )


def view(name=LONG, **changes):
    fields = {
        "project": project(name),
        "priority": Priority.HIGH,
        "worker": WorkerView(state="quarantined", detail=NASTY),
        "running": 3,
        "waiting": 12,
        "blocked": 1,
        "done": 140,
        "pending_approvals": 2,
        "not_in_force": ("work_hours.timezone",),
    }
    return ProjectView(**{**fields, **changes})


def story(number=1):
    return StoryView(
        story=Story(
            id=f"{LONG}-{number}",
            project=LONG,
            number=number,
            title=NASTY,
            body=NASTY,
            acceptance_criteria=("a",),
            priority=Priority.CRITICAL,
            state=StoryState.ACTIVE,
            sprint_id="sprint_1",
            added_by="cli",
            added_at=AT,
        ),
        status=StoryStatus.AWAITING_APPROVAL,
        cycle=None,
        why=NASTY,
    )


def approval(**changes):
    fields = {
        "id": "approval_0123456789ab",
        "project": LONG,
        "story_id": f"{LONG}-1",
        "kind": ApprovalKind.MERGE,
        "question": NASTY,
        "detail": f"+added [red]\n-{NASTY}\n",
        "reasons": (NASTY, "too many lines"),
        "subject": "merge",
        "state": ApprovalState.PENDING,
        "asked_at": AT,
    }
    return Approval(**{**fields, **changes})


def system(**changes):
    fields = {
        "running": True,
        "startup_complete": True,
        "started_at": AT,
        "projects": (view(), view("shop", problem="The settings of shop have one mistake:\n  " + NASTY)),
        "pending_approvals": (approval(),),
        "isolation": "filesystem",
        "discord": "connected as Orchard",
        "cpu_percent": 12.0,
        "memory_percent": 34.0,
        "unusable": {"gone": NASTY},
    }
    return SystemView(**{**fields, **changes})


def report():
    sprint = Sprint(
        id="sprint_1", project=LONG, number=4, goal=NASTY, planned_at=AT, started_at=AT, ended_at=None
    )
    return ProjectReport(
        project=view(),
        workflow=WorkflowView(
            project=project(),
            state=WorkflowState.SPRINT_PLANNED,
            allowed=tuple(WorkflowCommand),
            sprint=sprint,
        ),
        backlog=(story(1), story(2)),
        sprint=SprintView(sprint=sprint, stories=(story(1),)),
    )


def discovered():
    candidates = (
        Candidate(path=str(project().path), name=LONG, reasons=(NASTY, "pyproject.toml (Python)")),
        Candidate(path="/srv/shop", name="shop", reasons=("git repository",), registered_as="shop"),
    )
    return Discovered(candidates=candidates, registered=(), refused=(NASTY,))


@pytest.fixture(
    params=[
        lambda: output.system(system()),
        lambda: output.projects([view(), view("shop", problem=NASTY)]),
        lambda: output_sprints.report(report()),
        lambda: output_answers.approvals([approval(), approval()]),
        lambda: output_answers.approval(approval()),
        lambda: output_answers.answered(approval(state=ApprovalState.REJECTED, answered_at=AT, reason=NASTY)),
        lambda: output.registered(Registration(project=project(), notes=(NASTY,))),
        lambda: output.discovered(discovered()),
        lambda: output.failure(NotAllowed(NASTY, why=NASTY, hint=NASTY)),
        lambda: output_stories.story_added(story().story),
    ]
)
def everything(request):
    return request.param()


def test_it_fits_80_columns(shown, everything):
    text = shown(everything)
    assert text.strip()
    # A path or name without a space may be longer than the line; no line of words is.
    assert [line for line in text.splitlines() if cell_len(line.rstrip()) > 80] == []


def test_it_neither_steers_the_terminal_nor_reads_markup(shown, everything):
    text = shown(everything, width=1000)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[bold]not markup[/bold]" in text


def test_the_status_begins_as_the_first_documentation_shows_it(shown):
    lines = shown(
        output.system(system(projects=(view("a"),), pending_approvals=(), unusable={}))
    ).splitlines()
    assert [line.rstrip() for line in lines[:5]] == [
        "🎛️  Multi-Project Orchestrator Status",
        "Running: True",
        "Startup Complete: True",
        "Projects: 1",
        "Active: 0",
    ]


def test_projects_look_as_the_first_documentation_shows_them(shown):
    active = Project(
        name="frontend-app",
        path=Path("/home/user/projects/frontend-app"),
        main_branch="main",
        status=ProjectStatus.ACTIVE,
        workflow=WorkflowState.IDLE,
        registered_at=AT,
    )
    one = view(project=active, not_in_force=())
    assert shown(output.projects([one])).splitlines() == [
        "📋 Registered Projects:",
        "  🟢 frontend-app (🟠 high)",
        "    Path: /home/user/projects/frontend-app",
        "    Status: active",
    ]


def test_what_cannot_work_is_told_with_the_projects(shown):
    text = shown(output.system(system(unusable={"gone": "There is no folder /gone."})))
    assert "⚠ gone: There is no folder /gone." in text
    assert "⚠ shop: The settings of shop have one mistake:" in text


def test_hints_are_for_the_place_where_they_are_read(shown):
    pending = approval(id="approval_1")
    assert "→ orchard approve approval_1 --reject REASON" in shown(output_answers.approvals([pending]))
    in_shell = shown(output_answers.approvals([pending], in_shell=True))
    assert "→ reject approval_1 REASON" in in_shell
    assert "orchard approve" not in in_shell


def test_a_question_says_who_may_answer_until_when_and_what_then(shown):
    asked = approval(
        circle=Circle(roles=("qa",)), due_at=AT + timedelta(minutes=30), unanswered=Unanswered.ESCALATE
    )
    for text in (shown(output_answers.approvals([asked]), 200), shown(output_answers.approval(asked), 200)):
        assert "Who may answer in Discord: the role qa, administrators and higher" in text
        assert f"Until {asked.due_at:%Y-%m-%d %H:%M} UTC; unanswered by then, these are asked as well" in text
    assert "Until" not in shown(output_answers.approvals([approval()]))


def test_an_answered_question_says_who_when_and_why(shown):
    done = approval(state=ApprovalState.REJECTED, answered_at=AT, answered_by="discord:42", reason="too big")
    text = shown(output_answers.approval(done), 200)
    assert f"Rejected by discord:42, {AT:%Y-%m-%d %H:%M} UTC: too big" in text
    assert "Who may answer" not in text


def test_an_answered_approval_is_not_asked_again(shown):
    done = approval(state=ApprovalState.APPROVED, answered_at=AT, answered_by="cli")
    assert "orchard approve" not in shown(output_answers.approval(done))
