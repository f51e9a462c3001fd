"""PURE: tiers, and within them a weighted sum of factors, as Slurm's multifactor priority has it.

    priority = fair_share * 2^(-share / entitled) + age * min(waited / max_age, 1) + size * part of all

(https://slurm.schedmd.com/priority_multifactor.html). The order is total: overdue, within a guarantee, may
pre-empt, reserved, tier, priority, the story's own rank, time of submission, id. Nobody starves: each
`max_age_seconds` of waiting lifts a task by one tier, and one that waited four times that is overdue: it goes
before all others, by time of submission alone, and room is kept for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.scheduler.account import Account, Row
from core.scheduler.decision import Decision, Rule
from core.scheduler.ledger import FINE, Ledger, Ranking
from core.scheduler.passes import run_pass
from core.scheduler.reclaim import ReclaimRules
from core.scheduler.snapshot import TIERS, Snapshot
from core.scheduler.soundness import make_sound


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityWeights:
    """What each factor, 0 to 1, counts at most. Finite and not below zero."""

    fair_share: float = 5000.0
    age: float = 1000.0
    size: float = 1000.0

    def __post_init__(self) -> None:
        for name in ("fair_share", "age", "size"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0.0):
                raise ValueError(f"The weight of {name} should be finite and not below zero, not {weight}.")

    @property
    def maximum(self) -> float:
        return self.fair_share + self.age + self.size

    def priority(self, *, fair_share: float, age: float, size: float) -> float:
        """0 to `maximum`; factors are cut to 0 to 1."""
        return self.fair_share * _factor(fair_share) + self.age * _factor(age) + self.size * _factor(size)


def _factor(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def fair_share_factor(share: float, entitled: float) -> float:
    """2^(-use / entitlement): 1 for who holds nothing, 0.5 for who holds just what it is entitled to."""
    if share <= 0.0:
        return 1.0
    return math.exp(-math.log(2.0) * share / entitled) if entitled > 0.0 else 0.0


def age_factor(waited_seconds: float, max_age_seconds: float) -> float:
    """Rises evenly and saturates at 1. A wait below zero, of a clock that jumped, is none."""
    if max_age_seconds <= 0.0:
        return 1.0
    return _factor(waited_seconds / max_age_seconds)


def normalised_priorities(weight: float, factors: Sequence[float]) -> list[float]:
    """Each factor as a part of the largest, times the weight, as Slurm normalises set priorities."""
    largest = max(factors, default=0.0)
    return [weight * factor / largest if largest > 0.0 else 0.0 for factor in factors]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityBased:
    """`favour_small`: the size factor favours tasks that need little, not those that need much."""

    name: str = "priority_based"
    weights: PriorityWeights = field(default_factory=PriorityWeights)
    max_age_seconds: float = 3600.0
    favour_small: bool = False
    reclaim: ReclaimRules = field(default_factory=lambda: ReclaimRules(by_tier=True))

    def decide(self, snapshot: Snapshot) -> Decision:
        return run_pass(
            self.name,
            make_sound(snapshot),
            self.ranking,
            rule=Rule.PRIORITY,
            reclaim=self.reclaim,
            patience_seconds=len(TIERS) * self.max_age_seconds,
            ties_by_name=False,
        )

    def live(self, snapshot: Snapshot) -> Ledger:
        """The same, one decision at a time; ages are as of the snapshot's `now`."""
        ledger = Ledger(
            make_sound(snapshot).snapshot,
            rule=Rule.PRIORITY,
            patience_seconds=len(TIERS) * self.max_age_seconds,
            ties_by_name=False,
        )
        ledger.rank_all(self.ranking(ledger))
        return ledger

    def ranking(self, ledger: Ledger) -> Ranking:
        now, capacity = ledger.snapshot.now, ledger.snapshot.capacity
        maximum = self.weights.maximum
        sizes: dict[int, float] = {}

        def rank(account: Account, row: Row) -> float:
            if account.floor and (filled := account.filled(row.demand)) < 1.0:
                return int((filled - 1.0) * FINE)
            task = row.tasks[-1]
            size = sizes.get(row.number)
            if size is None:
                size = row.demand.share(capacity)
                size = sizes[row.number] = 1.0 - size if self.favour_small else size
            waited = now - task.submitted_at if math.isfinite(now) else 0.0
            worth = self.weights.priority(
                fair_share=fair_share_factor(account.share, account.entitled),
                age=age_factor(waited, self.max_age_seconds),
                size=size,
            )
            level = 8 * (not task.may_preempt) + 4 * (not task.reserved) + self._tier(account, waited)
            return int((level + 1.0 - (worth / maximum if maximum > 0.0 else 0.0)) * FINE + 0.5)

        return rank

    def _tier(self, account: Account, waited: float) -> int:
        """Lifted by one for each time of `max_age_seconds`."""
        if self.max_age_seconds <= 0.0:
            return 0
        lifted = waited / self.max_age_seconds
        return account.tier if lifted < 1.0 else max(account.tier - int(min(lifted, 4.0)), 0)
