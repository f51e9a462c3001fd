"""A store with the project `shop`, linked with acme/shop of the GitHub-like server; nothing runs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from config.github_settings import ProjectGithub
from config.loader import load
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import Event, EventKind
from core.domain.github import IssueLink, Link
from core.domain.lifecycles import CycleEvent, CycleState, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Cycle, Story
from core.github.api.gateway import GithubGateway
from core.github.inward.inbound import Inbound, SyncCount
from core.orchestrator.commands import Commands
from core.orchestrator.registry import Registry
from core.security.keys import Key
from core.security.secrets import Secrets
from core.store import cycles, events, github_issues, github_links, projects, stories
from core.store.auditor import Auditor
from core.store.database import Store, Transaction
from tests.github_server.repository import Repository
from tests.github_server.server import GithubServer

COMMITS = {"base_commit": "base", "red_commit": "red", "head_commit": "head"}


class Stage:
    """Notes what the running part is asked for."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.nudged: list[str] = []
        self.steered: list[str] = []

    def why(self, story_id: str) -> str:
        return f"{story_id} waits for @everybody."

    async def cancel(self, project: str, story_id: str) -> None:
        self.cancelled.append(story_id)

    def nudge(self, story_id: str) -> None:
        self.nudged.append(story_id)

    async def steer(self, project: str, story_id: str, text: str) -> bool:
        self.steered.append(text)
        return True


@dataclass(kw_only=True)
class Shop:
    store: Store
    gateway: GithubGateway
    server: GithubServer
    here: Repository
    commands: Commands
    stage: Stage
    settings: ProjectGithub = field(default_factory=ProjectGithub)
    inbound: Inbound = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """What a process kept in memory is gone."""
        self.inbound = Inbound(
            self.store,
            self.gateway,
            lambda name: self.settings,
            SystemClock(),
            self.stage,  # type: ignore[arg-type]
        )

    def use(self, **settings: Any) -> None:
        self.settings = ProjectGithub(**settings)

    async def sync(self, *numbers: int) -> SyncCount:
        """A second after whatever happened at GitHub before: its times are whole seconds."""
        self.server.world.advance(1)
        return await self.inbound.sync("shop", numbers)

    def add(self, title: str = "Totals", body: str = "Sum it up.\n\n- [ ] it sums", **more: Any) -> int:
        """An issue that is to be a story: its number."""
        return self.here.add_issue(title, body, **{"labels": ["orchard"], "author": "mia", **more}).number

    async def stories(self) -> tuple[Story, ...]:
        return await self.store.read(lambda conn: stories.of_project(conn, "shop"))

    async def story(self, story_id: str = "shop-1") -> Story:
        return await self.store.read(lambda conn: stories.get(conn, story_id))

    async def issue(self, story_id: str = "shop-1") -> IssueLink | None:
        return await self.store.read(lambda conn: github_issues.of_story(conn, story_id))

    async def link(self) -> Link:
        return await self.store.read(lambda conn: github_links.get(conn, "shop"))

    async def project(self) -> Project:
        return await self.store.read(lambda conn: projects.get(conn, "shop"))

    async def cycle(self, story_id: str = "shop-1") -> Cycle:
        found = await self.store.read(lambda conn: cycles.get(conn, story_id))
        assert found is not None
        return found

    async def told(self, kind: EventKind) -> list[Event]:
        found = await self.store.read(lambda conn: events.since(conn, 0))
        return [event for event in found if event.kind is kind]

    async def start(self, *ids: str) -> None:
        await self.commands.plan_sprint("shop", stories=ids, actor="cli")
        await self.commands.start_sprint("shop", actor="cli")

    async def pass_to(self, state: CycleState, story_id: str = "shop-1") -> None:
        def go(tx: Transaction) -> None:
            cycle = cycles.get(tx.conn, story_id)
            while cycle is not None and cycle.state is not state:
                cycle = cycles.move(tx, story_id, CycleEvent.PASSED, state=cycle.state, **COMMITS)  # type: ignore[arg-type]

        await self.store.write(go)

    def answers(self, number: int = 1) -> list[str]:
        """What Orchard said there."""
        comments = self.here.issue(number).comments
        return [comment.body for comment in comments if comment.author.login == "orch-bot"]


@pytest_asyncio.fixture
async def shop(tmp_path: Path, github_server: GithubServer) -> AsyncIterator[Shop]:
    (tmp_path / "orch-config.yaml").write_text(
        f"global:\n  github:\n    api_url: {github_server.api_url}\n    request_seconds: 10\n"
        "projects:\n  shop:\n    path: /srv/shop\n"
    )

    def read() -> Any:
        return load(tmp_path, environ={"GITHUB_TOKEN": "good-token"})

    clock, stage = SystemClock(), Stage()
    async with Store.open(tmp_path / "orchard.db", clock=clock, bus=Bus()) as store:
        here = github_server.repo("acme/shop")
        here.grant("mia", "write")
        await store.write(lambda tx: _set_up(tx, here))
        key = Key.new()
        secrets = Secrets(store, key, Auditor(key))
        settings = read().settings
        gateway = GithubGateway(store, lambda: settings, secrets, root=tmp_path, clock=clock)
        commands = Commands(store, Registry(store, read(), read), stage)  # type: ignore[arg-type]
        yield Shop(
            store=store, gateway=gateway, server=github_server, here=here, commands=commands, stage=stage
        )
        await gateway.close()


def _set_up(tx: Transaction, here: Repository) -> None:
    projects.add(
        tx,
        Project(
            name="shop",
            path=Path("/srv/shop"),
            main_branch="main",
            status=ProjectStatus.ACTIVE,
            workflow=WorkflowState.IDLE,
            registered_at=datetime.now(UTC) - timedelta(minutes=1),
        ),
    )
    github_links.put(tx, "shop", "acme/shop", by="cli", configured=False)
    github_links.answered(
        tx,
        "shop",
        repository="acme/shop",
        repository_id=here.id,
        default_branch="main",
        clone_url=here.clone_url,
        html_url=here.html,
    )
