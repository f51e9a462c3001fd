"""A task as the API tells it and takes it: the models, and a story as one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field

from bot.web.api.route import Body
from core.domain import wording
from core.domain.github import Address
from core.domain.lifecycles import Phase
from core.domain.story import Priority, StoryStatus
from core.orchestrator.views import ChangesView, GateView, StoryDetail, StoryView

_Criterion = Annotated[str, Field(max_length=wording.CRITERION_CHARACTERS)]
_Label = Annotated[str, Field(max_length=wording.LABEL_CHARACTERS)]
_Link = Annotated[str, Field(max_length=wording.LINK_CHARACTERS)]
_Priority = Annotated[Priority, Field(strict=False)]
_Text = Annotated[str, Field(max_length=wording.TEXT_CHARACTERS)]
_Title = Annotated[str, Field(min_length=1, max_length=wording.TITLE_CHARACTERS)]
_Estimate = Annotated[int, Field(ge=0, le=wording.LARGEST_ESTIMATE, description="In points.")]
_Criteria = Annotated[list[_Criterion], Field(max_length=wording.CRITERIA)]
_Labels = Annotated[list[_Label], Field(max_length=wording.LABELS)]
_Links = Annotated[list[_Link], Field(max_length=wording.LINKS)]
_Needs = Annotated[list[str], Field(max_length=100, description="Tasks that have to be done first.")]


class Task(BaseModel):
    id: str
    project: str
    number: int
    title: str
    body: str
    acceptance_criteria: tuple[str, ...]
    priority: Priority
    status: StoryStatus
    why: str = Field(description="One sentence: what it waits for, what runs, why it is blocked.")
    estimate: int | None = Field(description="In points.")
    labels: tuple[str, ...]
    links: tuple[str, ...]
    needs: tuple[str, ...]
    sprint: str | None
    epic: str | None
    added_by: str
    added_at: datetime
    phase: str | None = Field(description="Of its cycle; null: it has none.")
    attempt: int | None
    started_at: datetime | None
    updated_at: datetime | None
    merge_commit: str | None
    addresses: tuple[Address, ...] = Field(description="On GitHub: its issue, its pull request.")


class Gate(BaseModel):
    phase: Phase
    attempt: int
    at: datetime
    passed: bool
    commit: str | None
    refusals: tuple[str, ...] = Field(description="Sentences: why it refused.")


class Question(BaseModel):
    id: str
    kind: str
    question: str
    state: str
    asked_at: datetime
    answered_at: datetime | None
    answered_by: str | None


class TaskDetail(Task):
    gates: tuple[Gate, ...] = Field(description="What proved or refused its phases, the oldest first.")
    approvals: tuple[Question, ...]
    spec: str = Field(description="Its design, Markdown of its agent.")


class ChangesOf(StrEnum):
    """Of a task's files."""

    PASSED = "passed"
    NOW = "now"


class Changes(BaseModel):
    task: str
    base: str | None = Field(description="The commit that it started from; null: its work has not begun.")
    commit: str | None = Field(description="Of its last passed gate; null: of none, or as its files are now.")
    diff: str = Field(description="Unified; empty: nothing differs.")
    left_out: tuple[str, ...] = Field(description="Sentences: what the diff does not show.")


class NewTask(Body):
    title: _Title
    body: _Text = ""
    acceptance_criteria: _Criteria = []  # noqa: RUF012 - pydantic copies it
    priority: _Priority = Priority.NORMAL
    estimate: _Estimate | None = None
    labels: _Labels = []  # noqa: RUF012
    needs: _Needs = []  # noqa: RUF012
    links: _Links = []  # noqa: RUF012


class TaskChange(Body):
    """What is given is changed; an estimate of null is taken away."""

    title: _Title | None = None
    body: _Text | None = None
    acceptance_criteria: _Criteria | None = None
    estimate: _Estimate | None = None
    labels: _Labels | None = None
    needs: _Needs | None = None
    links: _Links | None = None


class Rank(Body):
    priority: _Priority | None = None
    place: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="Among those of its priority: top, bottom, before shop-3."
    )


class Reason(Body):
    reason: _Text = ""


class Said(Body):
    text: _Text


def task_of(view: StoryView) -> Task:
    return Task(**_fields(view))


def detail_of(found: StoryDetail) -> TaskDetail:
    cycle = found.view.cycle
    return TaskDetail(
        **_fields(found.view),
        gates=_gates(found.gates),
        approvals=tuple(
            Question(
                id=each.id,
                kind=each.kind,
                question=each.question,
                state=each.state,
                asked_at=each.asked_at,
                answered_at=each.answered_at,
                answered_by=each.answered_by,
            )
            for each in found.approvals
        ),
        spec="" if cycle is None else cycle.spec,
    )


def changes_of(found: ChangesView) -> Changes:
    return Changes(
        task=found.story_id,
        base=found.base,
        commit=found.commit,
        diff=found.text,
        left_out=found.left_out,
    )


def _gates(found: Sequence[GateView]) -> tuple[Gate, ...]:
    return tuple(
        Gate(
            phase=each.phase,
            attempt=each.attempt,
            at=each.at,
            passed=each.verdict.passed,
            commit=each.commit,
            refusals=tuple(refusal.sentence for refusal in each.verdict.refusals),
        )
        for each in found
    )


def _fields(view: StoryView) -> dict[str, Any]:
    story, cycle = view.story, view.cycle
    return {
        "id": story.id,
        "project": story.project,
        "number": story.number,
        "title": story.title,
        "body": story.body,
        "acceptance_criteria": story.acceptance_criteria,
        "priority": story.priority,
        "status": view.status,
        "why": view.why,
        "estimate": story.estimate,
        "labels": story.labels,
        "links": story.links,
        "needs": view.needs,
        "sprint": story.sprint_id,
        "epic": story.epic_id,
        "added_by": story.added_by,
        "added_at": story.added_at,
        "phase": None if cycle is None else str(cycle.state),
        "attempt": None if cycle is None else cycle.attempt,
        "started_at": None if cycle is None else cycle.started_at,
        "updated_at": None if cycle is None else cycle.updated_at,
        "merge_commit": None if cycle is None else cycle.merge_commit,
        "addresses": view.addresses,
    }
