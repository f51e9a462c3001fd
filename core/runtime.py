"""The headless system as one async context manager: everything but the faces."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from config.loader import Configuration
from core.agents.redaction import Redactor
from core.bus import Bus
from core.clock import Clock, SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import ProjectStatus
from core.domain.project import Project
from core.errors import OrchardError, Unavailable
from core.executors.local import LocalExecutor
from core.folder import state_folder as state_folder
from core.folder import variables as variables
from core.gateway.service import Gateway, GatewayView
from core.isolation.machine import probe_machine
from core.isolation.plan import Machine
from core.monitoring.machine import read_machine
from core.offline import open_commands as open_commands
from core.orchestrator.back_off import BackOff
from core.orchestrator.budgets import Budgets
from core.orchestrator.commands import Commands
from core.orchestrator.control import serve_control, socket_path
from core.orchestrator.dispatcher import Dispatcher
from core.orchestrator.epics import EpicDesigns
from core.orchestrator.fencing import Fencing
from core.orchestrator.floor import Floor
from core.orchestrator.mirror import Mirror
from core.orchestrator.model_runs import ModelRuns
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.reconciler import Reconciler
from core.orchestrator.recovery import recover
from core.orchestrator.registry import Registry
from core.orchestrator.resource_views import Optimization, ResourcesView
from core.orchestrator.scheduling.engine import ResourceEngine
from core.orchestrator.scheduling.history import History
from core.orchestrator.scheduling.surveyor import Surveyor
from core.orchestrator.session_turns import check_prompts, recover_turns
from core.orchestrator.settings_watch import SettingsWatch
from core.orchestrator.setups import Setups
from core.orchestrator.supervisor import SupervisionTimes
from core.orchestrator.transcript_keeping import TranscriptKeeping
from core.orchestrator.views import WorkerView
from core.store import projects
from core.store.database import Store
from core.worker.contract import Progress, SuiteReport
from core.worker.suite import sweep_checkouts
from core.worker.worktree import taken_mark

log = logging.getLogger(__name__)

_TRANSCRIPTS_SECONDS = 2.0  # what was said can be searched so long after a turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What the faces are given."""

    configuration: Callable[[], Configuration]
    store: Store
    bus: Bus
    clock: Clock
    commands: Commands
    machine: Machine
    progress: Mapping[str, Progress]  # story id to what happens inside its phase now
    gateway: Gateway  # the way to the models


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """The running part."""

    dispatcher: Dispatcher
    designs: EpicDesigns
    resources: ResourceEngine
    fencing: Fencing
    gateway: Gateway


class _Engine:
    """The running part, as `Commands` sees it."""

    def __init__(self, work: _Work, setups: Setups) -> None:
        self._dispatcher = work.dispatcher
        self._designs = work.designs
        self._resources = work.resources
        self._gateway = work.gateway
        self._setups = setups

    def why(self, story_id: str) -> str:
        if slow := self._gateway.why_slow(story_id):
            return f"its next call to a model waits: {slow}."
        return self._designs.why(story_id) or self._dispatcher.why(story_id)

    @property
    def budgets(self) -> Budgets:
        return self._dispatcher.budgets

    async def gateway(self) -> GatewayView:
        return await self._gateway.view()

    async def resources(self) -> ResourcesView:
        return await self._resources.view()

    async def optimize(self, strategy: str | None, dry_run: bool, by: str) -> Optimization:
        if dry_run:
            return await self._resources.dry_run(strategy)
        return await self._resources.rebalance(by=by)

    async def explain(self, story_id: str) -> tuple[str, tuple[str, ...], str]:
        return await self._dispatcher.explain(story_id)

    def worker_view(self, project: str) -> WorkerView:
        return self._dispatcher.supervisor.view(project)

    async def prepare(self, project: Project) -> None:
        self._setups.learn(project)
        self._setups.project(project.name)
        self._setups.check_agents(project.name)
        self._dispatcher.release(project.name)
        await self._dispatcher.supervisor.ensure(project.name)
        self._dispatcher.wake()

    async def halt(self, project: str) -> None:
        await self._dispatcher.supervisor.stop(project)

    async def cancel(self, project: str, story_id: str) -> None:
        await self._dispatcher.cancel(project, story_id)

    def nudge(self, story_id: str) -> None:
        self._dispatcher.nudge(story_id)

    def worktree(self, project: str, story_id: str) -> Path:
        return self._setups.state_path.resolve() / "worktrees" / project / story_id

    def is_open(self, project: str, story_id: str) -> bool:
        opened = taken_mark(self._setups.state_path, project, story_id).exists()
        return opened and self.worktree(project, story_id).exists()

    async def open_worktree(self, project: str, story_id: str) -> Path:
        return await self._dispatcher.requests.open_worktree(project, story_id)

    async def steer(self, project: str, story_id: str, text: str) -> bool:
        return await self._dispatcher.requests.steer(project, story_id, text)

    async def run_tests(self, project: str, story_id: str | None) -> SuiteReport:
        return await self._dispatcher.requests.run_tests(project, story_id)

    async def stop_tests(self, project: str, story_id: str | None) -> bool:
        return await self._dispatcher.requests.stop_tests(project, story_id)


