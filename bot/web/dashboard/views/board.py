"""A project's stories as a board: what waits, what runs, what needs a person, what is done. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.web.dashboard import signs
from bot.web.dashboard.views.overview import Question, Row
from core.domain.story import Sprint, StoryStatus
from core.orchestrator.views import StoryView

_COLUMNS: tuple[tuple[str, str, str, frozenset[StoryStatus]], ...] = (
    (
        "backlog",
        "Backlog",
        "later",
        frozenset({StoryStatus.PROPOSED, StoryStatus.BACKLOG, StoryStatus.PLANNED}),
    ),
    ("waits", "Waits", "wait", frozenset({StoryStatus.WAITING})),
    ("runs", "Runs", "run", frozenset({StoryStatus.RUNNING})),
    (
        "person",
        "Needs a person",
        "ask",
        frozenset(
            {StoryStatus.AWAITING_APPROVAL, StoryStatus.BLOCKED, StoryStatus.STOPPED, StoryStatus.TAKEN}
        ),
    ),
    (
        "over",
        "Done",
        "good",
        frozenset({StoryStatus.DONE, StoryStatus.SKIPPED, StoryStatus.ABORTED, StoryStatus.REMOVED}),
    ),
)
_MOST = 50  # cards of a column


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    id: str
    title: str
    sign: str
    word: str
    phase: str  # "" before and after its cycle
    steps: int  # phases behind it, of 5
    attempt: int
    why: str
    since: datetime
    priority: str
    estimate: int | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    key: str
    title: str
    sign: str
    cards: tuple[Card, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    row: Row  # the project's as the overview has it
    goal: str  # of the sprint
    number: int | None
    done: int
    planned: int
    columns: tuple[Column, ...]
    questions: tuple[Question, ...]
    merging: tuple[str, ...]  # story ids, the next first


def board(
    row: Row,
    sprint: Sprint | None,
    stories: Iterable[StoryView],
    questions: Sequence[Question],
    merging: Sequence[str],
) -> Board:
    """`stories`: of the backlog, the sprint and all at work; one may come twice."""
    every = list({view.story.id: view for view in stories}.values())
    own = [view for view in every if sprint is not None and view.story.sprint_id == sprint.id]
    return Board(
        row=row,
        goal=sprint.goal if sprint is not None else "",
        number=sprint.number if sprint is not None else None,
        done=sum(view.status is StoryStatus.DONE for view in own),
        planned=len(own),
        columns=tuple(_column(key, title, sign, states, every) for key, title, sign, states in _COLUMNS),
        questions=tuple(questions),
        merging=tuple(merging),
    )


def _column(
    key: str, title: str, sign: str, states: frozenset[StoryStatus], every: Sequence[StoryView]
) -> Column:
    found = [card_of(view) for view in every if view.status in states]
    if key == "over":
        found.sort(key=lambda card: card.since, reverse=True)
    return Column(key=key, title=title, sign=sign, cards=tuple(found[:_MOST]), count=len(found))


def card_of(view: StoryView) -> Card:
    cycle, story = view.cycle, view.story
    at_work = cycle is not None and cycle.state in signs.PHASES
    return Card(
        id=story.id,
        title=story.title,
        sign=signs.STORY[view.status],
        word=view.status.value,
        phase=signs.PHASE_NAMES.get(cycle.state, "") if cycle is not None else "",
        steps=signs.steps_of(cycle.state) if cycle is not None and at_work else 0,
        attempt=cycle.attempt if cycle is not None else 0,
        why=view.why,
        since=cycle.updated_at if cycle is not None else story.added_at,
        priority=story.priority.value,
        estimate=story.estimate,
        labels=story.labels,
    )
