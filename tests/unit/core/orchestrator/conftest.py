"""A headless Orchard in which nothing runs: the real store, real git checkouts, no engine."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from config.loader import Configuration, load
from core.orchestrator.commands import Commands
from core.runtime import open_commands

Register = Callable[[str], Awaitable[Commands]]


def _checkout(folder: Path) -> Path:
    folder.mkdir()
    for words in (
        ["init", "-q", "-b", "main"],
        ["-c", "user.name=D", "-c", "user.email=d@x", "commit", "-q", "--allow-empty", "-m", "First"],
    ):
        subprocess.run(["git", "-C", folder, *words], check=True)
    return folder


@pytest_asyncio.fixture
async def orchard(tmp_path: Path) -> AsyncIterator[Commands]:
    def read() -> Configuration:
        return load(tmp_path, environ={})

    async with open_commands(read(), read) as found:
        yield found


@pytest.fixture
def register(orchard: Commands, tmp_path: Path) -> Register:
    """Registers and starts a project."""

    async def make(name: str) -> Commands:
        await orchard.register_project(name, _checkout(tmp_path / name), actor="cli")
        await orchard.start_project(name, actor="cli")
        return orchard

    return make


@pytest_asyncio.fixture
async def started(register: Register) -> Commands:
    """With the started project shop."""
    return await register("shop")
