"""Budgets: what agents used, what they may use, and more for them."""

from __future__ import annotations

import secrets
import sqlite3

from core.clock import SystemClock
from core.domain.access import OPERATOR, Standing
from core.domain.budget import Scope, Unit
from core.orchestrator.budget_views import BudgetsView, RaiseView
from core.orchestrator.budgets import Budgets
from core.orchestrator.commands.topic import Topic, find
from core.store import stories


class Budgeting(Topic):
    async def budgets(self, project: str | None = None, *, story: str | None = None) -> BudgetsView:
        """Of every project with a limit or with spending, of one, or of one story. Raises NotFound."""
        return await self._budgets().view(project, story_id=story)

    async def raise_budget(
        self,
        name: str,
        *,
        scope: Scope,
        unit: Unit,
        amount: int,
        click: str = "",
        actor: str,
        standing: Standing = OPERATOR,
    ) -> RaiseView:
        """`name`: a story, or a project (for Scope.STORY a story); `amount` in the unit's whole numbers, on
        top of the limit: of a day for today only. `click` names the click or message: twice the same counts
        once.

        Raises NotFound; NotAllowed for somebody below the project's `budgets.raise_level`; InvalidInput where
        there is no such limit, or for more than ten times what the settings say.
        """

        def look(conn: sqlite3.Connection) -> tuple[str, str | None]:
            if scope is Scope.STORY:
                story = stories.get(conn, name)
                return story.project, story.id
            if (found := stories.find(conn, name)) is not None:  # a button below a story may raise its day's
                return found.project, None
            return find(conn, name).name, None

        project, story_id = await self._store.read(look)
        return await self._budgets().raise_(
            project=project,
            scope=scope,
            story_id=story_id,
            unit=unit,
            amount=amount,
            click=click or f"{actor}:{secrets.token_hex(8)}",
            by=actor,
            standing=standing,
        )

    def _budgets(self) -> Budgets:
        if self._engine is not None:
            return self._engine.budgets
        return Budgets(self._store, SystemClock(), self._registry.configuration.settings.projects.get)
