"""Parking: a running turn makes place for another project's work at a safe point.

Nothing here is the record. The worker interrupts the turn and reports PARKED with all that the store then
keeps; when either process dies before that, the story goes on as after any other crash.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence

from core.domain.event import EventKind
from core.errors import OrchardError
from core.orchestrator.supervisor import Supervisor
from core.rpc import decode
from core.worker.contract import Park, Parked

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 30.0  # the worker only notes the wish


class Parking:
    """Who was asked to make place and has not come to a safe point yet."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._asked: set[str] = set()

    async def park(
        self, project: str, story_id: str, *, taker: str, reason: str, within_seconds: float
    ) -> None:
        """Asks the project's worker; what comes of it is the phase's own report.

        Nothing is done when no agent works for the story: its phase has not reached the worker yet or is
        over, it is being merged, no worker runs. Asked twice, the earlier time counts. Never raises
        OrchardError: a worker that cannot be asked is logged, and may be asked again.
        """
        self._asked.add(story_id)
        wish = Park(story_id=story_id, within_seconds=within_seconds, taker=taker, reason=reason)
        parking = False
        try:
            answer = await self._supervisor.call_if_running(project, "park", wish, timeout=_PATIENCE_SECONDS)
            parking = answer is not None and decode(Parked, answer).running
        except (OrchardError, TimeoutError) as error:
            log.warning("%s could not be asked to make place for %s: %s", story_id, taker, error)
        finally:
            if not parking:
                self._asked.discard(story_id)

    def is_parking(self, story_id: str) -> bool:
        """Whether it was asked to make place, and its phase still runs."""
        return story_id in self._asked

    def over(self, story_id: str) -> None:
        """Its phase has ended, in whichever way: for who drives it to say."""
        self._asked.discard(story_id)


def takers_of(conn: sqlite3.Connection, story_ids: Sequence[str]) -> dict[str, str]:
    """The projects that parked stories made place for, by story; empty where nobody said so."""
    rows = conn.execute(
        "SELECT story_id, json_extract(data, '$.taker') AS taker, max(seq) FROM events"
        " WHERE kind = ? AND story_id IN (SELECT value FROM json_each(?)) GROUP BY story_id",
        (EventKind.STORY_PARKED.value, json.dumps(list(story_ids))),
    )
    return {row["story_id"]: row["taker"] or "" for row in rows}


def parked_sentence(taker: str, waits: str) -> str:
    """What a parked story waits for. `waits` is what the scheduler says of its next phase, in whichever form:
    "waits: memory is full."; empty when it has said nothing yet."""
    reason = waits.removeprefix("waits:").strip()
    if not taker and "the budget of " in reason:
        return f"parked: {reason}"
    place = f"parked to make place for {taker}" if taker else "parked to make place"
    return f"{place}; goes on when it has one again" + (f": {reason}" if reason else ".")
