"""One decision of a strategy, whatever it does.

What strategies are made of is imported with this module, numpy among it, which takes a tenth of a second: so
the strategist imports it in the thread that decides first.
"""

from __future__ import annotations

import gc
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from core.orchestrator.scheduling.strategist import Verdict
from core.scheduler.builtin import strategy_named as strategy_named
from core.scheduler.custom import CustomStrategy
from core.scheduler.decision import Decision
from core.scheduler.fair_share import FairShare
from core.scheduler.snapshot import Snapshot
from core.scheduler.strategy import Strategy

log = logging.getLogger(__name__)

_LARGE = 300  # projects; a pass over more would give the garbage collector too much to look at
_TURN_SECONDS = 0.001  # a fifth of what is usual


def asked(strategy: Strategy, snapshot: Snapshot) -> Verdict:
    """Blocks. An error of the strategy's is logged by an id that the sentence names; fair shares decide then,
    and nothing at all when even they cannot."""
    try:
        with beside_the_loop() if len(snapshot.projects) > _LARGE else nullcontext():
            decision = strategy.decide(snapshot)
    except Exception as error:
        incident = secrets.token_hex(4)
        log.exception("the strategy %s failed, incident %s", strategy.name, incident)
        refused = f"The strategy {strategy.name} failed: {error} (incident {incident})."
        return _instead(strategy.name, snapshot, refused)
    if isinstance(strategy, CustomStrategy) and strategy.refusal:
        return Verdict(decision=decision, refused=strategy.refusal, kept=strategy.kept)
    return Verdict(decision=decision)


@contextmanager
def beside_the_loop() -> Iterator[None]:
    """What is made meanwhile is not looked through for garbage. A pass makes values that nearly all live to
    its end, and looking through those of 100,000 projects stops every thread for a third of a second. And the
    interpreter is handed on more often, so that the event loop gets its turns."""
    was, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if not gc.get_freeze_count():  # else somebody has frozen what should stay so
            gc.freeze()
            gc.unfreeze()  # all is of the oldest generation now, so that nothing is looked at in one go
        if was:
            gc.enable()


def _instead(name: str, snapshot: Snapshot, refused: str) -> Verdict:
    kept = "shares are fair"
    try:
        decision = FairShare().decide(snapshot)
    except Exception:
        log.exception("no decision is possible: nothing starts")
        decision, kept = Decision(strategy=name), "nothing starts"
    problems = (f"{refused} Until it is right, {kept}.", *decision.problems)
    return Verdict(decision=replace(decision, strategy=name, problems=problems), refused=refused, kept=kept)


def asked_once(name: str, snapshot: Snapshot, folder: Path | None = None) -> Verdict:
    """By a strategy that is made for this question alone. Blocks."""
    strategy = strategy_named(name, folder)
    try:
        return asked(strategy, snapshot)
    finally:
        close(strategy)


def close(strategy: Strategy) -> None:
    """Ends the process of one that has one."""
    if isinstance(strategy, CustomStrategy):
        strategy.close()
