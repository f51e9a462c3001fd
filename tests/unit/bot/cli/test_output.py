"""What is shown: it fits 80 columns, shows what others wrote as it is, and cannot steer the terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from bot.cli import output, output_answers, output_epics, output_sprints, output_stories
from bot.cli.questions import Discovered, ProjectReport
from core.domain.approval import Approval, ApprovalKind, ApprovalState, Circle, Unanswered
from core.domain.event import Event, EventKind
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase, ProjectStatus, WorkflowCommand, WorkflowState
from core.domain.project import Project
from core.domain.story import Epic, EpicState, Priority, Sprint, Story, StoryState, StoryStatus
from core.errors import NotAllowed
from core.orchestrator.resource_views import Metrics
from core.orchestrator.views import (
    Burndown,
    BurndownPoint,
    CyclesView,
    Digest,
    EpicView,
    GateView,
    ImportView,
    OverlapView,
    ProjectView,
    Registration,
    ReviewView,
    RunView,
    SprintView,
    StoryDetail,
    StoryResult,
    StoryView,
    SystemView,
    TakeoverView,
    WorkerView,
    WorkflowView,
)
from core.projects.discovery import FoundFolder
from core.worker.contract import SuiteReport

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LONG = "a-name-as-long-as-a-name-may-be-40-chars"
HOURS = timedelta(hours=2)
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


def story(number=1, status=StoryStatus.AWAITING_APPROVAL):
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
            labels=(NASTY,),
            links=("https://example.org/[x]",),
        ),
        status=status,
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


FIGURES = Metrics(
    resource_efficiency=0.8749,
    average_cycle_time_hours=2.31,
    total_stories_completed=1042,
    system_health_score=0.92,
    parts={"workers": 1.0, "flow": 0.84, "outcomes": 0.9, "memory": 1.0, "disk": 1.0},
)


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


def detail():
    refusal = Refusal(code=RefusalCode.STILL_RED, sentence=NASTY)
    verdict = Verdict(phase=Phase.CODE_GREEN, refusals=(refusal,), evidence=Evidence())
    gate = GateView(phase=Phase.CODE_GREEN, attempt=2, at=AT, verdict=verdict, commit=None)
    return StoryDetail(view=story(), gates=(gate,), approvals=(approval(),))


def cycles():
    overlap = OverlapView(first=f"{LONG}-1", later=f"{LONG}-2", files=(NASTY, "b.py"))
    return CyclesView(project=LONG, stories=(story(),), overlaps=(overlap,), merging=(f"{LONG}-1",))


def event():
    data = {"phase": "design", "summary": NASTY}
    return Event(kind=EventKind.GATE_REFUSED, at=AT, project=LONG, actor="discord:42", data=data)


def run(**changes):
    fields = {
        "story_id": None,
        "commit": "a" * 40,
        "passed": 3,
        "failed": (),
        "failed_count": 0,
        "skipped": 1,
    }
    rest = {"skipped": 1, "seconds": 1.5, "exit_code": 0, "exit_code_only": False}
    return RunView(project=LONG, report=SuiteReport(**{**fields, **rest, **changes}))


def epic(state=EpicState.PROPOSED):
    value = Epic(
        id=f"{LONG}-e1",
        project=LONG,
        number=1,
        text=NASTY,
        state=state,
        asked_by="cli",
        asked_at=AT,
        attempt=1,
        generation=1,
        feedback="",
        session_id=None,
        error="",
    )
    return EpicView(epic=value, stories=(story(), story(2, StoryStatus.PROPOSED)), why=NASTY)


def reviewed(**changes):
    fields = {"id": "s", "project": LONG, "number": 1, "goal": NASTY, "planned_at": AT, "started_at": AT}
    rest = {"ended_at": AT + HOURS, "retrospective": NASTY, "reviewed_by": "cli", "reviewed_at": AT}
    return Sprint(**{**fields, **rest, **changes})


def burnt(points, hours, total=4):
    """`points` as (hours since the begin, what was left)."""
    actual = tuple(BurndownPoint(at=AT + timedelta(hours=at), remaining=left) for at, left in points)
    ideal = (
        BurndownPoint(at=AT, remaining=total),
        BurndownPoint(at=AT + timedelta(hours=hours), remaining=0),
    )
    return Burndown(sprint=reviewed(), total=total, actual=actual, ideal=ideal)


def review():
    result = StoryResult(view=story(), seconds=7200.0, refusals=2, tests=3, commit="a" * 40, evidence=NASTY)
    curve = burnt([(0, 4), (1, 2), (2, 2)], 4)
    return ReviewView(
        sprint=reviewed(), results=(result,), burndown=curve, points_done=2, points_planned=4, seconds=60.0
    )


def digest():
    return Digest(
        project=LONG,
        after=1,
        last=9,
        since=AT,
        until=AT + HOURS,
        merged=(story(),),
        blocked=(story(),),
        questions=(approval(),),
        finished_sprints=(reviewed(),),
        counts=dict.fromkeys(EventKind, 2),
        posts={},
    )


def imported(**changes):
    fields = {"project": LONG, "waiting": (), "done": 0, "known": 0, "epics": 0, "sprints": 0, "notes": ()}
    return ImportView(**{**fields, "kept": "/srv/shop/.orch-state/imported/1", **changes})


def discovered():
    candidates = (
        FoundFolder(path=str(project().path), name=LONG, reasons=(NASTY, "pyproject.toml (Python)")),
        FoundFolder(path="/srv/shop", name="shop", reasons=("git repository",), registered_as="shop"),
    )
    return Discovered(candidates=candidates, registered=(), refused=(NASTY,))


@pytest.fixture(
    params=[
        lambda: output.system(system()),
        lambda: output.system(system(figures=FIGURES)),
        lambda: output.projects([view(), view("shop", problem=NASTY)]),
        lambda: output_sprints.report(report()),
        lambda: output_answers.approvals([approval(), approval()]),
        lambda: output_answers.approval(approval()),
        lambda: output_answers.answered(approval(state=ApprovalState.REJECTED, answered_at=AT, reason=NASTY)),
        lambda: output.registered(Registration(project=project(), notes=(NASTY,))),
        lambda: output.discovered(discovered()),
        lambda: output.failure(NotAllowed(NASTY, why=NASTY, hint=NASTY)),
        lambda: output_stories.story_added(story().story),
        lambda: output_stories.story(detail()),
        lambda: output_stories.cycles(cycles(), AT),
        lambda: output_stories.log(f"{LONG}-1", [event()], f"10:00:00 prompt: x\n{NASTY}"),
        lambda: output_stories.taken(TakeoverView(view=story(), path=NASTY, branch="orchard/a-1")),
        lambda: output_stories.tests_ran(run(failed=(NASTY,), failed_count=3, exit_code=1, output=NASTY)),
        lambda: output_stories.tests_ran(run(error=NASTY)),
        lambda: output_epics.epic(epic()),
        lambda: output_epics.epics(LONG, [epic(), epic(EpicState.FAILED)]),
        lambda: output_epics.backlog(LONG, [story(), story(2, StoryStatus.PROPOSED)]),
        lambda: output_sprints.review(review()),
        lambda: output_sprints.history([reviewed()], NASTY),
        lambda: output_sprints.digest(digest()),
        lambda: output.imported(imported(waiting=(NASTY,), notes=(NASTY,))),
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


def test_the_figures_have_the_names_of_the_first_documentation(shown):
    lines = [line.rstrip() for line in shown(output.figures(FIGURES), width=100).splitlines()]
    assert lines == [
        "resource_efficiency 0.87  last 24 hours",
        "average_cycle_time_hours 2.3",
        "total_stories_completed 1,042",
        "system_health_score 0.92  workers 1.00 · flow 0.84 · outcomes 0.90 · memory 1.00 · disk 1.00",
    ]


def test_a_figure_without_facts_says_so(shown):
    nothing = Metrics(
        resource_efficiency=None,
        average_cycle_time_hours=None,
        total_stories_completed=None,
        system_health_score=None,
    )
    text = shown(output.system(system(figures=nothing)))
    assert text.count("no data") == 4


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


def test_a_burndown_falls_as_the_points_do():
    view = burnt([(0, 4), (1, 2), (2, 2)], 4)
    assert output_sprints.chart(view, columns=8, rows=4) == [
        "    4 │█",
        "    3 │█··",
        "    2 │████·",
        "    1 │████ ··",
        "    0 └────────",
        "       01-02 03:04 01-02 07:04",
    ]


def test_a_burndown_of_one_moment_and_of_a_large_sprint():
    now = burnt([(0, 1)], 0, total=1)
    assert output_sprints.chart(now, columns=4)[0].startswith("    1 │█")
    assert len(output_sprints.chart(burnt([(0, 500), (1, 0)], 1, total=500))) == 14


def test_a_burndown_of_a_sprint_that_has_not_started_says_so(shown):
    view = Burndown(sprint=reviewed(started_at=None, ended_at=None), total=3, actual=(), ideal=None)
    text = shown(output_sprints.burndown(view))
    assert "3 of 3 points left, planned, not started" in text
    assert "once the sprint has started" in text


def test_the_log_shows_what_the_agent_said_last_and_all_when_asked(shown):
    said = "# code_green-1\n\n10:00:00 prompt: Do it.\n    All.\n10:00:01 agent: first\n"
    said += "10:00:02 prompt: More.\n10:00:03 agent: last"
    short = shown(output_stories.log("shop-1", [], said))
    assert "last" in short
    assert "first" not in short
    assert "→ With its prompt: orchard log shop-1 --all" in short
    assert "log shop-1 all" in shown(output_stories.log("shop-1", [], said, in_shell=True))
    whole = shown(output_stories.log("shop-1", [], said, whole=True))
    assert "prompt: Do it." in whole
    assert "With its prompt" not in whole
    assert "The last turn" not in shown(output_stories.log("shop-1", [], " "))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"waiting": ("a", "b")}, "✓ 2 stories came into the backlog of shop."),
        (
            {"waiting": ("a",), "done": 3, "epics": 1, "sprints": 2},
            "✓ 1 story came into the backlog of shop, 3 done there already, 1 epic, 2 finished sprints.",
        ),
        ({"known": 4}, "✓ 0 stories came into the backlog of shop, 4 had come before."),
        ({"waiting": ("a",), "kept": ""}, "✓ 1 story would come into the backlog of shop."),
    ],
)
def test_an_import_says_what_there_is_to_say(shown, changes, said):
    assert shown(output.imported(imported(project="shop", **changes)), 200).splitlines()[0] == said


def test_an_import_says_what_comes_next(shown):
    took = imported(project="shop", waiting=tuple(f"wish {n}" for n in range(25)))
    text = shown(output.imported(took), 200)
    assert "+ wish 19" in text
    assert "and 5 more" in text
    assert "→ Choose a sprint: orchard do plan shop" in text
    look = imported(project="shop", kept="")
    assert "→ Take it over: orchard import shop" in shown(output.imported(look))
    assert "→ Take it over: import shop" in shown(output.imported(look, in_shell=True))


def test_a_merge_is_logged_with_its_short_commit(shown):
    merged = Event(kind=EventKind.STORY_MERGED, at=AT, data={"commit": "a" * 40, "branch": "main"})
    assert "story merged: aaaaaaaaaa\n" in shown(output_stories.log("shop-1", [merged], ""))


def test_tests_that_failed_are_no_success():
    assert output_stories.tests_good(run())
    for changes in ({"failed_count": 1}, {"exit_code": 2}, {"error": "No runner."}):
        assert not output_stories.tests_good(run(**changes))
