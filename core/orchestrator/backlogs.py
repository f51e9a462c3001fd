"""What the backlog's content means for its project's workflow and its epics."""

from __future__ import annotations

import sqlite3

from core.domain.lifecycles import WorkflowFact, WorkflowState
from core.domain.story import EpicState, StoryState
from core.store import epics, projects, stories
from core.store.database import Transaction

WAITING = (StoryState.PROPOSED, StoryState.BACKLOG)


def is_filled(conn: sqlite3.Connection, project: str) -> bool:
    """Whether there is a story to plan or to decide on, or an epic that will bring some."""
    return bool(stories.of_project(conn, project, states=WAITING) or epics.designing(conn, project))


def settle_backlog(tx: Transaction, project: str, actor: str) -> None:
    """Moves the workflow when the backlog was emptied or filled."""
    workflow = projects.get(tx.conn, project).workflow
    if workflow not in (WorkflowState.IDLE, WorkflowState.BACKLOG_READY):
        return
    filled = is_filled(tx.conn, project)
    if filled and workflow is WorkflowState.IDLE:
        projects.move_workflow(tx, project, WorkflowFact.BACKLOG_FILLED, actor=actor)
    elif not filled and workflow is WorkflowState.BACKLOG_READY:
        projects.move_workflow(tx, project, WorkflowFact.BACKLOG_EMPTIED, actor=actor)


def settle_epic(tx: Transaction, epic_id: str | None) -> None:
    """SETTLED when people have decided on each of its proposals."""
    if epic_id is None:
        return
    epic = epics.get(tx.conn, epic_id)
    if epic.state not in (EpicState.PROPOSED, EpicState.FAILED):
        return
    if not any(story.state is StoryState.PROPOSED for story in stories.of_epic(tx.conn, epic.id)):
        epics.settle(tx, epic.id)
