"""The headless system as one async context manager: everything but the faces."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from config.loader import Configuration
from core.background import running
from core.bus import Bus
from core.clock import Clock, SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import ProjectStatus
from core.errors import OrchardError
from core.folder import only_one
from core.folder import state_folder as state_folder
from core.folder import variables as variables
from core.gateway.service import Gateway
from core.github.keeping import Parts
from core.github.probe import GithubProbe
from core.github.service import GithubService
from core.github.webhooks.nudge import Nudge
from core.isolation.container.probe import with_container
from core.isolation.machine import probe_machine
from core.isolation.plan import Machine
from core.known_secrets import known_secrets
from core.monitoring.service import Monitoring, Sources
from core.offline import open_commands as open_commands
from core.orchestrator.audit_keeping import AuditKeeping
from core.orchestrator.back_off import BackOff
from core.orchestrator.backup_keeping import BackupKeeping
from core.orchestrator.commands import Commands
from core.orchestrator.commands.admission import admitted
from core.orchestrator.control import serve_control, socket_path
from core.orchestrator.measuring import EngineFigures
from core.orchestrator.mirror import Mirror
from core.orchestrator.reconciler import Reconciler
from core.orchestrator.recovery import recover
from core.orchestrator.registry import Registry
from core.orchestrator.resource_views import ReloadView
from core.orchestrator.running_engine import RunningEngine
from core.orchestrator.secret_supply import SecretSupply
from core.orchestrator.session_turns import check_prompts, recover_turns
from core.orchestrator.settings_record import fingerprints, note_files
from core.orchestrator.settings_watch import SettingsWatch
from core.orchestrator.setups import Setups, wants_container
from core.orchestrator.supervisor import SupervisionTimes
from core.orchestrator.timers import ticking
from core.orchestrator.transcript_keeping import TranscriptKeeping
from core.security.access import AT_THE_MACHINE
from core.security.audit import AuditKind
from core.security.secrets import Secrets
from core.security.vault import Vault
from core.store import projects
from core.store.database import Store
from core.watch import open_watch
from core.work import Work, open_work
from core.worker.checkouts import sweep_checkouts
from core.worker.contract import Progress

log = logging.getLogger(__name__)


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
    vault: Vault
    nudge_github: Callable[[str, Nudge], None]  # a project: GitHub said that something changed there
    monitoring: Monitoring


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
        stack.enter_context(only_one(state_path))
        vault = Vault(configuration)
        await asyncio.to_thread(lambda: vault.key)  # a command may have to be asked for it
        store = await stack.enter_async_context(vault.open_store(clock=clock, bus=bus))
        await vault.check_key(store)
        await _record_files(store, vault, configuration, "unknown")
        machine = await probe_machine()
        if any(wants_container(project) for project in configuration.settings.projects.values()):
            machine = await with_container(machine)
        await _clean_up(store, state_path)
        registry = Registry(store, configuration, load)
        registry.record = partial(_record_settings, store, vault, registry)
        setups = await _setups(registry, state_path, machine)
        secrets = Secrets(store, vault.key, vault.auditor)
        # Before anything is started: from here on neither the log nor an event holds one.
        known_secrets.learn((*setups.secrets(), *await secrets.values()))
        work = await stack.enter_async_context(
            open_work(
                store,
                bus,
                setups,
                folder=configuration.root,
                clock=clock,
                times=times,
                back_off=back_off or BackOff(),
                supply=SecretSupply(setups, secrets),
            )
        )
        await stack.enter_async_context(_tended(store, registry, setups, work, clock, vault))
        mirror = Mirror(store, bus, wanted=lambda name: _is_mirrored(registry, name))
        await stack.enter_async_context(running(mirror.run(), "the mirror", vital=False))
        github = GithubService(store, bus, clock, lambda: registry.configuration.settings)
        engine = _engine(work, setups)
        commands = Commands(
            store,
            registry,
            engine,
            started_at=clock.now(),
            isolation=str(machine.strongest),
            vault=vault,
            github=github,
        )
        await stack.enter_async_context(_github(github, registry, work, setups, secrets, engine))
        await stack.enter_async_context(
            serve_control(admitted(commands, AT_THE_MACHINE), socket_path(state_path))
        )
        await _check_projects(store, setups)
        sources = Sources(
            state_path=setups.state_path,
            fences=work.fencing.fences.live,
            figures=EngineFigures(engine, commands.metrics),
        )
        monitoring = await stack.enter_async_context(
            open_watch(
                store,
                bus,
                clock,
                registry,
                secrets=secrets,
                sources=sources,
                probes=(GithubProbe(github),),
            )
        )
        yield Runtime(
            configuration=lambda: registry.configuration,
            store=store,
            bus=bus,
            clock=clock,
            commands=commands,
            machine=machine,
            progress=work.dispatcher.progress,
            gateway=work.gateway,
            vault=vault,
            nudge_github=github.nudge,
            monitoring=monitoring,
        )


@asynccontextmanager
async def _github(
    github: GithubService,
    registry: Registry,
    work: Work,
    setups: Setups,
    secrets: Secrets,
    engine: RunningEngine,
) -> AsyncIterator[None]:
    """Repositories that projects are linked with, kept; without a link it only listens."""

    async def opened() -> Parts:
        parts = await asyncio.to_thread(importlib.import_module, "core.github.parts")
        made: Parts = parts.make_parts(
            github=github,
            settings=lambda: registry.configuration.settings,
            setups=setups,
            secrets=secrets,
            root=registry.configuration.root,
            publishing=work.dispatcher.publishing,
            engine=engine,
        )
        return made

    github.opening(opened)
    registry.on_changed(github.settings_changed)
    work.dispatcher.publishing.access = github
    async with running(github.run(), "GitHub", vital=False):
        yield


async def _clean_up(store: Store, state_path: Path) -> None:
    """What an earlier run left behind is ended and removed, before anything is started."""
    if reaped := await recover(store):
        log.info("ended %d processes that an earlier run left behind", reaped)
    await recover_turns(store, state_path)
    await asyncio.to_thread(sweep_checkouts, state_path)


async def _record_settings(store: Store, vault: Vault, registry: Registry, told: ReloadView) -> None:
    """Whoever changed the files: which is known of the operating system's user at most."""
    isolation = any("isolation" in line for line in told.changed)
    kind = AuditKind.ISOLATION_CHANGED if isolation else AuditKind.SETTINGS_CHANGED
    data = {"changed": list(told.changed), "later": list(told.later)}
    await store.write(lambda tx: vault.auditor.record(tx, kind, actor="orch-config", data=data))
    await _record_files(store, vault, registry.configuration, "orch-config")


