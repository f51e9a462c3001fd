"""Jobs of agents, be it a story's phase or an epic's design: what goes with a job, and what its turn took.

Each is `equipped`, then run; its report is kept together with what the turn took, which counts also when the
report itself comes too late.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

from core.clock import Clock
from core.errors import LostRace
from core.orchestrator.budget_stops import BudgetStops
from core.orchestrator.budgets import Budgets
from core.orchestrator.jobs import run_job
from core.orchestrator.model_runs import ModelRuns
from core.orchestrator.session_turns import record_turn, recover_turns, remembering
from core.orchestrator.setups import Setups
from core.orchestrator.spending import turn_of
from core.orchestrator.spent import used_by
from core.orchestrator.supervisor import Supervisor
from core.rpc import PeerGone
from core.store.database import Store, Transaction
from core.worker.contract import PhaseJob, PhaseReport

T = TypeVar("T")

_LATE_SECONDS = 30.0


class AgentRuns:
    def __init__(
        self,
        store: Store,
        setups: Setups,
        supervisor: Supervisor,
        *,
        clock: Clock,
        models: ModelRuns,
        budgets: Budgets,
        stops: BudgetStops,
    ) -> None:
        self._store = store
        self._setups = setups
        self._supervisor = supervisor
        self._clock = clock
        self._models = models
        self._budgets = budgets
        self._stops = stops

    async def equipped(self, job: PhaseJob) -> PhaseJob:
        """With its way to the models, what was before it, and no more time than there is. Raises Unavailable
        while the model gateway is down. It is then `run`."""
        return await remembering(self._store, self._setups, await self._models.begin(self._in_time(job)))

    async def run(
        self, owner: str, job: PhaseJob, is_cancelled: Callable[[], bool] = lambda: False
    ) -> PhaseReport:
        """Raises PeerGone when the worker ended; the turn counts all the same. Raises CancelledInTime when it
        `is_cancelled` before the worker hears of it."""
        try:
            return await run_job(self._supervisor, owner, job, is_cancelled)
        except PeerGone:
            await self._count_lost(job)
            raise
        finally:
            await self._models.end(job)

    async def keep(self, job: PhaseJob, report: PhaseReport, work: Callable[[Transaction], T]) -> T:
        """`work`, and what the turn took, in one transaction; that it took it is kept also where `work` comes
        too late."""
        calls, turns = await used_by(self._store, job, report, self._clock.now())

        def both(tx: Transaction) -> T:
            record_turn(tx, job, report)
            return work(tx)

        try:
            value, _ = await self._budgets.write(both, calls=calls, turns=turns)
        except LostRace:
            await self._budgets.write(lambda tx: record_turn(tx, job, report), calls=calls, turns=turns)
            raise
        return value

    async def _count_lost(self, job: PhaseJob) -> None:
        """The worker ended while the agent worked: a turn all the same, as long as was seen."""
        await recover_turns(self._store, self._setups.state_path, job)
        seconds = self._stops.worked(job.story.id, job.generation)
        if seconds is not None:
            await self._budgets.record_turn(turn_of(job, seconds, self._clock.now()))

    def _in_time(self, job: PhaseJob) -> PhaseJob:
        """With no more time than its budget has. It is parked when that is over; should nobody be there to
        do so, its turn ends by itself a little later."""
        minutes = self._budgets.minutes_left(job.project.name, None if job.epic else job.story.id)
        seconds = job.project.turn_timeout_seconds
        if minutes is None or minutes * 60 + _LATE_SECONDS >= seconds:
            return job
        project = dataclasses.replace(job.project, turn_timeout_seconds=minutes * 60 + _LATE_SECONDS)
        return dataclasses.replace(job, project=project)
