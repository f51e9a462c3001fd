"""Lanes that ask at the same time, and what each writes of what it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config.settings import Settings
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.github import Link, LinkState
from core.errors import LostRace
from core.github import lane as lanes
from core.github.api.trouble import GithubGone
from core.github.keeping import Keeping, Parts
from core.store import events, github_links
from core.store.database import Store
from tests.unit.core.github.test_service import link_shop
from tests.waiting import until


class Repo:
    """Answers when it may."""

    def __init__(self, link: Link, may_answer: asyncio.Event) -> None:
        self.link = link
        self.asked = asyncio.Event()
        self._may_answer = may_answer

    async def about(self) -> Any:
        self.asked.set()
        await self._may_answer.wait()
        return SimpleNamespace(
            id=len(self.link.named),
            full_name=self.link.named,
            default_branch="main",
            clone_url="",
            html_url="",
            is_archived=False,
            is_disabled=False,
        )


class Github:
    """All parts in one: what they are asked is done by what a test puts in place of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.repos: list[Repo] = []
        self.read: Callable[[], Any] = self._nothing
        self.looked: Callable[[], Any] = self._nothing

    async def _nothing(self) -> None: ...

    async def repo(self, project: str) -> Repo:
        link = await self._store.read(lambda conn: github_links.get(conn, project))
        self.repos.append(Repo(link, self.may_answer))
        return self.repos[-1]

    async def sync(self, project: str, look_at: object = ()) -> Any:
        await self.read()
        return SimpleNamespace(added=0, edited=0, closed=0, reopened=0, held="")

    async def look(self, project: str) -> None:
        await self.looked()

    def again_in(self, project: str) -> None: ...


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        await store.write(link_shop)
        yield store


def kept(store: Store, github: Github) -> Keeping:
    parts = Parts(gateway=github, inbound=github, pulls=github, outbound=github, hooks=github)  # type: ignore[arg-type]
    return Keeping("shop", parts, store, SystemClock(), cast(Callable[[], Settings], Settings))


async def test_trouble_from_before_all_was_well_again_is_not_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "FIRST_SECONDS", 0.01)
    github, may_fail, reads, looks = Github(store), asyncio.Event(), 0, 0

    async def read() -> None:
        nonlocal reads
        reads += 1
        if reads == 1:
            await may_fail.wait()
            raise GithubGone("GitHub shows no repository acme/shop.")

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise GithubGone("GitHub shows no repository acme/shop.")

    async def told() -> list[EventKind]:
        kinds = (EventKind.GITHUB_TROUBLED, EventKind.GITHUB_RECOVERED)
        return [each.kind for each in await store.read(lambda conn: events.since(conn, 0, kinds=kinds))]

    github.read, github.looked = read, look
    keeping = kept(store, github)
    reading = asyncio.create_task(keeping.reading.run())
    await until(lambda: reads == 1)
    landing = asyncio.create_task(keeping.landing.run())

    async def is_over() -> bool:
        return len(await told()) == 2

    assert await until(is_over)
    may_fail.set()
    await until(lambda: reads == 2 and not keeping.reading.is_busy)
    for task in (reading, landing):
        task.cancel()
    await asyncio.wait((reading, landing))
    assert await told() == [EventKind.GITHUB_TROUBLED, EventKind.GITHUB_RECOVERED]
    link = await store.read(lambda conn: github_links.get(conn, "shop"))
    assert link.state is LinkState.LINKED


async def test_answer_of_a_repository_is_not_taken_for_anothers(store: Store) -> None:
    github = Github(store)
    github.may_answer.clear()
    keeping = kept(store, github)
    asking = asyncio.create_task(keeping.reading.once())
    await until(lambda: github.repos and github.repos[0].asked.is_set())
    await store.write(lambda tx: github_links.put(tx, "shop", "acme/market", by="cli:ann", configured=False))
    github.may_answer.set()
    with pytest.raises(LostRace):
        await asking
    link = await store.read(lambda conn: github_links.get(conn, "shop"))
    assert (link.repository, link.repository_id, link.state) == ("acme/market", None, LinkState.NEW)
    await keeping.reading.once()
    link = await store.read(lambda conn: github_links.get(conn, "shop"))
    assert (link.repository, link.state) == ("acme/market", LinkState.LINKED)


async def test_nudge_while_it_is_asked_has_it_asked_once_more(store: Store) -> None:
    github = Github(store)
    github.may_answer.clear()
    keeping = kept(store, github)
    asking = asyncio.create_task(keeping.reading.once())
    await until(lambda: github.repos and github.repos[0].asked.is_set())
    keeping.nudge()  # it was renamed, after it had answered
    github.may_answer.set()
    await asking
    await keeping.reading.once()
    assert len(github.repos) == 2
    await keeping.reading.once()
    assert len(github.repos) == 2
