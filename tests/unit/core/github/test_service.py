"""Which repositories are kept, and the end of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from config.settings import Settings
from core.bus import Bus
from core.clock import SystemClock
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.project import Project
from core.github import service as module
from core.github.keeping import Parts
from core.github.service import GithubService
from core.store import github_links, projects
from core.store.database import Store
from core.store.transaction import Transaction


def link_shop(tx: Transaction) -> None:
    project = Project(
        name="shop",
        path=Path("/srv/shop"),
        main_branch="main",
        status=ProjectStatus.ACTIVE,
        workflow=WorkflowState.IDLE,
        registered_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
    )
    projects.add(tx, project)
    github_links.put(tx, "shop", "acme/shop", by="cli:ann", configured=False)


class SlowKeeping:
    """Its end takes as long as somebody lets it."""

    begun, ending, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def __init__(self, *_: object) -> None: ...

    async def run(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ending.set()
            await self.may_end.wait()


async def test_it_ends_also_in_the_moment_in_which_a_project_is_unlinked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Keeping", SlowKeeping)

    async def parts() -> Parts:
        return cast(Parts, Nothing())

    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        await store.write(link_shop)
        service = GithubService(store, Bus(), SystemClock(), Settings)
        service.opening(parts)
        running = asyncio.create_task(service.run())
        async with asyncio.timeout(50):
            await SlowKeeping.begun.wait()
            await store.write(lambda tx: github_links.remove(tx, "shop"))
            service.nudge("unknown")  # has the links looked at
            await SlowKeeping.ending.wait()
            running.cancel()
            await asyncio.sleep(0)
            SlowKeeping.may_end.set()
            await asyncio.wait((running,))
        assert running.cancelled()


class Nothing:
    """What speaks with GitHub, where nobody does."""

    @property
    def gateway(self) -> Nothing:
        return self

    async def close(self) -> None: ...
