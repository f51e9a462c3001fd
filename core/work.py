"""What decides, starts and designs, with the workers, their fences and the way to the models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.background import running
from core.bus import Bus
from core.clock import Clock
from core.executors.local import LocalExecutor
from core.gateway.service import Gateway
from core.monitoring.machine import read_machine
from core.orchestrator.back_off import BackOff
from core.orchestrator.budgets import Budgets
from core.orchestrator.crew import Crew
from core.orchestrator.dispatcher import Dispatcher
from core.orchestrator.epics import EpicDesigns
from core.orchestrator.fencing import Fencing
from core.orchestrator.floor import Floor
from core.orchestrator.model_runs import ModelRuns
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.scheduling.engine import ResourceEngine
from core.orchestrator.scheduling.history import History
from core.orchestrator.scheduling.surveyor import Surveyor
from core.orchestrator.setups import Setups
from core.orchestrator.supervisor import SupervisionTimes, Supply
from core.store.database import Store
from core.wake import Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The parts that are at work."""

    crew: Crew
    dispatcher: Dispatcher
    designs: EpicDesigns
    resources: ResourceEngine
    fencing: Fencing
    budgets: Budgets
    gateway: Gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """What the work is done with."""

    executor: LocalExecutor
    fencing: Fencing
    floor: Floor
    budgets: Budgets
    holds: ProviderHolds
    gateway: Gateway
    resources: ResourceEngine


@asynccontextmanager
async def open_work(
    store: Store,
    bus: Bus,
    setups: Setups,
    *,
    folder: Path,
    clock: Clock,
    times: SupervisionTimes | None,
    back_off: BackOff,
    supply: Supply | None = None,
) -> AsyncIterator[Work]:
    """At work until the block ends. `folder`: that of the settings, where strategies of one's own are."""
    settings, wake = setups.global_settings(), Wake()
    async with AsyncExitStack() as stack:
        means = await stack.enter_async_context(_means(store, bus, setups, folder, clock))
        crew = Crew.of(
            store,
            setups,
            means.executor,
            clock=clock,
            times=times or SupervisionTimes(heartbeat_timeout=settings.lease_seconds),
            lease_seconds=settings.lease_seconds,
            floor=means.floor,
            wake=wake,
            budgets=means.budgets,
            models=ModelRuns(means.gateway, means.budgets.accounts),
            holds=means.holds,
        )
        crew.supervisor.supply = supply
        crew.supervisor.on_report(means.fencing.explained)
        interval = settings.scheduling_interval_seconds
        dispatcher = Dispatcher(
            store,
            bus,
            setups,
            crew,
            wake=wake,
            clock=clock,
            lease_seconds=settings.lease_seconds,
            interval_seconds=interval,
            back_off=back_off,
            engine=means.resources,
            floor=means.floor,
            holds=means.holds,
        )
        await stack.enter_async_context(running(dispatcher.run(), "the dispatcher"))
        designs = EpicDesigns(
            store, bus, setups, dispatcher, crew, means.holds, interval_seconds=interval, back_off=back_off
        )
        await stack.enter_async_context(running(designs.run(), "the design of epics"))
        yield Work(
            crew=crew,
            dispatcher=dispatcher,
            designs=designs,
            resources=means.resources,
            fencing=means.fencing,
            budgets=means.budgets,
            gateway=means.gateway,
        )


@asynccontextmanager
async def _means(store: Store, bus: Bus, setups: Setups, folder: Path, clock: Clock) -> AsyncIterator[_Means]:
    async with AsyncExitStack() as stack:
        fencing = await stack.enter_async_context(Fencing.open(store, setups.settings, setups.state_path))
        executor = await stack.enter_async_context(
            LocalExecutor.open(
                setups.state_path / "logs",
                heartbeat_seconds=setups.global_settings().heartbeat_seconds,
                fences=fencing.fences,
            )
        )
        floor = Floor(clock)
        budgets = Budgets(store, clock, setups.configured)
        await budgets.load()
        stack.push_async_callback(budgets.close)
        holds = await stack.enter_async_context(_holds(store, bus, setups, clock))
        gateway = await stack.enter_async_context(_gateway(setups, budgets, holds, clock))
        resources = await stack.enter_async_context(
            _resources(store, setups, clock, floor, fencing, folder, budgets, holds)
        )
        yield _Means(
            executor=executor,
            fencing=fencing,
            floor=floor,
            budgets=budgets,
            holds=holds,
            gateway=gateway,
            resources=resources,
        )


@asynccontextmanager
async def _holds(store: Store, bus: Bus, setups: Setups, clock: Clock) -> AsyncIterator[ProviderHolds]:
    """The providers that take no more work for now."""
    holds = ProviderHolds(
        store,
        clock,
        able=setups.able_agents,
        provider_of=setups.provider_of,
        policy=setups.usage_policy,
    )
    await holds.load()
    async with running(holds.listen(bus), "the holds of providers"):
        yield holds


@asynccontextmanager
async def _gateway(
    setups: Setups, budgets: Budgets, holds: ProviderHolds, clock: Clock
) -> AsyncIterator[Gateway]:
    """The way to the models. Each call is recorded by `budgets`, which says what may be spent, too."""
    async with Gateway.open(
        setups.state_path,
        setups.global_settings().model_gateway,
        setups.environ,
        clock,
        on_calls=budgets.record,
        rates=setups.rates(),
    ) as gateway:
        setups.gateway_ready = gateway.ready
        budgets.on_changed(gateway.set_accounts)
        gateway.on_reached(budgets.reached)
        gateway.on_held(holds.held)
        holds.on_lifted = gateway.lift
        yield gateway


@asynccontextmanager
async def _resources(
    store: Store,
    setups: Setups,
    clock: Clock,
    floor: Floor,
    fencing: Fencing,
    folder: Path,
    budgets: Budgets,
    holds: ProviderHolds,
) -> AsyncIterator[ResourceEngine]:
    history = History(store, clock)
    surveyor = Surveyor(
        store,
        clock,
        floor,
        settings=setups.global_settings,
        terms=setups.terms,
        batch_size=lambda name: setups.settings(name).merge_batch_size,
        read_machine=lambda: read_machine(setups.state_path),
        fences=fencing,
        past=history,
        purse=budgets,
        providers=holds,
    )
    engine = ResourceEngine(store, clock, surveyor, history, fencing, folder=folder)
    await engine.load()
    try:
        yield engine
    finally:
        await engine.close()
