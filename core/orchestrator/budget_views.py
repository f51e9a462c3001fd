"""Budgets as the faces show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from core.domain.budget import Amounts, Level, Scope, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitView:
    """One unit of a budget; amounts in the unit's own whole numbers (see core.domain.budget.Unit)."""

    unit: Unit
    spent: int
    on_agents_word: int  # of it, what no gateway saw
    limit: int | None  # with what people added; None: no limit
    raised: int  # of the limit, what people added
    percent: int | None  # of the limit that is spent, rounded down; may pass 100
    level: Level
    sentence: str  # empty without a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareView:
    """Of a budget's calls: by phase, agent and model, the dearest first."""

    story_id: str | None
    phase: str
    agent: str
    model: str
    on_agents_word: bool
    calls: int
    tokens: int
    microdollars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """A story's, a project's or a project's day's. `units`: all of Unit, in its order."""

    project: str
    scope: Scope
    story_id: str | None = None
    title: str = ""  # the story's
    day: str | None = None  # its date, YYYY-MM-DD
    day_ends: datetime | None = None  # UTC
    zone: str = ""  # the day's, such as Europe/Berlin
    units: tuple[UnitView, ...] = ()
    calls: int = 0
    used: bool = False  # anything at all
    shares: tuple[ShareView, ...] = ()
    waits: str = ""  # why agents stop, or the next call waits; empty: they may go on

    @property
    def told(self) -> tuple[UnitView, ...]:
        """The units of which there is anything to tell."""
        return tuple(one for one in self.units if one.limit is not None or one.spent)

    @property
    def limited(self) -> bool:
        return any(one.limit is not None for one in self.units)

    @property
    def level(self) -> Level:
        return max((one.level for one in self.units), key=list(Level).index, default=Level.FINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectBudgets:
    """The project's own, its day's, and each story's that has spent something and is not over."""

    project: str
    raise_level: str  # who may raise: the name of an AccessLevel in lower case
    warn_percent: int
    budgets: tuple[BudgetView, ...]

    @property
    def told(self) -> tuple[BudgetView, ...]:
        """Those of which there is anything to tell."""
        return tuple(one for one in self.budgets if one.limited or one.used)

    @property
    def widest(self) -> BudgetView | None:
        """Of these, the one whose calls are the most: the project's own, where it is here."""
        told = self.told
        return next((one for one in told if one.scope is Scope.PROJECT), told[0] if told else None)

    @property
    def on_agents_word(self) -> bool:
        """Whether any figure that is told is, in part or in all, one that no gateway saw."""
        return any(unit.on_agents_word for one in self.told for unit in one.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetsView:
    at: datetime
    projects: tuple[ProjectBudgets, ...]
    total: Amounts  # of all that is shown here, once each


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseView:
    """`new`: False when this very click or command had counted already; then `added` is what it was."""

    new: bool
    project: str
    scope: Scope
    story_id: str | None
    unit: Unit
    added: int
    limit: int  # that is in force now
    until: datetime | None  # when it ends; None: for good
    sentence: str


def total_of(projects: Iterable[ProjectBudgets]) -> Amounts:
    """What all of them spent, once each: a project's own budget has its day's and its stories' in it."""
    total = Amounts()
    for one in projects:
        for each in [wide for wide in one.budgets if wide.scope is Scope.PROJECT] or one.budgets:
            total += Amounts(**{unit.unit.value: unit.spent for unit in each.units})
    return total
