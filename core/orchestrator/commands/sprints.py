"""Sprints: planned, started, paused, reviewed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from core.domain.event import EventKind
from core.domain.lifecycles import (
    ProjectStatus,
    WorkflowCommand,
    WorkflowFact,
)
from core.domain.story import Story, StoryState
from core.errors import NotAllowed, NotFound
from core.orchestrator import overview
from core.orchestrator.commands.topic import TEXT_LIMIT, Topic, allowed, checked
from core.orchestrator.reports import settle_sprint
from core.orchestrator.views import (
    SprintView,
    WorkflowView,
)
from core.store import cycles, projects, sprints, stories
from core.store.database import Transaction


class Sprints(Topic):
    async def plan_sprint(
        self, project: str, *, stories: Sequence[str] = (), goal: str = "", actor: str
    ) -> SprintView:
        """Chooses stories of the backlog for the next sprint; none named: all of them."""
        goal = checked("goal", goal, 500, required=False)

        def plan(tx: Transaction) -> SprintView:
            found = allowed(tx.conn, project, WorkflowCommand.SPRINT_PLAN)
            chosen = _chosen(tx.conn, found.name, stories)
            projects.move_workflow(tx, found.name, WorkflowCommand.SPRINT_PLAN, actor=actor)
            sprints.plan(tx, found.name, [story.id for story in chosen], goal, actor)
            return self._sprint_view(tx.conn, found.name)

        return await self._store.write(plan)

    async def start_sprint(self, project: str, *, actor: str) -> SprintView:
        def start(tx: Transaction) -> SprintView:
            found = allowed(tx.conn, project, WorkflowCommand.SPRINT_START)
            if found.status is not ProjectStatus.ACTIVE:
                raise NotAllowed(
                    f"{found.name} is {found.status}: its sprint cannot start.",
                    hint=f"Start the project first: /project_start {found.name}.",
                )
            sprint = sprints.current(tx.conn, found.name)
            assert sprint is not None  # SPRINT_PLANNED has one
            projects.move_workflow(tx, found.name, WorkflowCommand.SPRINT_START, actor=actor)
            sprints.start(tx, sprint.id)
            for story in sprints.stories(tx.conn, sprint.id):
                if story.state is StoryState.PLANNED:
                    stories.move(tx, story.id, StoryState.PLANNED, StoryState.ACTIVE)
                    cycles.begin(tx, story)
            tx.emit(
                EventKind.SPRINT_STARTED,
                project=found.name,
                actor=actor,
                data={"sprint": sprint.number, "goal": sprint.goal},
            )
            return self._sprint_view(tx.conn, found.name)

        return await self._store.write(start)

    async def pause_sprint(self, project: str, *, actor: str) -> SprintView:
        """No new phase starts; what runs comes to its end."""
        return await self._move_sprint(project, WorkflowCommand.SPRINT_PAUSE, actor)

    async def resume_sprint(self, project: str, *, actor: str) -> SprintView:
        return await self._move_sprint(project, WorkflowCommand.SPRINT_RESUME, actor)

    async def _move_sprint(self, project: str, command: WorkflowCommand, actor: str) -> SprintView:
        def move(tx: Transaction) -> SprintView:
            found = allowed(tx.conn, project, command)
            projects.move_workflow(tx, found.name, command, actor=actor)
            settle_sprint(tx, found.name)  # stories may have ended while it was paused
            return self._sprint_view(tx.conn, found.name)

        return await self._store.write(move)

    async def feedback(self, project: str, text: str, *, actor: str) -> WorkflowView:
        """Ends the review: what people say is kept, and the next sprint can be planned."""
        text = checked("feedback", text, TEXT_LIMIT)

        def close(tx: Transaction) -> WorkflowView:
            found = allowed(tx.conn, project, WorkflowCommand.FEEDBACK)
            projects.move_workflow(tx, found.name, WorkflowCommand.FEEDBACK, actor=actor)
            tx.emit(EventKind.SPRINT_REVIEWED, project=found.name, actor=actor, data={"text": text})
            if stories.of_project(tx.conn, found.name, states=(StoryState.BACKLOG,)):
                projects.move_workflow(tx, found.name, WorkflowFact.BACKLOG_FILLED, actor=actor)
            return overview.workflow_view(tx.conn, projects.get(tx.conn, found.name))

        return await self._store.write(close)

    def _sprint_view(self, conn: sqlite3.Connection, project: str) -> SprintView:
        view = overview.sprint_view(conn, project, self._why)
        assert view is not None  # asked for right after it was made
        return view


def _chosen(conn: sqlite3.Connection, project: str, wanted: Sequence[str]) -> list[Story]:
    backlog = {story.id: story for story in stories.of_project(conn, project, states=(StoryState.BACKLOG,))}
    if not wanted:
        if not backlog:
            raise NotAllowed(f"The backlog of {project} is empty.", hint="Add a story: /backlog add_story.")
        return list(backlog.values())
    names = dict.fromkeys(word.strip().lower() for word in wanted if word.strip())
    if unknown := [name for name in names if name not in backlog]:
        raise NotFound(
            f"Not in the backlog of {project}: {', '.join(unknown)}.",
            hint=f"In the backlog: {', '.join(list(backlog)[:20]) or 'nothing'}.",
        )
    return [backlog[name] for name in names]
