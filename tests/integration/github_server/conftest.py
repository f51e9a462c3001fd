"""PyGithub as a client of the server, off the loop in which the server answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from github import Auth, Github
from github.Repository import Repository

from tests.github_server.server import GithubServer

Off = Callable[..., Any]


@pytest_asyncio.fixture
async def client(github_server: GithubServer) -> AsyncIterator[Github]:
    client = Github(
        auth=Auth.Token("good-token"),
        base_url=github_server.api_url,
        retry=None,
        per_page=100,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    yield client
    client.close()


@pytest_asyncio.fixture
async def shop(client: Github) -> Repository:
    return await asyncio.to_thread(client.get_repo, "acme/shop")


@pytest.fixture
def off() -> Off:
    """Runs a call of PyGithub in a thread."""
    return asyncio.to_thread
