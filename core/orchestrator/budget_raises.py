"""Who may allow agents more, how much at once, and what is said of it. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.domain.access import AccessLevel, Standing
from core.domain.budget import Account, Limits, Raise, Scope, Unit, worded
from core.errors import InvalidInput, NotAllowed
from core.orchestrator.budget_reading import Terms
from core.orchestrator.budget_views import RaiseView

MOST_AT_ONCE = 10  # times what the settings say: more is a slip of the pen
_SETTING = {
    Unit.TOKENS: "tokens",
    Unit.MICRODOLLARS: "dollars",
    Unit.TURNS: "turns",
    Unit.MILLISECONDS: "minutes",
}


def check_raise(
    terms: Terms, project: str, scope: Scope, unit: Unit, amount: int, standing: Standing
) -> None:
    """Raises NotAllowed for who may not, InvalidInput where there is no such limit and for too much."""
    needed = AccessLevel[terms.raise_level.upper()]
    if standing.level < needed:
        raise NotAllowed(
            f"You may not raise budgets of {project}.",
            why=f"budgets.raise_level is {terms.raise_level}, and you are {standing.level.name.lower()}.",
            hint=f"Ask somebody who is {terms.raise_level} or higher.",
        )
    limit = terms.limits[scope].of(unit)
    if not limit:
        what = "has no such limit" if limit is None else "may use nothing of it"
        raise InvalidInput(
            f"{project} {what}: budgets.{scope}.{_SETTING[unit]} is {'null' if limit is None else 0}.",
            hint="Set it in orch-config.yaml; what is limited there can be raised here.",
        )
    if amount > MOST_AT_ONCE * limit:
        raise InvalidInput(
            f"{worded(unit, amount)} more is too much at once.",
            why=f"The settings say {worded(unit, limit)}; at most {MOST_AT_ONCE} times that is added.",
            hint=f"Give at most {worded(unit, MOST_AT_ONCE * limit)}, or change the settings.",
        )


def with_raises(limits: Limits, raised: Iterable[Raise]) -> Limits:
    for one in raised:
        if (limit := limits.of(one.unit)) is not None:
            limits = replace(limits, **{one.unit.value: limit + one.amount})
    return limits


def raise_view(account: Account, kept: Raise, *, new: bool, limit: int) -> RaiseView:
    whose = f"{account.whose}'s day" if account.day else account.whose
    until = " until the day ends" if kept.until else ""
    return RaiseView(
        new=new,
        project=kept.project,
        scope=kept.scope,
        story_id=kept.story_id,
        unit=kept.unit,
        added=kept.amount,
        limit=limit,
        until=kept.until,
        sentence=f"{whose} may use {worded(kept.unit, kept.amount)} more{until}:"
        f" {worded(kept.unit, limit)} in all.",
    )
