"""All projects at a glance: a row each, those that need a person first. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.web.dashboard import signs
from core.domain.approval import Approval
from core.domain.budget import Scope, Unit
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.story import StoryStatus
from core.ids import project_of
from core.orchestrator.budget_views import BudgetsView, ProjectBudgets
from core.orchestrator.resource_views import ProjectResources, ResourcesView, ResourceView
from core.orchestrator.views import ProjectView, StoryView

_SHOWN_AT_WORK = 3
_ORDER = ("bad", "ask", "run", "wait", "held", "later", "good", "gone")
_AT_WORK = (StoryStatus.RUNNING, StoryStatus.AWAITING_APPROVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A story that runs."""

    id: str
    title: str
    sign: str
    phase: str
    steps: int  # phases behind it, of 5
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Dollars; `percent`: of the nearest limit, None without one."""

    today: float | None
    total: float | None
    percent: int | None
    level: str = "fine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`share` and `entitled`: dominant shares, 0 to 1. `health`: 0 to 1, None: no data."""

    name: str
    sign: str
    word: str
    workflow: str
    status: ProjectStatus
    state: WorkflowState
    at_work: tuple[AtWork, ...]
    more: int  # that run and are not shown
    running: int  # agents at work on a phase
    waiting: int
    blocked: int
    done: int
    why: str  # why it waits, or does nothing
    share: float | None
    entitled: float | None
    agents: int
    health: float | None
    cost: Cost
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    id: str
    project: str
    story: str
    kind: str
    text: str
    asked_at: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One resource of the whole machine."""

    label: str
    unit: str
    used: float | None
    limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    rows: tuple[Row, ...]
    questions: tuple[Question, ...]
    meters: tuple[Meter, ...]
    pressure: str  # why the machine holds starts back
    troubles: tuple[tuple[str, str], ...]  # projects that could not be taken in, and why


def overview(
    projects: Sequence[ProjectView],
    stories: Sequence[StoryView],
    approvals: Sequence[Approval],
    resources: ResourcesView | None,
    budgets: BudgetsView,
    health: Mapping[str, float],
    unusable: Mapping[str, str],
) -> Overview:
    at_work: dict[str, list[StoryView]] = {}
    for story in stories:
        at_work.setdefault(project_of(story.story.id), []).append(story)
    shares = {one.project: one for one in resources.projects} if resources is not None else {}
    spent = {one.project: one for one in budgets.projects}
    rows = [
        row_of(
            view,
            at_work.get(view.project.name, ()),
            shares.get(view.project.name),
            spent.get(view.project.name),
            health.get(view.project.name),
        )
        for view in projects
    ]
    return Overview(
        rows=tuple(sorted(rows, key=lambda row: (_ORDER.index(row.sign), row.name))),
        questions=tuple(question_of(one) for one in approvals),
        meters=tuple(meter_of(one) for one in resources.total) if resources is not None else (),
        pressure=resources.pressure if resources is not None else "",
        troubles=tuple(sorted(unusable.items())),
    )


def row_of(
    view: ProjectView,
    stories: Sequence[StoryView],
    share: ProjectResources | None,
    budgets: ProjectBudgets | None,
    health: float | None,
) -> Row:
    sign, word = signs.of_project(view)
    running = [one for one in stories if one.status in _AT_WORK]
    return Row(
        name=view.project.name,
        sign=sign,
        word=word,
        workflow=signs.WORKFLOW[view.project.workflow],
        status=view.project.status,
        state=view.project.workflow,
        at_work=tuple(at_work_of(one) for one in running[:_SHOWN_AT_WORK]),
        more=max(0, len(running) - _SHOWN_AT_WORK),
        running=view.running,
        waiting=view.waiting,
        blocked=view.blocked,
        done=view.done,
        why=_why(view, stories, share),
        share=share.share if share is not None else None,
        entitled=share.entitled if share is not None else None,
        agents=share.running if share is not None else 0,
        health=health,
        cost=cost_of(budgets),
        questions=view.pending_approvals,
    )


def at_work_of(view: StoryView) -> AtWork:
    assert view.cycle is not None  # it runs
    return AtWork(
        id=view.story.id,
        title=view.story.title,
        sign=signs.STORY[view.status],
        phase=signs.PHASE_NAMES.get(view.cycle.state, view.cycle.state.value),
        steps=signs.steps_of(view.cycle.state),
        since=view.cycle.updated_at,
    )


def _why(view: ProjectView, stories: Sequence[StoryView], share: ProjectResources | None) -> str:
    """Why nothing more happens, in one sentence; "" where all that can run does."""
    if view.problem:
        return view.problem
    blocked = next((one for one in stories if one.status is StoryStatus.BLOCKED), None)
    if blocked is not None:
        return f"{blocked.story.id} is blocked: {_first_line(blocked.why)}"
    if share is not None and share.barred:
        return share.barred
    waiting = next((one for one in stories if one.status is StoryStatus.WAITING), None)
    if waiting is not None:
        return f"{waiting.story.id} {_first_line(waiting.why)}"  # "waits: ..."
    return ""


def _first_line(text: str) -> str:
    """Where the first only announces the next ("The last refusal:"), both."""
    first, _, rest = text.strip().partition("\n")
    if not first.endswith(":"):
        return first
    return f"{first} {rest.strip().partition(chr(10))[0].removeprefix('- ')}".strip()


def cost_of(budgets: ProjectBudgets | None) -> Cost:
    """Of the project and its day; what it never spent is no data, not 0."""
    if budgets is None:
        return Cost(today=None, total=None, percent=None)
    money = {
        budget.scope: unit
        for budget in budgets.budgets
        for unit in budget.units
        if unit.unit is Unit.MICRODOLLARS and budget.scope is not Scope.STORY
    }
    percents = [unit.percent for one in budgets.budgets for unit in one.units if unit.percent is not None]
    worst = max((one.level for one in budgets.budgets), key=["fine", "near", "reached"].index, default="fine")
    day, whole = money.get(Scope.DAY), money.get(Scope.PROJECT)
    return Cost(
        today=day.spent / 1e6 if day is not None else None,
        total=whole.spent / 1e6 if whole is not None else None,
        percent=max(percents, default=None),
        level=str(worst),
    )


def question_of(asked: Approval) -> Question:
    return Question(
        id=asked.id,
        project=asked.project,
        story=asked.story_id,
        kind=asked.kind.value,
        text=asked.question,
        asked_at=asked.asked_at,
        due_at=asked.due_at,
    )


def meter_of(view: ResourceView) -> Meter:
    used = view.used if view.used is not None else view.reserved
    return Meter(label=view.resource, unit=view.unit, used=used, limit=view.limit)
