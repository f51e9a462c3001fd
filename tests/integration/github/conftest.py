"""A repository of the GitHub-like server as Orchard asks it. Time moves when somebody waits: nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from core.clock import Clock
from core.domain.github import Link, LinkState
from core.github.api.connection import Connection
from core.github.api.credentials import TokenCredential
from core.github.api.repo import Repo
from core.github.api.wire import Wire
from tests.github_server.server import GithubServer


@dataclass
class MovingTime:
    """Clock and sleep in one. It runs as the machine's, and what is slept through is passed at once, here and
    at GitHub."""

    server: GithubServer
    ahead: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead += seconds
        self.server.world.advance(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def moving(github_server: GithubServer) -> MovingTime:
    return MovingTime(github_server)


@pytest.fixture
def connect(github_server: GithubServer, moving: MovingTime) -> Iterator[Callable[..., Connection]]:
    """`connect("good-token")`: a session with that credential."""
    made: list[Connection] = []

    def make(token: str = "good-token", *, seconds: float = 20, patience: float = 120) -> Connection:
        wire = Wire(github_server.api_url, seconds=seconds, agent="Orchard", connections=4)
        clock: Clock = moving
        made.append(
            Connection(
                TokenCredential(token, token),
                wire,
                clock=clock,
                request_seconds=seconds,
                patience_seconds=patience,
                sleep=moving.sleep,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def repo_with(connect: Callable[..., Connection], moving: MovingTime) -> Callable[..., Repo]:
    def make(token: str, name: str = "acme/shop") -> Repo:
        return Repo(connect(token), named(name, moving.now()))

    return make


@pytest.fixture
def repo(repo_with: Callable[..., Repo]) -> Repo:
    return repo_with("good-token")


def named(repository: str, at: datetime) -> Link:
    return Link(
        project="shop",
        repository=repository,
        repository_id=None,
        default_branch="",
        clone_url="",
        html_url="",
        state=LinkState.NEW,
        trouble="",
        linked_by="",
        linked_at=at,
        synced_at=None,
        cursor="",
        comments_cursor="",
        configured=False,
    )
