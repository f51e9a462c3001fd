"""Budgets: what agents used, what they may use, and more for them."""

from __future__ import annotations

from core.domain.access import OPERATOR, Standing
from core.domain.budget import Scope, Unit
from core.orchestrator.budget_views import BudgetsView, RaiseView
from core.orchestrator.commands.topic import Topic


class Budgeting(Topic):
    async def budgets(self, project: str | None = None, *, story: str | None = None) -> BudgetsView:
        """Of every project, of one, or of one story. Raises NotFound."""
        raise NotImplementedError

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
        """`name`: a story for Scope.STORY, else a project; `amount` in the unit's whole numbers, on top of
        the limit: of a day for today only. `click` names the click or message: twice the same counts once.

        Raises NotAllowed for somebody below the project's `budgets.raise_level`; InvalidInput where there is
        no such limit, or for more than ten times what the settings say.
        """
        raise NotImplementedError
