"""PURE: shares that follow real use: who used least lately comes first, and who will need it gets room.

The order is by decayed use (core.scheduler.usage) blended with what is held now, over the weight; each start
counts at once, the entry penalty, so that a burst between two samples cannot take every slot. What a project
is expected to need of its guarantee soon (core.scheduler.forecast) is not lent meanwhile, and its allocation
grows ahead of its load; only whole agents are kept so. What others borrowed is reclaimed up to the
entitlement, outside a dead zone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from core.scheduler.account import Account, Row
from core.scheduler.decision import Decision, Rule
from core.scheduler.ledger import FINE, WEIGHTLESS, Ledger, Ranking
from core.scheduler.passes import PATIENCE_SECONDS, run_pass
from core.scheduler.reclaim import Due, ReclaimRules
from core.scheduler.resources import NOTHING, SLACK
from core.scheduler.snapshot import ProjectShare, Snapshot
from core.scheduler.soundness import Sound, make_sound
from core.scheduler.usage import HALF_LIFE_SECONDS, SAMPLE_SECONDS, decay_factor

_MOST = 1e6  # times all there is, of use that is counted with


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """`history_weight`: 1: only decayed use counts for the order (as in Kueue), 0: only what is held now."""

    name: str = "dynamic"
    history_weight: float = 0.5
    half_life_seconds: float = HALF_LIFE_SECONDS
    sample_seconds: float = SAMPLE_SECONDS
    patience_seconds: float = PATIENCE_SECONDS
    reclaim: ReclaimRules = field(default_factory=lambda: ReclaimRules(due=Due.ENTITLEMENT))

    def __post_init__(self) -> None:
        if not 0.0 <= self.history_weight <= 1.0:
            raise ValueError(f"history_weight should be from 0 to 1, not {self.history_weight}.")

    def decide(self, snapshot: Snapshot) -> Decision:
        return run_pass(
            self.name,
            _looking_ahead(snapshot),
            self.ranking,
            rule=Rule.RECENT_USE,
            reclaim=self.reclaim,
            patience_seconds=self.patience_seconds,
            foresight=True,
        )

    def live(self, snapshot: Snapshot) -> Ledger:
        """The same, one decision at a time; use and expectations are as of the snapshot's `now`."""
        ahead = _looking_ahead(snapshot).snapshot
        ledger = Ledger(ahead, rule=Rule.RECENT_USE, patience_seconds=self.patience_seconds)
        ledger.rank_all(self.ranking(ledger))
        return ledger

    def ranking(self, ledger: Ledger) -> Ranking:
        alpha = decay_factor(self.sample_seconds, self.half_life_seconds)
        # What is started counts with alpha at once; what was held before is in the samples.
        for project in ledger.snapshot.projects:
            account = ledger.accounts[project.name]
            used = min(project.decayed_use.share(ledger.snapshot.capacity), _MOST)  # of none: infinite
            account.decayed = used - alpha * account.share
        past = self.history_weight
        present = past * alpha + (1.0 - past)

        def rank(account: Account, row: Row) -> float:
            if account.floor and (filled := account.filled(row.demand)) < 1.0:
                return int((filled - 1.0) * FINE)
            use = max(past * account.decayed + present * account.share, 0.0)
            if account.weight <= 0.0:
                return WEIGHTLESS + int(min(use, 1e3) * FINE)
            return int(min(use / account.weight, 1e5) * FINE + 0.5)

        return rank


def _looking_ahead(snapshot: Snapshot) -> Sound:
    sound = make_sound(snapshot)
    ahead = tuple(map(keep_what_is_expected, sound.snapshot.projects))
    return replace(sound, snapshot=replace(sound.snapshot, projects=ahead))


def keep_what_is_expected(project: ProjectShare) -> ProjectShare:
    """With less of its guarantee lent, where it will need whole agents of it itself soon. Its figures are
    sound."""
    if project.expected is NOTHING or project.guaranteed is NOTHING:
        return project
    unused = project.guaranteed.minus(project.used).at_least(NOTHING)
    wanted = project.expected.at_most(project.guaranteed).minus(project.used).at_least(NOTHING)
    if wanted.agents > 0.0:  # a part of an agent is of use to nobody, and keeping it would idle a whole one
        wanted = wanted.times(math.floor(wanted.agents + SLACK) / wanted.agents)
    parts = [need / there for need, there in zip(wanted, unused, strict=True) if there > 0.0]
    lends = min(project.lends, 1.0 - min(max(parts, default=0.0), 1.0))
    return replace(project, lends=lends) if lends < project.lends else project
