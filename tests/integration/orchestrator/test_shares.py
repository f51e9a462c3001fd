"""Who starts when not all can, in a running Orchard with nothing replaced but the model."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from core.domain.event import EventKind
from core.errors import NotFound
from core.orchestrator.merge_queue import MergeQueue
from core.store import leases, locks
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy

SLOW = {"run": "sleep 0.3"}


@pytest.fixture
def farm(quick_farm):
    return quick_farm


@pytest.fixture
def pair(farm):
    farm.add("left")
    farm.add("right")
    farm.settings = {"isolation": "process"}
    return farm


def _spans(runs):
    """(project, from, until) of each phase, by its leases."""
    return sorted((row["claimed_at"], row["released_at"], row["project"], row["story_id"]) for row in runs)


async def test_two_projects_take_turns_with_one_staging_database(pair):
    pair.global_settings = {"shared_resources": {"staging": 1}}
    pair.settings |= {"shared_resources": {"staging": 1}}
    for phase in ("test_red", "code_green"):
        pair.script["stories"]["Multiply"][phase].append(SLOW)
    async with pair.running() as orchard:
        await asyncio.gather(orchard.sprint("left", "Multiply"), orchard.sprint("right", "Multiply"))
        for story in ("left-1", "right-1"):
            ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story=story)
            assert ended.kind is EventKind.STORY_MERGED, ended.data
        store = orchard.runtime.store
        runs = await store.read(lambda conn: conn.execute("SELECT * FROM leases").fetchall())
        held = await store.read(locks.every)
    assert [one.holds for one in held] == [()]
    spans = _spans(runs)
    assert len(spans) >= 8
    for (_, ended, _, _), (began, _, _, _) in pairwise(spans):
        assert ended <= began  # one after the other, never both
    turns = [project for _, _, project, _ in spans]
    for one, other in (("left", "right"), ("right", "left")):  # neither waits until the other is through
        assert turns.index(one) < len(turns) - 1 - turns[::-1].index(other), turns


async def test_work_hours_hold_a_project_and_let_it_go(pair):
    now = datetime.now(UTC)
    closed = {"start": f"{now + timedelta(hours=3):%H:%M}", "end": f"{now + timedelta(hours=4):%H:%M}"}
    every_day = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    pair.own_settings = {"left": {"isolation": "process", "work_hours": {**closed, "days": every_day}}}
    async with pair.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("left", "Multiply")
        await orchard.sprint("right", "Multiply")
        await orchard.until(EventKind.PHASE_STARTED, story="right-1")

        async def told() -> bool:
            return "outside the work hours of left" in (await commands.story("left-1")).view.why

        await until(told)
        assert await orchard.runtime.store.read(lambda conn: leases.held(conn, "left")) == ()
        del pair.own_settings["left"]
        pair.write()  # taken up while it runs
        await orchard.until(EventKind.GATE_PASSED, story="left-1", phase="test_red")


async def test_a_guarantee_goes_before_others_and_what_waits_is_explained(pair):
    """One agent for all; the first, which holds what it is guaranteed, works until both others wait."""
    pair.add("rich")
    pair.global_settings = {"max_total_agents": 1}
    go, began = pair.root / "go", pair.root / "began"
    wait = {"run": f"touch {began}; while ! test -e {go}; do sleep 0.05; done"}
    pair.script["stories"]["Divide"]["test_red"].append(wait)
    pair.own_settings = {
        "rich": {"isolation": "process", "resource_limits": {"guaranteed_agents": 1, "agent_memory_mb": 64}},
        "left": {"isolation": "process", "resource_limits": {"guaranteed_agents": 1, "agent_memory_mb": 64}},
    }
    async with pair.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("left", "Divide")

        async def has_begun() -> bool:
            return began.exists()

        await until(has_begun)
        await orchard.sprint("right", "Multiply")
        await orchard.sprint("rich", "Multiply")

        async def both_wait() -> bool:
            views = [(await commands.story(story)).view for story in ("right-1", "rich-1")]
            return all("the only agent is at work (max_total_agents)" in view.why for view in views)

        await until(both_wait)
        why = await commands.why("right-1")
        assert why.sentence.startswith("waits: the only agent is at work (max_total_agents), right holds 0 %")
        assert why.next.startswith("That agent is done")
        run = await commands.optimize(strategy="priority_based", dry_run=True, actor="cli")
        assert (run.strategy, run.starts) == ("priority_based", ())
        view = await commands.resources()
        assert {one.project: one.running for one in view.projects} == {"left": 1, "rich": 0, "right": 0}
        done = await commands.optimize(actor="cli")
        assert any(change.startswith("Gave left") for change in done.changes)
        seen = (await commands.events(limit=1000))[-1].seq
        go.touch()
        first = await orchard.until(EventKind.PHASE_STARTED, after=seen)
        others = [first.story_id]
        while "right-1" not in others:
            first = await orchard.until(EventKind.PHASE_STARTED, after=first.seq)
            others.append(first.story_id)
    assert "rich-1" in others  # it started before the one without a guarantee did


async def test_a_merge_whose_shared_resource_is_gone_says_so_and_waits(pair, monkeypatch):
    def gone(*_, **__):
        raise NotFound("There is no shared resource staging.")

    monkeypatch.setattr(MergeQueue, "claim", gone)
    async with pair.running() as orchard:
        await orchard.sprint("left", "Multiply")

        async def told() -> bool:
            why = (await orchard.runtime.commands.story("left-1")).view.why
            assert "error of Orchard itself" not in why
            return "There is no shared resource staging" in why

        await until(told)
