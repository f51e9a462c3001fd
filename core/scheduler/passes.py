"""PURE: one whole pass over sound figures: starts until nothing fits, reasons, reclaims, allocations."""

from __future__ import annotations

from collections.abc import Callable

from core.scheduler.allotment import allot
from core.scheduler.decision import Decision, Rule
from core.scheduler.later import Later
from core.scheduler.ledger import Ledger, ManyRanks, Ranking
from core.scheduler.reclaim import ReclaimRules, plan_reclaims
from core.scheduler.resources import Resources
from core.scheduler.soundness import Sound
from core.scheduler.waiting import explain_waits

PATIENCE_SECONDS = 3600.0


def run_pass(
    strategy: str,
    sound: Sound,
    ranking: Callable[[Ledger], Ranking],
    *,
    many: ManyRanks | None = None,
    rule: Rule,
    reclaim: ReclaimRules,
    patience_seconds: float,
    ties_by_name: bool = True,
    foresight: bool = False,
) -> Decision:
    """`ranking` is made once the accounts are there. `foresight`: allocations follow what is expected."""
    ledger = Ledger(sound.snapshot, rule=rule, patience_seconds=patience_seconds, ties_by_name=ties_by_name)
    starts = tuple(ledger.whole_pass(ranking(ledger), many))
    return Decision(
        strategy=strategy,
        starts=starts,
        waits=Later(lambda: (*sound.aside, *explain_waits(ledger))),
        preemptions=plan_reclaims(ledger, reclaim),
        allocations=Later(lambda: allot(ledger, foresight=foresight)),
        problems=sound.problems,
        free=Resources(*ledger.free),
    )
