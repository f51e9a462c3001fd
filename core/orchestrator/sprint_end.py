"""When a sprint is over, and when nothing in it can go on without a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.domain.burndown import points_of
from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowFact, WorkflowState
from core.domain.story import OVER, Cycle, Hold, Sprint, Story, StoryState
from core.store import cycles, gates, needs, projects, sprints
from core.store.transaction import Transaction

HELD = frozenset({Hold.STOPPED, Hold.TAKEN})


def settle_sprint(tx: Transaction, project: str) -> None:
    """Moves the workflow when the sprint is finished or stuck.

    A story that a person stopped or took is not finished; alone it makes nothing stuck, as they know of it.
    Nor does one that waits for another: it goes on by itself, unless nothing else does.
    """
    if projects.get(tx.conn, project).workflow is not WorkflowState.SPRINT_ACTIVE:
        return  # paused: looked at again when it resumes
    sprint = sprints.current(tx.conn, project)
    if sprint is None or sprint.started_at is None:
        return
    chosen = sprints.stories(tx.conn, sprint.id)
    if all(story.state in OVER for story in chosen):
        projects.move_workflow(tx, project, WorkflowFact.SPRINT_FINISHED, actor="orchard")
        sprints.end(tx, sprint.id)
        tx.emit(
            EventKind.SPRINT_FINISHED,
            project=project,
            data={
                "sprint": sprint.number,
                "goal": sprint.goal,
                "stories": {story.id: str(story.state) for story in chosen},
                "review": _summary(tx, sprint, chosen),
            },
        )
        return
    going = [cycles.get(tx.conn, story.id) for story in chosen if story.state not in OVER]
    held = needs.unmet(tx.conn, [cycle.story_id for cycle in going if cycle])
    still = all(_stands_still(cycle) or (cycle and cycle.story_id in held) for cycle in going)
    if still and any(cycle and cycle.blocked_reason for cycle in going):
        projects.move_workflow(tx, project, WorkflowFact.SPRINT_STUCK, actor="orchard")


def _summary(tx: Transaction, sprint: Sprint, chosen: Sequence[Story]) -> dict[str, Any]:
    """What the sprint came to, for the post that tells of its end; the whole is `Commands.review`."""
    done = [story for story in chosen if story.state is StoryState.DONE]
    begun = sprint.started_at
    return {
        "done": len(done),
        "planned": len(chosen),
        "points_done": sum(points_of(story.estimate) for story in done),
        "points_planned": sum(points_of(story.estimate) for story in chosen),
        "refusals": gates.count_refused(tx.conn, sprint.id),
        "seconds": None if begun is None else (tx.now - begun).total_seconds(),
    }


def _stands_still(cycle: Cycle | None) -> bool:
    return cycle is not None and (bool(cycle.blocked_reason) or cycle.hold in HELD)
