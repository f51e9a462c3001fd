"""The resource engine over a real store, with a machine whose figures a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from config.settings import GlobalSettings, ProjectSettings, ResourceLimits
from core.bus import Bus
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority
from core.isolation.limits import ProjectUse
from core.monitoring.machine import Reading
from core.orchestrator.budgets import Budgets
from core.orchestrator.floor import Floor
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.scheduling.candidates import Kind
from core.orchestrator.scheduling.demand import Terms, terms_of
from core.orchestrator.scheduling.engine import Choice, ResourceEngine
from core.orchestrator.scheduling.history import History
from core.orchestrator.scheduling.surveyor import Surveyor
from core.orchestrator.usage_limit import UsagePolicy
from core.scheduler.workhours import Hours
from core.store import cycles, leases, projects, stories
from core.store.database import Store, Transaction
from core.store.leases import Claim, Claimed

IDLE = Reading(
    cores=8,
    load_1m=0.0,
    memory_total_mb=24576.0,
    memory_available_mb=24576.0,
    disk_total_mb=1e6,
    disk_free_mb=1e6,
)


@dataclass
class YardClock:
    """`at` may jump; the monotonic seconds only go on."""

    at: datetime = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Yard:
    """`uses`: what the fences measure; `limits`: of each project, by name."""

    store: Store
    clock: YardClock
    floor: Floor
    reading: Reading = IDLE
    settings: GlobalSettings = field(default_factory=GlobalSettings)
    terms: dict[str, Terms] = field(default_factory=dict)
    uses: dict[str, ProjectUse] = field(default_factory=dict)
    full: dict[str, str] = field(default_factory=dict)  # project to why its disk bars it
    enforcement: tuple[str, ...] = ("memory by rlimits",)
    applied: int = 0
    projects: dict[str, ProjectSettings] = field(default_factory=dict)  # of those with budgets
    budgets: Budgets = field(init=False)
    holds: ProviderHolds = field(init=False)
    engine: ResourceEngine = field(init=False)

    def __post_init__(self) -> None:
        history = History(self.store, self.clock)
        self.holds = ProviderHolds(
            self.store,
            self.clock,
            able=lambda project, role: ("claude",),
            provider_of=lambda agent: "anthropic",
            policy=lambda project: UsagePolicy(),
        )
        self.budgets = Budgets(self.store, self.clock, self.projects.get)
        surveyor = Surveyor(
            self.store,
            self.clock,
            self.floor,
            settings=lambda: self.settings,
            terms=lambda: self.terms,
            batch_size=lambda name: 8,
            read_machine=lambda: self.reading,
            fences=self,
            past=history,
            purse=self.budgets,
            providers=self.holds,
        )
        self.engine = ResourceEngine(self.store, self.clock, surveyor, history, self)

    # -- as the fences are ---------------------------------------------------------------------

    def measured(self, project: str) -> ProjectUse | None:
        return self.uses.get(project)

    def over_disk(self, project: str) -> str:
        return self.full.get(project, "")

    def apply(self) -> None:
        self.applied += 1

    def problems(self, project: str) -> tuple[str, ...]:
        return ()

    # -- what a test says ----------------------------------------------------------------------

    def configure(self, **settings: Any) -> None:
        self.settings = GlobalSettings.model_validate({**self.settings.model_dump(), **settings})

    def limit(
        self,
        name: str,
        *,
        tier: Priority = Priority.NORMAL,
        hours: Hours | None = None,
        shared: dict[str, int] | None = None,
        **limits: Any,
    ) -> None:
        self.terms[name] = terms_of(name, ResourceLimits(**limits), tier=tier, hours=hours, shared=shared)

    async def project(self, name: str, stories: int = 0, **limits: Any) -> None:
        """With so many stories that could start."""
        self.limit(name, **limits)
        await self.store.write(lambda tx: _fill(tx, name, stories))

    def machine(self, **figures: Any) -> None:
        self.reading = replace(self.reading, **figures)

    async def start(self, choice: Choice | None = None) -> list[str]:
        """Claims what is chosen as the dispatcher does; the stories that started."""
        choice = choice or await self.engine.choose()
        started: list[str] = []
        for candidate in choice.start:
            if candidate.kind is Kind.DESIGN:
                self.floor.extra_agents.grant(candidate.id)
                started.append(candidate.id)
                continue
            claims = [
                Claim(story_id=cycle.story_id, phase=cycle.state.phase, wants=candidate.wants)
                for cycle in candidate.cycles
                if cycle.state.phase is not None
            ]

            def claim(tx: Transaction, claims: list[Claim] = claims) -> Claimed:
                return leases.claim_all(tx, claims, owner="w", lease_seconds=60)

            started += [lease.story_id for lease in (await self.store.write(claim)).won]
        return started

    async def end(self, *stories: str) -> None:
        """Their phases are over: they could start again."""

        def release(tx: Transaction) -> None:
            for lease in leases.held(tx.conn):
                if lease.story_id in stories:
                    leases.release(tx, lease.story_id, lease.generation)

        await self.store.write(release)

    async def running(self) -> list[str]:
        held = await self.store.read(leases.held)
        return [lease.story_id for lease in held]


def _fill(tx: Transaction, name: str, count: int) -> None:
    if projects.find(tx.conn, name) is None:
        projects.add(
            tx,
            Project(
                name=name,
                path=Path(f"/srv/{name}"),
                main_branch="main",
                status=ProjectStatus.ACTIVE,
                workflow=WorkflowState.SPRINT_ACTIVE,
                registered_at=tx.now,
            ),
        )
    for _ in range(count):
        story = stories.add(
            tx,
            name,
            title="Sell",
            body="",
            acceptance_criteria=("a sale",),
            priority=Priority.NORMAL,
            added_by="cli",
        )
        cycles.begin(tx, story)
    tx.conn.execute("UPDATE stories SET state = 'active' WHERE project = ? AND state = 'backlog'", (name,))


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    clock, bus = YardClock(), Bus()
    async with Store.open(tmp_path / "orchard.db", clock=clock, bus=bus) as store:
        made = Yard(store=store, clock=clock, floor=Floor(clock))
        yield made
        await made.engine.close()


@pytest.fixture
def idle_machine() -> Callable[..., Reading]:
    return lambda **figures: replace(IDLE, **figures)
