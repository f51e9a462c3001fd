"""Who does the work, be it a story's or an epic's, and what is known of it while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from core.clock import Clock
from core.executors.local import LocalExecutor
from core.orchestrator.agent_runs import AgentRuns
from core.orchestrator.budget_stops import BudgetStops
from core.orchestrator.budgets import Budgets
from core.orchestrator.floor import Floor
from core.orchestrator.model_runs import ModelRuns
from core.orchestrator.parking import Parking
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.reception import Reception
from core.orchestrator.setups import Setups
from core.orchestrator.staffing import Staffing
from core.orchestrator.supervisor import SupervisionTimes, Supervisor
from core.store.database import Store
from core.wake import Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    supervisor: Supervisor  # of the projects' workers
    reception: Reception  # of what they say
    parking: Parking
    staffing: Staffing  # which agent works on what
    agents: AgentRuns
    stops: BudgetStops

    @classmethod
    def of(
        cls,
        store: Store,
        setups: Setups,
        executor: LocalExecutor,
        *,
        clock: Clock,
        times: SupervisionTimes,
        lease_seconds: float,
        floor: Floor,
        wake: Wake,
        budgets: Budgets,
        models: ModelRuns,
        holds: ProviderHolds,
    ) -> Self:
        """`wake` is set by whatever may let something else go on."""
        reception = Reception(
            store,
            lease_seconds=lease_seconds,
            state_path=setups.state_path,
            wake=wake.set,
            asking=setups.asking,
        )
        supervisor = Supervisor(executor, reception, clock=clock, times=times)
        parking = Parking(supervisor)
        stops = BudgetStops(budgets, floor, parking, reception.progress, clock)
        holds.wake = wake.set
        floor.is_parking = parking.is_parking
        floor.worker_ready_in = supervisor.ready_in
        return cls(
            supervisor=supervisor,
            reception=reception,
            parking=parking,
            staffing=Staffing(setups, holds.held_agent),
            agents=AgentRuns(
                store, setups, supervisor, clock=clock, models=models, budgets=budgets, stops=stops
            ),
            stops=stops,
        )
