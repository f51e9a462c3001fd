"""Epics: a wish that a design agent splits into stories, which people then approve."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from core.domain.event import EventKind
from core.domain.lifecycles import ProjectStatus, WorkflowCommand
from core.domain.project import Project
from core.domain.story import EpicState, Story, StoryState
from core.domain.wording import TEXT_CHARACTERS, shown
from core.errors import InvalidInput, NotAllowed
from core.orchestrator import overview
from core.orchestrator.backlogs import settle_epic
from core.orchestrator.commands.topic import Topic, allowed, checked, find
from core.orchestrator.views import EpicView, StoryView
from core.store import epics as epics_table
from core.store import projects
from core.store import stories as stories_table
from core.store.database import Transaction


class Epics(Topic):
    async def begin_epic(self, project: str, text: str, *, actor: str) -> EpicView:
        """Has the design agent propose stories. Its answer comes as EPIC_PROPOSED or EPIC_FAILED."""
        text = checked("epic", text, TEXT_CHARACTERS)

        def begin(tx: Transaction) -> EpicView:
            found = allowed(tx.conn, project, WorkflowCommand.EPIC)
            _may_design(found)
            for other in epics_table.designing(tx.conn, found.name):
                if other.text == text:
                    raise NotAllowed(f"{other.id} asks for the same and is being designed already.")
            projects.move_workflow(tx, found.name, WorkflowCommand.EPIC, actor=actor)
            epic = epics_table.add(tx, found.name, text, actor)
            epics_table.release(tx, found.name)
            tx.emit(
                EventKind.EPIC_ASKED,
                project=found.name,
                actor=actor,
                data={"epic": epic.id, "text": text, "by": actor},
            )
            return overview.epic_views(tx.conn, (epic,), self._why)[0]

        return await self._store.write(begin)

    async def epics(self, project: str) -> tuple[EpicView, ...]:
        """Newest first."""

        def look(conn: sqlite3.Connection) -> tuple[EpicView, ...]:
            chosen = epics_table.of_project(conn, find(conn, project).name)
            return overview.epic_views(conn, chosen, self._why)

        return await self._store.read(look)

    async def epic(self, epic_id: str) -> EpicView:
        return await self._store.read(
            lambda conn: overview.epic_views(conn, (epics_table.get(conn, epic_id),), self._why)[0]
        )

    async def revise_epic(self, epic_id: str, text: str, *, actor: str) -> EpicView:
        """Has the agent propose anew, by what people say. Proposals that nobody has approved by then are
        replaced when the new ones are there."""
        text = checked("wish", text, TEXT_CHARACTERS)

        def revise(tx: Transaction) -> EpicView:
            epic = epics_table.get(tx.conn, epic_id)
            found = allowed(tx.conn, epic.project, WorkflowCommand.EPIC)
            _may_design(found)
            if epic.state is EpicState.DESIGNING:
                raise NotAllowed(f"{epic.id} is being designed.", hint="Wait for its stories, then say more.")
            if epic.state is EpicState.SETTLED:
                raise NotAllowed(
                    f"{epic.id} is settled: each of its stories was approved or removed.",
                    hint="Begin another epic: /epic.",
                )
            projects.move_workflow(tx, found.name, WorkflowCommand.EPIC, actor=actor)
            revised = epics_table.revise(tx, epic.id, text)
            epics_table.release(tx, found.name)
            tx.emit(
                EventKind.EPIC_ASKED,
                project=found.name,
                actor=actor,
                data={"epic": epic.id, "text": text, "by": actor, "again": True},
            )
            return overview.epic_views(tx.conn, (revised,), self._why)[0]

        return await self._store.write(revise)

    async def approve_stories(
        self, project: str, stories: Sequence[str] = (), *, actor: str
    ) -> tuple[StoryView, ...]:
        """Takes proposed stories into the backlog; none named: all of them."""

        def approve(tx: Transaction) -> tuple[StoryView, ...]:
            found = allowed(tx.conn, project, WorkflowCommand.APPROVE)
            chosen = _proposed(tx.conn, found.name, stories)
            projects.move_workflow(tx, found.name, WorkflowCommand.APPROVE, actor=actor)
            approved = [
                stories_table.move(tx, story.id, StoryState.PROPOSED, StoryState.BACKLOG) for story in chosen
            ]
            tx.emit(
                EventKind.STORIES_APPROVED,
                project=found.name,
                actor=actor,
                data={"stories": [story.id for story in approved], "by": actor},
            )
            for epic_id in dict.fromkeys(story.epic_id for story in approved):
                settle_epic(tx, epic_id)
            return overview.story_views(tx.conn, approved, self._why)

        return await self._store.write(approve)


def _may_design(project: Project) -> None:
    if project.status is not ProjectStatus.ACTIVE:
        raise NotAllowed(
            f"{project.name} is {project.status}: its design agent cannot work.",
            hint=f"Start the project first: /project_start {project.name}.",
        )


def _proposed(conn: sqlite3.Connection, project: str, wanted: Sequence[str]) -> tuple[Story, ...]:
    proposed = stories_table.of_project(conn, project, states=(StoryState.PROPOSED,))
    names = dict.fromkeys(word.strip().lower() for word in wanted if word.strip())
    if wanted and not names:
        raise InvalidInput("No story was named.", hint="Name stories, or none at all for every proposal.")
    if not names and not proposed:
        raise NotAllowed(
            f"Nothing is proposed in {project}.", hint="/epic has the design agent propose stories."
        )
    waiting = {story.id for story in proposed}
    others = [stories_table.get(conn, name) for name in names if name not in waiting]
    if others:
        listed = shown([f"{story.id} ({story.state} in {story.project})" for story in others])
        raise NotAllowed(
            f"Not proposed in {project}: {listed}.",
            hint=f"Proposed are: {shown([story.id for story in proposed], 20) or 'none'}.",
        )
    return tuple(story for story in proposed if not names or story.id in names)
