"""The backlog: what waits to be done."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.lifecycles import (
    WorkflowCommand,
    WorkflowFact,
    WorkflowState,
)
from core.domain.story import Priority, Story
from core.errors import InvalidInput
from core.orchestrator.commands.topic import TEXT_LIMIT, Topic, allowed, checked
from core.store import projects, stories
from core.store.database import Transaction

TITLE_LIMIT = 200
CRITERIA_LIMIT = 50


class Backlog(Topic):
    async def add_story(
        self,
        project: str,
        title: str,
        *,
        body: str = "",
        acceptance_criteria: Sequence[str] = (),
        priority: Priority = Priority.NORMAL,
        actor: str,
    ) -> Story:
        title = checked("title", title, TITLE_LIMIT)
        body = checked("text", body, TEXT_LIMIT, required=False)
        criteria = tuple(
            c for c in (checked("criterion", c, 1000, required=False) for c in acceptance_criteria) if c
        )
        if len(criteria) > CRITERIA_LIMIT:
            raise InvalidInput(
                f"A story may have {CRITERIA_LIMIT} acceptance criteria, not {len(criteria)}.",
                hint="Split it into smaller stories.",
            )

        def add(tx: Transaction) -> Story:
            found = allowed(tx.conn, project, WorkflowCommand.BACKLOG_ADD_STORY)
            story = stories.add(
                tx,
                found.name,
                title=title,
                body=body,
                acceptance_criteria=criteria,
                priority=priority,
                added_by=actor,
            )
            if found.workflow is WorkflowState.IDLE:
                projects.move_workflow(tx, found.name, WorkflowFact.BACKLOG_FILLED, actor=actor)
            return story

        return await self._store.write(add)
