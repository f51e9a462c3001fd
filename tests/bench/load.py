"""The load of the first documentation: 10 projects are registered, 50 tasks of 0.1 cores and 128 MB with an
agent each are submitted and accepted, 100 metrics are recorded."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from config.loader import Configuration
from config.loader import load as load_configuration
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import Phase
from core.folder import state_folder
from core.isolation.machine import probe_machine
from core.monitoring import machine
from core.monitoring.machine import Reading
from core.orchestrator.budgets import Budgets
from core.orchestrator.commands import Commands
from core.orchestrator.fencing import Fencing
from core.orchestrator.floor import Floor
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.registry import Registry
from core.orchestrator.scheduling.engine import ResourceEngine
from core.orchestrator.scheduling.history import History
from core.orchestrator.scheduling.surveyor import Surveyor
from core.orchestrator.setups import Setups
from core.scheduler.resources import Resources
from core.store import leases
from core.store.database import Store, Transaction
from core.store.leases import Claim, Lease
from tests.bench.figure import Figure, milliseconds

PROJECTS, TASKS, METRICS = 10, 50, 100
EACH = Resources(agents=1, cycles=1, cpu=0.1, memory_mb=128)
ALL = EACH.times(TASKS)
BAR_SECONDS = 10.0
_OWN = TASKS // PROJECTS


@dataclass(slots=True, kw_only=True)
class Loaded:
    """An Orchard with the load on it, no worker and no agent, and how many seconds each step took."""

    store: Store
    commands: Commands
    engine: ResourceEngine
    seconds: dict[str, float] = field(default_factory=dict)
    stories: list[str] = field(default_factory=list)
    claimed: tuple[Lease, ...] = ()

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began


def plant(root: Path) -> dict[str, Path]:
    """Ten small git checkouts, and limits that fifty tasks fill to the brim."""
    names = [f"load{number}" for number in range(PROJECTS)]
    checkouts = {name: root / "projects" / name for name in names}
    for checkout in checkouts.values():
        checkout.mkdir(parents=True)
        (checkout / "calc.py").write_text("def add(a, b):\n    return a + b\n")
        for words in (
            ["init", "-q", "-b", "main"],
            ["add", "-A"],
            ["-c", "user.name=Dev", "-c", "user.email=dev@example.org", "commit", "-q", "-m", "First"],
        ):
            subprocess.run(["git", "-C", checkout, *words], check=True)
    limits = {
        "max_parallel_agents": _OWN,
        "max_parallel_cycles": _OWN + 1,
        "agent_cpu_cores": EACH.cpu,
        "agent_memory_mb": int(EACH.memory_mb),
    }
    configuration: dict[str, Any] = {
        "global": {
            "max_total_agents": TASKS,
            "max_concurrent_projects": PROJECTS,
            "global_cpu_cores": ALL.cpu,
            "global_memory_limit_gb": ALL.memory_mb / 1024,
            "max_load_per_core": None,  # it says nothing of other load
        },
        "projects": {name: {"status": "initializing", "resource_limits": limits} for name in names},
    }
    (root / "orch-config.yaml").write_text(yaml.safe_dump(configuration))
    return checkouts


@asynccontextmanager
async def opened(root: Path, read_machine: Callable[[], Reading] | None = None) -> AsyncIterator[Loaded]:
    """The parts of a running Orchard that take in, decide and remember; `root` is planted."""

    def read() -> Configuration:
        return load_configuration(root, environ={})

    configuration, clock, bus = read(), SystemClock(), Bus()
    state_path = state_folder(configuration)
    async with (
        Store.open(state_path / "orchard.db", clock=clock, bus=bus) as store,
        AsyncExitStack() as stack,
    ):
        registry = Registry(store, configuration, read)
        setups = Setups(
            lambda: registry.configuration.settings,
            state_path=state_path,
            machine=await probe_machine(),
            environ={},
        )
        registry.on_registered(setups.learn)
        fencing = await stack.enter_async_context(Fencing.open(store, setups.settings, state_path))
        history = History(store, clock)
        surveyor = Surveyor(
            store,
            clock,
            Floor(clock),
            settings=setups.global_settings,
            terms=setups.terms,
            batch_size=lambda project: 1,
            read_machine=read_machine or (lambda: machine.read_machine(state_path)),
            fences=fencing,
            past=history,
            purse=Budgets(store, clock, setups.configured),
            providers=ProviderHolds(
                store,
                clock,
                able=setups.able_agents,
                provider_of=setups.provider_of,
                policy=setups.usage_policy,
            ),
        )
        engine = ResourceEngine(store, clock, surveyor, history, fencing)
        await engine.load()
        stack.push_async_callback(engine.close)
        yield Loaded(store=store, commands=Commands(store, registry, None), engine=engine)


async def carry(loaded: Loaded, checkouts: Mapping[str, Path], *, beyond: int = 0) -> None:
    """The whole load, with so many tasks `beyond` what there is room for."""
    commands = loaded.commands
    with loaded.timed("registered"):
        for name, checkout in checkouts.items():
            await commands.register_project(name, checkout, actor="cli")
            await commands.start_project(name, actor="cli")
    with loaded.timed("submitted"):
        for name in checkouts:
            for number in range(_OWN + (beyond if name == next(iter(checkouts)) else 0)):
                story = await commands.add_story(
                    name, f"Task {number}", acceptance_criteria=("it works",), actor="cli"
                )
                loaded.stories.append(story.id)
            await commands.plan_sprint(name, actor="cli")
            await commands.start_sprint(name, actor="cli")
    with loaded.timed("accepted"):
        loaded.claimed = await _claimed(loaded)
    with loaded.timed("recorded"):
        for _ in range(METRICS // PROJECTS):
            await loaded.engine.rebalance()


async def _claimed(loaded: Loaded) -> tuple[Lease, ...]:
    """As the dispatcher does: what is chosen is claimed, project by project, until nothing more starts."""
    won: list[Lease] = []
    while chosen := (await loaded.engine.choose()).start:
        by_project: dict[str, list[Claim]] = {}
        for candidate in chosen:
            by_project.setdefault(candidate.project, []).extend(
                Claim(story_id=cycle.story_id, phase=Phase(cycle.state), wants=candidate.wants)
                for cycle in candidate.cycles
            )
        before = len(won)
        for claims in by_project.values():
            won += await loaded.store.write(_claims(claims))
        assert len(won) > before, "what may start can be claimed"
    return tuple(won)


def _claims(claims: Sequence[Claim]) -> Callable[[Transaction], tuple[Lease, ...]]:
    def claim(tx: Transaction) -> tuple[Lease, ...]:
        won = leases.claim_all(tx, claims, owner="load", lease_seconds=60).won
        for lease in won:
            data = {"phase": str(lease.phase), "attempt": 1, "agent": "none"}
            tx.emit(EventKind.PHASE_STARTED, project=lease.project, story_id=lease.story_id, data=data)
        return won

    return claim


# -- the figures -----------------------------------------------------------------------------------


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        root = Path(name)
        checkouts = plant(root)
        plain = _plainly(root / "plain.db", checkouts)
        loaded = asyncio.run(_measured(root, checkouts))
    accepted = f"{len(loaded.claimed)} of {len(loaded.stories)} accepted"
    figures = [
        Figure(what=f"the documented load: {step}", value=milliseconds(seconds))
        for step, seconds in loaded.seconds.items()
    ]
    return [
        *figures,
        Figure(
            what=f"the documented load: {PROJECTS} projects, {TASKS} tasks, {METRICS} metrics",
            value=f"{loaded.total_seconds:.2f} s",
            baseline=f"{plain:.2f} s",
            ratio=loaded.total_seconds / plain,
            bar=f"< {BAR_SECONDS:.0f} s",
            holds=loaded.total_seconds < BAR_SECONDS and len(loaded.claimed) == TASKS,
            note=f"{accepted}; baseline: three git calls a project and a durable row for each",
        ),
    ]


async def _measured(root: Path, checkouts: Mapping[str, Path]) -> Loaded:
    async with opened(root) as loaded:
        await carry(loaded, checkouts)
        return loaded


def _plainly(path: Path, checkouts: Mapping[str, Path]) -> float:
    """The same counted by hand: each checkout looked at, each project, task, claim and metric a row."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
        began = time.monotonic()
        for checkout in checkouts.values():
            for words in (["rev-parse", "HEAD"], ["symbolic-ref", "HEAD"], ["status", "--porcelain"]):
                subprocess.run(["git", "-C", checkout, *words], check=True, capture_output=True)
        for number in range(PROJECTS + 2 * TASKS + METRICS):
            connection.execute("INSERT INTO rows (text) VALUES (?)", (f"row {number}",))
        return time.monotonic() - began
    finally:
        connection.close()
