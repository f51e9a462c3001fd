"""When a repository is looked at: by the time, by nudges, later after faults, not before GitHub's limit."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.clock import SystemClock
from core.github import lane as lanes
from core.github.api.trouble import GithubForbidden, GithubLimited, GithubUnreachable
from core.github.lane import Lane


class Work:
    """What is raised or returned, call by call; after the last the same again."""

    def __init__(self, *comes: object) -> None:
        self.comes = list(comes)
        self.calls = 0
        self.at_once = self.most_at_once = 0
        self.done = asyncio.Condition()

    async def __call__(self) -> float | None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.calls += 1
        async with self.done:
            self.done.notify_all()
        found = self.comes.pop(0) if len(self.comes) > 1 else self.comes[0]
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[return-value]

    async def until(self, calls: int) -> None:
        async with asyncio.timeout(50), self.done:
            await self.done.wait_for(lambda: self.calls >= calls)


@pytest.fixture
async def kept(monkeypatch):
    """`kept(work)`: its lane, at work; and the faults that it told."""
    monkeypatch.setattr(lanes, "FIRST_SECONDS", 0.01)
    told, tasks = [], []

    async def failed(error, times):
        told.append((type(error), times))

    async def every():
        return 3600.0

    def make(work):
        lane = Lane("shop", work, every=every, failed=failed, clock=SystemClock())
        tasks.append(asyncio.create_task(lane.run()))
        return lane, told

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_looks_at_once_and_then_when_it_is_nudged(kept):
    work = Work(None)
    lane, _ = kept(work)
    await work.until(1)
    lane.nudge()
    await work.until(2)
    await asyncio.sleep(0.05)
    assert work.calls == 2


async def test_what_wants_to_be_looked_at_again_soon_is(kept):
    work = Work(0.01, 0.01, None)
    kept(work)
    await work.until(3)


async def test_faults_are_told_with_their_number_and_tried_again_until_it_works(kept):
    work = Work(GithubUnreachable("no answer"), GithubForbidden("may not"), ValueError("a bug"), None)
    _, told = kept(work)
    await work.until(4)
    assert told == [(GithubUnreachable, 1), (GithubForbidden, 2)]


async def test_no_nudge_ends_githubs_own_limit(kept):
    until = SystemClock().now() + timedelta(seconds=0.4)
    work = Work(GithubLimited("used up", retry_at=until), None)
    lane, told = kept(work)
    await work.until(1)
    lane.nudge()
    await work.until(2)
    assert SystemClock().now() >= until
    assert told == []


async def test_who_waits_for_a_look_hears_what_it_came_to_and_never_runs_beside_another(kept):
    work = Work(None, GithubForbidden("may not"))
    lane, _ = kept(work)
    found = await asyncio.gather(*(lane.once() for _ in range(5)), return_exceptions=True)
    assert any(isinstance(each, GithubForbidden) for each in found)
    assert work.most_at_once == 1