async def _record_files(store: Store, vault: Vault, configuration: Configuration, actor: str) -> None:
    """The files as they are now; what changed while Orchard did not run, somebody unknown changed."""
    found = await asyncio.to_thread(fingerprints, configuration, vault.key)
    if changed := await store.write(lambda tx: note_files(tx, vault.auditor, found, actor=actor)):
        log.info("settings are another than Orchard last saw: %s", ", ".join(changed))


async def _setups(registry: Registry, state_path: Path, machine: Machine) -> Setups:
    """By the settings as they are at any time, with every project that they name registered."""
    setups = Setups(
        lambda: registry.configuration.settings,
        state_path=state_path,
        machine=machine,
        environ=variables(registry.configuration.root),
        broken=lambda: registry.configuration.broken,
    )
    registry.on_registered(setups.learn)
    await registry.adopt()
    return setups


@asynccontextmanager
async def _tended(
    store: Store, registry: Registry, setups: Setups, work: Work, clock: Clock, vault: Vault
) -> AsyncIterator[None]:
    """Settings that change reach what is at work; what should be is compared with what is."""
    registry.on_changed(work.dispatcher.wake)
    registry.on_changed(work.fencing.apply)
    registry.on_changed(lambda: work.gateway.set_rates(setups.rates()))
    transcripts = TranscriptKeeping(
        store,
        clock,
        state_path=setups.state_path,
        retention_days=lambda: setups.global_settings().transcript_retention_days,
        redactor=lambda: known_secrets.redactor_with(setups.secrets()),
    )
    auditing = AuditKeeping(
        store, clock, vault.auditor, lambda: setups.global_settings().security.audit_log_retention_days
    )
    backups = BackupKeeping(store, clock, vault, lambda: setups.global_settings().security)
    reconciler = Reconciler(store, work.dispatcher, work.crew, state_path=setups.state_path)
    async with ticking(
        reconciler,
        SettingsWatch(registry),
        work.resources,
        registry,
        transcripts,
        auditing,
        backups,
        partial(vault.keep_head, store),
    ):
        yield


def _engine(work: Work, setups: Setups) -> RunningEngine:
    return RunningEngine(
        setups,
        dispatcher=work.dispatcher,
        designs=work.designs,
        resources=work.resources,
        budgets=work.budgets,
        gateway=work.gateway,
    )


def _is_mirrored(registry: Registry, name: str) -> bool:
    settings = registry.configuration.settings.projects.get(name)
    return settings is not None and settings.state_mirror


async def _check_projects(store: Store, setups: Setups) -> None:
    """Says at start which active projects cannot work here, instead of letting them wait in silence."""
    able: set[str] = set()  # most projects have the same agent, and looking for one reads many files
    for project in await store.read(projects.every):
        if project.status is not ProjectStatus.ACTIVE:
            continue
        try:
            setups.project(project.name)
            setups.check_agents(project.name, able)
        except OrchardError as error:
            await store.write(_unavailable(project.name, error))
    await check_prompts(store, setups)


def _unavailable(name: str, error: OrchardError) -> Callable[..., object]:
    message, hint = f"{error.message} {error.why}".strip(), error.hint
    return lambda tx: tx.emit(
        EventKind.PROJECT_UNAVAILABLE, project=name, data={"message": message, "hint": hint}
    )