@contextmanager
def _only_one(state_path: Path) -> Iterator[None]:
    """One running Orchard a state folder; the lock dies with the process, however that ends."""
    with (state_path / "orchard.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise Unavailable(
                f"Orchard already runs with the folder {state_path} (pid {pid}).",
                hint="Stop it first, or use another global_state_path.",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@asynccontextmanager
async def open_runtime(
    load: Callable[[], Configuration],
    *,
    clock: Clock | None = None,
    times: SupervisionTimes | None = None,
    back_off: BackOff | None = None,
) -> AsyncIterator[Runtime]:
    """Starts everything; on exit stops it in the opposite order, workers before the store.

    `load` reads the configuration; it is called again when a project is registered. Raises OrchardError
    when the configuration, the state folder or the store cannot be used.
    """
    clock = clock or SystemClock()
    configuration = load()
    state_path = state_folder(configuration)
    bus = Bus()
    async with AsyncExitStack() as stack:
        stack.enter_context(_only_one(state_path))
        store = await stack.enter_async_context(Store.open(state_path / "orchard.db", clock=clock, bus=bus))
        machine = await probe_machine()
        await _clean_up(store, state_path)
        registry = Registry(store, configuration, load)
        setups = Setups(
            lambda: registry.configuration.settings,
            state_path=state_path,
            machine=machine,
            environ=variables(configuration.root),
            broken=lambda: registry.configuration.broken,
        )
        registry.on_registered(setups.learn)
        await registry.adopt()
        work = await stack.enter_async_context(
            _working(
                store,
                bus,
                setups,
                folder=configuration.root,
                clock=clock,
                times=times,
                back_off=back_off or BackOff(),
            )
        )
        registry.on_changed(work.dispatcher.wake)
        registry.on_changed(work.fencing.apply)
        registry.on_changed(lambda: work.gateway.set_rates(setups.rates()))
        reconciler = Reconciler(store, work.dispatcher, state_path=state_path)
        await stack.enter_async_context(
            _scheduled(
                reconciler,
                SettingsWatch(registry),
                work.resources,
                registry,
                TranscriptKeeping(
                    store,
                    clock,
                    state_path=state_path,
                    retention_days=lambda: setups.global_settings().transcript_retention_days,
                    redactor=lambda: Redactor(setups.secrets()),
                ),
            )
        )
        mirror = Mirror(store, bus, wanted=lambda name: _is_mirrored(registry, name))
        await stack.enter_async_context(_running(mirror.run(), "the mirror", vital=False))
        commands = Commands(
            store,
            registry,
            _Engine(work, setups),
            started_at=clock.now(),
            isolation=str(machine.strongest),
        )
        await stack.enter_async_context(serve_control(commands, socket_path(state_path)))
        await _check_projects(store, setups)
        yield Runtime(
            configuration=lambda: registry.configuration,
            store=store,
            bus=bus,
            clock=clock,
            commands=commands,
            machine=machine,
            progress=work.dispatcher.progress,
            gateway=work.gateway,
        )


async def _clean_up(store: Store, state_path: Path) -> None:
    """What an earlier run left behind is ended and removed, before anything is started."""
    if reaped := await recover(store):
        log.info("ended %d processes that an earlier run left behind", reaped)
    await recover_turns(store, state_path)
    await asyncio.to_thread(sweep_checkouts, state_path)


@asynccontextmanager
async def _working(
    store: Store,
    bus: Bus,
    setups: Setups,
    *,
    folder: Path,
    clock: Clock,
    times: SupervisionTimes | None,
    back_off: BackOff,
) -> AsyncIterator[_Work]:
    """What decides, starts and designs, with the workers and their fences."""
    settings, state_path = setups.global_settings(), setups.state_path
    async with AsyncExitStack() as stack:
        fencing = await stack.enter_async_context(Fencing.open(store, setups.settings, state_path))
        executor = await stack.enter_async_context(
            LocalExecutor.open(
                state_path / "logs", heartbeat_seconds=settings.heartbeat_seconds, fences=fencing.fences
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
        dispatcher = Dispatcher(
            store,
            bus,
            setups,
            executor,
            clock=clock,
            lease_seconds=settings.lease_seconds,
            interval_seconds=settings.scheduling_interval_seconds,
            times=times or SupervisionTimes(heartbeat_timeout=settings.lease_seconds),
            back_off=back_off,
            engine=resources,
            floor=floor,
            budgets=budgets,
            holds=holds,
            models=ModelRuns(gateway, budgets.accounts),
        )
        dispatcher.supervisor.on_report(fencing.explained)
        await stack.enter_async_context(_running(dispatcher.run(), "the dispatcher"))
        designs = EpicDesigns(
            store,
            bus,
            setups,
            dispatcher,
            interval_seconds=settings.scheduling_interval_seconds,
            back_off=back_off,
        )
        await stack.enter_async_context(_running(designs.run(), "the design of epics"))
        yield _Work(
            dispatcher=dispatcher, designs=designs, resources=resources, fencing=fencing, gateway=gateway
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
    async with _running(holds.listen(bus), "the holds of providers"):
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


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str, *, vital: bool = True) -> AsyncIterator[None]:
    """Something that runs as long as Orchard does; when a vital one dies, Orchard ends."""
    task = asyncio.create_task(work, name=name)
    owner = asyncio.current_task()
    assert owner is not None

    def died(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and done.exception() is not None:
            log.critical("%s died", name, exc_info=done.exception())
            if vital:
                owner.cancel(f"{name} died")

    task.add_done_callback(died)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, *(() if vital else (Exception,))):
            await task


def _is_mirrored(registry: Registry, name: str) -> bool:
    settings = registry.configuration.settings.projects.get(name)
    return settings is not None and settings.state_mirror


@asynccontextmanager
async def _scheduled(
    reconciler: Reconciler,
    watch: SettingsWatch,
    resources: ResourceEngine,
    registry: Registry,
    transcripts: TranscriptKeeping,
) -> AsyncIterator[None]:
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # it would log each tick
    scheduler = AsyncIOScheduler()
    one_at_a_time = {"max_instances": 1, "coalesce": True}
    scheduler.add_job(reconciler.tick, "interval", seconds=2, **one_at_a_time)
    scheduler.add_job(watch.tick, "interval", seconds=1, **one_at_a_time)
    scheduler.add_job(transcripts.tick, "interval", seconds=_TRANSCRIPTS_SECONDS, **one_at_a_time)
    seconds = _rebalance_seconds(registry)
    job = scheduler.add_job(resources.tick, "interval", seconds=seconds, **one_at_a_time)

    def follow() -> None:
        nonlocal seconds
        if (wanted := _rebalance_seconds(registry)) != seconds:
            seconds = wanted
            job.reschedule("interval", seconds=wanted)

    registry.on_changed(follow)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.pause()
        await watch.settle()
        await reconciler.settle()  # the scheduler would cancel a tick under way, and log that as a failure
        await resources.settle()
        await transcripts.settle()
        scheduler.shutdown(wait=False)


def _rebalance_seconds(registry: Registry) -> float:
    return registry.configuration.settings.global_.resource_rebalance_interval_seconds


async def _check_projects(store: Store, setups: Setups) -> None:
    """Says at start which active projects cannot work here, instead of letting them wait in silence."""
    for project in await store.read(projects.every):
        if project.status is not ProjectStatus.ACTIVE:
            continue
        try:
            setups.project(project.name)
            setups.check_agents(project.name)
        except OrchardError as error:
            await store.write(_unavailable(project.name, error))
    await check_prompts(store, setups)


def _unavailable(name: str, error: OrchardError) -> Callable[..., object]:
    message, hint = f"{error.message} {error.why}".strip(), error.hint
    return lambda tx: tx.emit(
        EventKind.PROJECT_UNAVAILABLE, project=name, data={"message": message, "hint": hint}
    )
