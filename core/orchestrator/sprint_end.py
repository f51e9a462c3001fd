"""When a sprint is over, and when nothing in it can go on without a person."""

from __future__ import annotations

import sqlite3
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
    Nor does one that waits for another, unless that one stands still too.
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
    if _stand_still(tx.conn, going) and any(cycle and cycle.blocked_reason for cycle in going):
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


def _stand_still(conn: sqlite3.Connection, going: Sequence[Cycle | None]) -> bool:
    """Whether none of these goes on by itself, now or when others are done."""
    ids = {cycle.story_id for cycle in going if cycle is not None}
    if len(ids) < len(going):
        return False
    still = {cycle.story_id for cycle in going if cycle and (cycle.blocked_reason or cycle.hold in HELD)}
    waiting = needs.unmet(conn, ids - still)
    while caught := [
        story
        for story, unmet in waiting.items()
        if story not in still
        and any(other.id in still or other.state is not StoryState.ACTIVE for other in unmet)
    ]:
        still.update(caught)
    return still == ids
