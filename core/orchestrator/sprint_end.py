"""When a sprint is over, and when nothing in it can go on without a person."""

from __future__ import annotations

from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowFact, WorkflowState
from core.domain.story import OVER, Cycle, Hold
from core.store import cycles, projects, sprints
from core.store.transaction import Transaction

HELD = frozenset({Hold.STOPPED, Hold.TAKEN})


def settle_sprint(tx: Transaction, project: str) -> None:
    """Moves the workflow when the sprint is finished or stuck.

    A story that a person stopped or took is not finished; alone it makes nothing stuck, as they know of it.
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
            },
        )
        return
    going = [cycles.get(tx.conn, story.id) for story in chosen if story.state not in OVER]
    if all(map(_stands_still, going)) and any(cycle and cycle.blocked_reason for cycle in going):
        projects.move_workflow(tx, project, WorkflowFact.SPRINT_STUCK, actor="orchard")


def _stands_still(cycle: Cycle | None) -> bool:
    return cycle is not None and (bool(cycle.blocked_reason) or cycle.hold in HELD)
