"""A real file for every test: `store` through its event loop, `tx` straight on a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from core.bus import Bus
from core.domain.lifecycles import CycleEvent, CycleState, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Cycle, Priority, Story, StoryState
from core.store import cycles, migrations, projects, stories
from core.store.database import Store
from core.store.transaction import Transaction


@dataclass
class TestClock:
    """Stands still until a test moves it."""

    __test__ = False

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def advance(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "orchard.db"


@pytest_asyncio.fixture
async def store(path: Path, clock: TestClock, bus: Bus) -> AsyncIterator[Store]:
    async with Store.open(path, clock=clock, bus=bus, busy_seconds=20) as opened:
        yield opened


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file that all steps were applied to."""
    file = tmp_path_factory.mktemp("migrated") / "tables.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        migrations.migrate(connection, file)
    return file.read_bytes()


@pytest.fixture
def conn(tmp_path: Path, migrated: bytes) -> Iterator[sqlite3.Connection]:
    """The schema on a file of its own, with the settings that guards rely on; no power cut is waited for."""
    file = tmp_path / "tables.db"
    file.write_bytes(migrated)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = OFF")
        yield connection


@pytest.fixture
def tx(conn: sqlite3.Connection, clock: TestClock) -> Transaction:
    return Transaction(conn, clock.now())


@pytest.fixture
def later(conn: sqlite3.Connection, clock: TestClock) -> Callable[[float], Transaction]:
    """The next transaction, so many seconds on."""
    return lambda seconds: Transaction(conn, clock.advance(seconds))


@pytest.fixture
def new_project() -> Callable[..., Project]:
    def make(
        tx: Transaction,
        name: str = "shop",
        *,
        status: ProjectStatus = ProjectStatus.ACTIVE,
        workflow: WorkflowState = WorkflowState.SPRINT_ACTIVE,
    ) -> Project:
        project = Project(
            name=name,
            path=Path(f"/srv/{name}"),
            main_branch="main",
            status=status,
            workflow=workflow,
            registered_at=tx.now,
        )
        return projects.add(tx, project)

    return make


@pytest.fixture
def new_story() -> Callable[..., Story]:
    def make(
        tx: Transaction, project: str = "shop", *, title: str = "Sell", priority: Priority = Priority.NORMAL
    ) -> Story:
        return stories.add(
            tx,
            project,
            title=title,
            body="",
            acceptance_criteria=("a sale is recorded",),
            priority=priority,
            added_by="cli",
        )

    return make


@pytest.fixture
def new_cycle(new_story: Callable[..., Story]) -> Callable[..., Cycle]:
    """A story of a project that exists, ACTIVE, its cycle begun."""

    def make(tx: Transaction, project: str = "shop", *, priority: Priority = Priority.NORMAL) -> Cycle:
        story = new_story(tx, project, priority=priority)
        stories.move(tx, story.id, StoryState.BACKLOG, StoryState.ACTIVE)
        return cycles.begin(tx, story)

    return make


@pytest.fixture
def passed_to() -> Callable[[Transaction, Cycle, CycleState], Cycle]:
    """Passes gates until the cycle is in the state."""

    def go(tx: Transaction, cycle: Cycle, state: CycleState) -> Cycle:
        while cycle.state is not state:
            cycle = cycles.move(tx, cycle.story_id, CycleEvent.PASSED, state=cycle.state)
        return cycle

    return go
