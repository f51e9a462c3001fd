"""What agents may use, kept in memory beside the ledger: judged without a wait, exact after any crash.

The ledger is the record. The tally here begins with its sums and only ever adds what a transaction has added
to it; whatever is not certain is forgotten, and begins anew from the ledger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from config.settings import ProjectSettings
from core.clock import Clock
from core.domain.access import OPERATOR, Standing
from core.domain.budget import Account, AccountLimit, Scope, Unit
from core.orchestrator.budget_views import BudgetsView as BudgetsView
from core.orchestrator.budget_views import RaiseView as RaiseView
from core.store.database import Store
from core.store.ledger import Call, TurnTaken

Told = Callable[[tuple[AccountLimit, ...]], Awaitable[None]]
Stop = Callable[[str, str | None, str], Awaitable[None]]


class Budgets:
    """`settings_of`: the settings in force of a project; None for one that is not configured."""

    def __init__(
        self, store: Store, clock: Clock, settings_of: Callable[[str], ProjectSettings | None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings_of = settings_of

    def on_changed(self, tell: Told) -> None:
        """Calls `tell` with accounts whose limit or spending is another now: for the gateway."""
        raise NotImplementedError

    def on_stop(self, stop: Stop) -> None:
        """Calls `stop(project, story or None, sentence)` when a budget is reached while agents may work."""
        raise NotImplementedError

    async def accounts(self, project: str, story_id: str | None) -> tuple[AccountLimit, ...]:
        """What a run of the story (None: of no story, as an epic's design) counts for: story, day, project."""
        raise NotImplementedError

    async def record(self, calls: Sequence[Call]) -> int:
        """How many were new. Calls that are known count once; returns when they are on disk."""
        raise NotImplementedError

    async def record_turn(self, turn: TurnTaken) -> bool:
        """Whether it is new."""
        raise NotImplementedError

    async def reached(self, run_id: str, account: Account) -> None:
        """The gateway holds a call of the run: the account's work is to stop."""
        raise NotImplementedError

    def why_not(self, project: str, story_id: str | None) -> str:
        """Why no agent may begin a turn for it now, as "waits: ..."; empty when one may."""
        raise NotImplementedError

    def minutes_left(self, project: str, story_id: str | None) -> float | None:
        """Wall time until the nearest limit; None: no limit."""
        raise NotImplementedError

    async def raise_(
        self,
        *,
        project: str,
        scope: Scope,
        story_id: str | None = None,
        unit: Unit,
        amount: int,
        until: datetime | None = None,
        id: str,
        by: str,
        standing: Standing = OPERATOR,
    ) -> RaiseView:
        """More for a story, a project or its day; twice with the same `id` counts once."""
        raise NotImplementedError

    async def view(self, project: str | None = None, *, story_id: str | None = None) -> BudgetsView:
        raise NotImplementedError
