"""What a phase's report says was used, ready for the ledger."""

from __future__ import annotations

from datetime import datetime

from core.gateway.metering import load_prices
from core.orchestrator.spending import call_of, session_of, turn_taken, word_of
from core.store import ledger
from core.store.database import Store
from core.store.ledger import Call, TurnTaken
from core.worker.contract import PhaseJob, PhaseReport


async def used_by(
    store: Store, job: PhaseJob, report: PhaseReport, at: datetime
) -> tuple[tuple[Call, ...], tuple[TurnTaken, ...]]:
    """Nothing twice: a report that comes again has the same ids."""
    turn = turn_taken(job, report, at)
    turns = () if turn is None else (turn,)
    word = word_of(job, report)
    if word is None:
        return (), turns
    session = session_of(job, report)
    earlier = await store.read(lambda conn: ledger.agents_sums(conn, session))
    call = call_of(job, report, word, at, earlier=earlier, prices=load_prices())
    return () if call is None else (call,), turns
