"""What a sprint came to: its stories with their evidence, and how the work fell."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from core.domain.burndown import Share, points_of, remaining
from core.domain.lifecycles import Phase
from core.domain.story import OVER, Cycle, Sprint, StoryState
from core.orchestrator import overview
from core.orchestrator.gate_events import summarise
from core.orchestrator.overview import Why
from core.orchestrator.views import Burndown, BurndownPoint, ReviewView, StoryResult, StoryView
from core.store import gates, sprints


def review(conn: sqlite3.Connection, sprint: Sprint, *, now: datetime, why: Why) -> ReviewView:
    """`now` is where the series ends while the sprint runs."""
    views = overview.story_views(conn, sprints.stories(conn, sprint.id), why)
    seen = gates.of_sprint(conn, sprint.id)
    started, ended = sprint.started_at, sprint.ended_at
    return ReviewView(
        sprint=sprint,
        results=tuple(_result(view, seen.get(view.story.id, ())) for view in views),
        burndown=_burndown(sprint, views, now),
        points_done=_points(views, done=True),
        points_planned=_points(views),
        seconds=None if started is None else ((ended or now) - started).total_seconds(),
    )


def burndown(conn: sqlite3.Connection, sprint: Sprint, *, now: datetime, why: Why) -> Burndown:
    return _burndown(sprint, overview.story_views(conn, sprints.stories(conn, sprint.id), why), now)


def _points(views: Sequence[StoryView], *, done: bool = False) -> int:
    return sum(
        points_of(view.story.estimate) for view in views if not done or view.story.state is StoryState.DONE
    )


def _burndown(sprint: Sprint, views: Sequence[StoryView], now: datetime) -> Burndown:
    total = _points(views)
    if sprint.started_at is None:
        return Burndown(sprint=sprint, total=total, actual=(), ideal=None)
    until = max(sprint.ended_at or now, sprint.started_at)
    shares = [
        Share(
            points=points_of(view.story.estimate),
            joined_at=view.cycle.started_at,
            ended_at=view.cycle.updated_at if view.story.state in OVER else None,
        )
        for view in views
        if view.cycle is not None  # it begins when the story joins a running sprint
    ]
    series = remaining(shares, start=sprint.started_at, until=until)
    actual = tuple(BurndownPoint(at=at, remaining=left) for at, left in series)
    ideal = (actual[0], BurndownPoint(at=until, remaining=0)) if actual[0].remaining else None
    return Burndown(sprint=sprint, total=total, actual=actual, ideal=ideal)


def _result(view: StoryView, seen: Sequence[gates.GateRow]) -> StoryResult:
    passed = [row for row in seen if row.verdict.passed]
    proof = next((row for row in reversed(passed) if row.phase is Phase.COMMIT), None)
    return StoryResult(
        view=view,
        seconds=_seconds(view.cycle) if view.story.state in OVER else None,
        refusals=len(seen) - len(passed),
        tests=len(proof.verdict.evidence.green) if proof is not None else 0,
        commit=view.cycle.merge_commit if view.cycle is not None else None,
        evidence=f"{passed[-1].phase}: {summarise(passed[-1].phase, passed[-1].verdict)}" if passed else "",
    )


def _seconds(cycle: Cycle | None) -> float | None:
    return None if cycle is None else (cycle.updated_at - cycle.started_at).total_seconds()
