"""PURE: weighted dominant resource fairness for whole tasks, with guarantees, limits, lending and borrowing.

Progressive filling (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, algorithm 1): the next task is
that of the project whose dominant share is the smallest for its weight. A project below its guarantee comes
before all that are above theirs, the one that has least of it first (Hadoop YARN's fair scheduler). Whatever
is free may be borrowed; it is given back as tasks end, and reclaimed for a guarantee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.scheduler.account import Account, Row
from core.scheduler.decision import Decision, Rule
from core.scheduler.filling import Places, Ranks
from core.scheduler.ledger import FINE, WEIGHTLESS, Ledger
from core.scheduler.level import Floats
from core.scheduler.passes import PATIENCE_SECONDS, run_pass
from core.scheduler.reclaim import ReclaimRules
from core.scheduler.snapshot import Snapshot
from core.scheduler.soundness import make_sound


def rank_by_share(account: Account, row: Row) -> float:
    """Below zero while the task is within the guarantee; else the dominant share over the weight."""
    if account.floor and (filled := account.filled(row.demand)) < 1.0:
        return int((filled - 1.0) * FINE)
    if account.weight <= 0.0:
        return WEIGHTLESS + int(account.share * FINE)
    return int(account.share / account.weight * FINE + 0.5)


def ranks_by_share(accounts: Sequence[Account]) -> Ranks:
    """As rank_by_share, for all of them at once; none has a guarantee."""
    weights = np.array([account.weight for account in accounts])
    weightless = weights <= 0.0
    divisors = np.where(weightless, 1.0, weights)

    def rank(shares: Floats, places: Places) -> Floats:
        heavy = np.floor(shares / divisors[places] * FINE + 0.5)
        return np.where(weightless[places], WEIGHTLESS + np.floor(shares * FINE), heavy)

    return rank


@dataclass(frozen=True, slots=True, kw_only=True)
class FairShare:
    """A task that waited `patience_seconds` goes before all others, and room is kept for it."""

    name: str = "fair_share"
    patience_seconds: float = PATIENCE_SECONDS
    reclaim: ReclaimRules = field(default_factory=ReclaimRules)

    def decide(self, snapshot: Snapshot) -> Decision:
        return run_pass(
            self.name,
            make_sound(snapshot),
            lambda ledger: rank_by_share,
            many=ranks_by_share,
            rule=Rule.SHARE,
            reclaim=self.reclaim,
            patience_seconds=self.patience_seconds,
        )

    def live(self, snapshot: Snapshot) -> Ledger:
        """The same, one decision at a time: `submit`, `release` and `withdraw` what happens, ask `next`."""
        ledger = Ledger(
            make_sound(snapshot).snapshot, rule=Rule.SHARE, patience_seconds=self.patience_seconds
        )
        ledger.rank_all(rank_by_share)
        return ledger
