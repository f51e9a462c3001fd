"""Sprints: planned, started, paused, reviewed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from core.domain.event import EventKind
from core.domain.lifecycles import (
    ProjectStatus,
    WorkflowCommand,
)
from core.domain.story import Priority, Sprint, Story, StoryState
from core.domain.wording import TITLE_CHARACTERS, shown
from core.errors import InvalidInput, NotAllowed, NotFound
from core.orchestrator import overview, reviews
from core.orchestrator.backlogs import settle_backlog
from core.orchestrator.commands.topic import TEXT_LIMIT, Topic, allowed, checked, find
from core.orchestrator.needing import block_if_never
from core.orchestrator.sprint_end import settle_sprint
from core.orchestrator.views import (
    Burndown,
    ReviewView,
    SprintView,
    StoryView,
    WorkflowView,
)
from core.store import cycles, epics, needs, projects, sprints, stories, usage
from core.store.database import Transaction


class Sprints(Topic):
    async def plan_sprint(
        self, project: str, *, stories: Sequence[str] = (), goal: str = "", actor: str
    ) -> SprintView:
        """Chooses stories of the backlog for the next sprint; none named: all of them.

        Planned again before it starts, the new choice replaces the old one. A story that needs another,
        which is neither done nor in the sprint, may be planned: its view says what it will wait for.
        """
        goal = checked("goal", goal, 500, required=False)

        def plan(tx: Transaction) -> SprintView:
            return self._sprint_view(tx.conn, plan_sprint(tx, project, stories, goal, actor=actor).project)

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
                    cycles.begin(tx, stories.move(tx, story.id, StoryState.PLANNED, StoryState.ACTIVE))
            tx.emit(
                EventKind.SPRINT_STARTED,
                project=found.name,
                actor=actor,
                data={"sprint": sprint.number, "goal": sprint.goal},
            )
            for story in sprints.stories(tx.conn, sprint.id):
                block_if_never(tx, story)
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
            if command is WorkflowCommand.SPRINT_RESUME:
                usage.end(tx, found.name, by=actor)  # it may have waited for its agent's usage limit
            settle_sprint(tx, found.name)  # stories may have ended while it was paused
            return self._sprint_view(tx.conn, found.name)

        return await self._store.write(move)

    async def feedback(self, project: str, text: str, *, actor: str) -> WorkflowView:
        """Ends the review: what people say is kept, and the next sprint can be planned."""
        text = checked("feedback", text, TEXT_LIMIT)

        def close(tx: Transaction) -> WorkflowView:
            found = allowed(tx.conn, project, WorkflowCommand.FEEDBACK)
            sprint = _under_review(tx.conn, found.name)
            sprints.review(tx, sprint.id, text, actor)
            projects.move_workflow(tx, found.name, WorkflowCommand.FEEDBACK, actor=actor)
            tx.emit(
                EventKind.SPRINT_REVIEWED,
                project=found.name,
                actor=actor,
                data={"sprint": sprint.number, "text": text},
            )
            settle_backlog(tx, found.name, actor)
            return overview.workflow_view(tx.conn, projects.get(tx.conn, found.name))

        return await self._store.write(close)

    async def request_changes(
        self, project: str, text: str, *, stories: Sequence[str] = (), actor: str
    ) -> tuple[StoryView, ...]:
        """Ends the review with new work: a story with this text, or one for each named story."""
        text = checked("text", text, TEXT_LIMIT)

        def request(tx: Transaction) -> tuple[StoryView, ...]:
            found = allowed(tx.conn, project, WorkflowCommand.REQUEST_CHANGES)
            sprint = _under_review(tx.conn, found.name)
            meant = _reviewed(tx.conn, sprint, stories)
            sprints.review(tx, sprint.id, text, actor)
            projects.move_workflow(tx, found.name, WorkflowCommand.REQUEST_CHANGES, actor=actor)
            added = [_add_change(tx, sprint, text, story, actor) for story in meant or (None,)]
            tx.emit(
                EventKind.CHANGES_REQUESTED,
                project=found.name,
                actor=actor,
                data={
                    "sprint": sprint.number,
                    "text": text,
                    "by": actor,
                    "stories": [story.id for story in added],
                },
            )
            return overview.story_views(tx.conn, added, self._why)

        return await self._store.write(request)

    async def review(self, project: str, number: int | None = None) -> ReviewView:
        """A sprint's stories with their evidence; None: the last sprint's."""
        now = datetime.now(UTC)
        return await self._store.read(
            lambda conn: reviews.review(
                conn, sprints.of_number(conn, find(conn, project).name, number), now=now, why=self._why
            )
        )

    async def burndown(self, project: str, number: int | None = None) -> Burndown:
        """How a sprint's points fell; None: the last sprint's."""
        now = datetime.now(UTC)
        return await self._store.read(
            lambda conn: reviews.burndown(
                conn, sprints.of_number(conn, find(conn, project).name, number), now=now, why=self._why
            )
        )

    async def retrospectives(self, query: str = "", project: str | None = None) -> tuple[Sprint, ...]:
        """What people said of sprints, newest first: those in which every word of the query occurs."""
        words = checked("query", query, 500, required=False).split()
        return await self._store.read(
            lambda conn: sprints.retrospectives(conn, words, find(conn, project).name if project else None)
        )

    def _sprint_view(self, conn: sqlite3.Connection, project: str) -> SprintView:
        view = overview.sprint_view(conn, project, self._why)
        assert view is not None  # asked for right after it was made
        return view


def plan_sprint(tx: Transaction, project: str, wanted: Sequence[str], goal: str, *, actor: str) -> Sprint:
    """Of the named stories, or of the whole backlog; in place of what was planned before."""
    found = allowed(tx.conn, project, WorkflowCommand.SPRINT_PLAN)
    planned = sprints.current(tx.conn, found.name)
    chosen = [story.id for story in _chosen(tx.conn, found.name, wanted)]
    projects.move_workflow(tx, found.name, WorkflowCommand.SPRINT_PLAN, actor=actor)
    if planned is None:
        return sprints.plan(tx, found.name, chosen, goal, actor)
    return sprints.plan_again(tx, planned, chosen, goal, actor)


def _chosen(conn: sqlite3.Connection, project: str, wanted: Sequence[str]) -> list[Story]:
    free = stories.of_project(conn, project, states=(StoryState.BACKLOG, StoryState.PLANNED))
    backlog = {story.id: story for story in free}
    if not wanted:
        if not backlog:
            raise _nothing_to_plan(conn, project)
        return list(backlog.values())
    names = dict.fromkeys(word.strip().lower() for word in wanted if word.strip())
    if unknown := [name for name in names if name not in backlog]:
        for name in unknown:
            if (story := stories.find(conn, name)) is not None and story.state is StoryState.PROPOSED:
                raise NotAllowed(
                    f"{story.id} is only proposed.", hint=f"Approve it first: /approve {story.id}."
                )
        raise NotFound(
            f"Not in the backlog of {project}: {shown(unknown)}.",
            hint=f"In the backlog: {shown(list(backlog), 20) or 'nothing'}.",
        )
    if not names:
        raise InvalidInput("No story was named.", hint="Name stories, or none at all for the whole backlog.")
    return [backlog[name] for name in names]


def _nothing_to_plan(conn: sqlite3.Connection, project: str) -> NotAllowed:
    proposed = stories.of_project(conn, project, states=(StoryState.PROPOSED,))
    if proposed:
        return NotAllowed(
            f"The backlog of {project} holds nothing that is approved.",
            why=f"Proposed: {shown([story.id for story in proposed])}.",
            hint="/approve takes them into the backlog.",
        )
    if epics.designing(conn, project):
        return NotAllowed(
            f"The backlog of {project} is empty.", hint="An epic is being designed: wait for its stories."
        )
    return NotAllowed(f"The backlog of {project} is empty.", hint="Add a story: /backlog add_story.")


def _under_review(conn: sqlite3.Connection, project: str) -> Sprint:
    sprint = sprints.latest(conn, project)
    assert sprint is not None  # SPRINT_REVIEW comes after one
    return sprint


def _reviewed(conn: sqlite3.Connection, sprint: Sprint, wanted: Sequence[str]) -> tuple[Story, ...]:
    held = {story.id: story for story in sprints.stories(conn, sprint.id)}
    names = dict.fromkeys(word.strip().lower() for word in wanted if word.strip())
    if unknown := [name for name in names if name not in held]:
        raise NotFound(
            f"Not in sprint {sprint.number} of {sprint.project}: {shown(unknown)}.",
            hint=f"In it: {shown(list(held), 20)}.",
        )
    return tuple(held[name] for name in names)


def _add_change(tx: Transaction, sprint: Sprint, text: str, meant: Story | None, actor: str) -> Story:
    """A story for what is to be changed. It needs the one that it is about, when that is done: a link."""
    first = text.splitlines()[0]
    title = first if meant is None else f"Changes to {meant.id}: {meant.title}"
    body = text if meant is None else f'{text}\n\nThis is about {meant.id}, "{meant.title}".'
    story = stories.add(
        tx,
        sprint.project,
        title=title if len(title) <= TITLE_CHARACTERS else f"{title[: TITLE_CHARACTERS - 4].rstrip()} ...",
        body=body,
        acceptance_criteria=(),
        priority=meant.priority if meant is not None else Priority.NORMAL,
        added_by=actor,
    )
    if meant is not None and meant.state is StoryState.DONE:
        needs.replace(tx, story.id, [meant.id])
    return story
