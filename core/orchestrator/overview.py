"""Read-only pictures of the state, each from one read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from core.domain.approval import ApprovalKind
from core.domain.machine import allowed_commands
from core.domain.project import Project
from core.domain.story import Cycle, Story, StoryState, StoryStatus, status_of
from core.orchestrator.views import GateView, SprintView, StoryDetail, StoryView, WorkflowView
from core.store import approvals, cycles, gates, leases, sprints, stories

Why = Callable[[str], str]  # a story's id to what is known of it now, in one sentence


def story_view(conn: sqlite3.Connection, story: Story, why: Why) -> StoryView:
    cycle = cycles.get(conn, story.id)
    pending = [a for a in approvals.of_story(conn, story.id) if a.answered_at is None]
    leased = any(lease.story_id == story.id for lease in leases.held(conn, story.project))
    status = status_of(
        story,
        cycle,
        leased=leased,
        approval_pending=any(a.kind is ApprovalKind.MERGE for a in pending) or (leased and bool(pending)),
    )
    question = pending[0].question if pending else ""
    return StoryView(
        story=story, status=status, cycle=cycle, why=_why(status, cycle, question, why(story.id))
    )


def _why(status: StoryStatus, cycle: Cycle | None, question: str, known: str) -> str:
    match status:
        case StoryStatus.BLOCKED if cycle is not None:
            return cycle.blocked_reason
        case StoryStatus.AWAITING_APPROVAL:
            return question
        case StoryStatus.RUNNING if cycle is not None:
            return known or f"{cycle.state}, attempt {cycle.attempt}"
        case StoryStatus.WAITING:
            return known or "waits for a worker."
        case StoryStatus.DONE if cycle is not None and cycle.merge_commit:
            return f"merged as {cycle.merge_commit[:10]}"
        case _:
            return ""


def story_views(conn: sqlite3.Connection, chosen: tuple[Story, ...], why: Why) -> tuple[StoryView, ...]:
    return tuple(story_view(conn, story, why) for story in chosen)


def backlog(conn: sqlite3.Connection, project: str, why: Why) -> tuple[StoryView, ...]:
    chosen = stories.of_project(conn, project, states=(StoryState.BACKLOG, StoryState.PLANNED))
    return story_views(conn, chosen, why)


def sprint_view(conn: sqlite3.Connection, project: str, why: Why) -> SprintView | None:
    sprint = sprints.current(conn, project) or sprints.latest(conn, project)
    if sprint is None:
        return None
    return SprintView(sprint=sprint, stories=story_views(conn, sprints.stories(conn, sprint.id), why))


def story_detail(conn: sqlite3.Connection, story_id: str, why: Why) -> StoryDetail:
    story = stories.get(conn, story_id)
    return StoryDetail(
        view=story_view(conn, story, why),
        gates=tuple(
            GateView(phase=row.phase, attempt=row.attempt, at=row.at, verdict=row.verdict, commit=row.commit)
            for row in gates.of_story(conn, story_id)
        ),
        approvals=approvals.of_story(conn, story_id),
    )


def tally(views: tuple[StoryView, ...]) -> dict[str, int]:
    """How many stories run, wait, are blocked and are done."""
    return {
        "running": sum(view.status is StoryStatus.RUNNING for view in views),
        "waiting": sum(view.status in (StoryStatus.WAITING, StoryStatus.AWAITING_APPROVAL) for view in views),
        "blocked": sum(view.status is StoryStatus.BLOCKED for view in views),
        "done": sum(view.story.state is StoryState.DONE for view in views),
    }


def workflow_view(conn: sqlite3.Connection, project: Project) -> WorkflowView:
    return WorkflowView(
        project=project,
        state=project.workflow,
        allowed=allowed_commands(project.workflow),
        sprint=sprints.current(conn, project.name),
    )
