"""Shares and limits beside no running Orchard: what the settings say and what the store remembers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from config.loader import load
from core.bus import Bus
from core.clock import SystemClock
from core.domain.lifecycles import ProjectCommand, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority, StoryState
from core.orchestrator.commands import Commands
from core.orchestrator.registry import Registry
from core.scheduler.forecast import Durations, WeekProfile
from core.scheduler.quota import Quota
from core.scheduler.resources import NOTHING
from core.store import cycles, locks, projects, stories
from core.store import load as load_table
from core.store.database import Store

SETTINGS = """\
global:
  max_total_agents: 6
  global_cpu_cores: 4
  global_memory_limit_gb: 2
  resource_allocation_strategy: dynamic
  shared_resources: {gpu: 1, staging-db: 2}
projects:
  shop: {path: shop, priority: high, resource_limits: {cpu_priority: 3, max_cpu_cores: 2}}
  bank: {path: bank}
  shut: {path: shut}
"""
QUOTA = Quota(
    project_name="shop",
    allocated_agents=4,
    allocated_memory_mb=1536,
    allocated_cpu_percent=25.0,
    priority_weight=3.0,
    reason="its weight",
)


@pytest.fixture
async def store(tmp_path):
    (tmp_path / "orch-config.yaml").write_text(SETTINGS)
    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as opened:
        await opened.write(lambda tx: [a_project(tx, name, tmp_path) for name in ("shop", "bank", "shut")])
        await opened.write(lambda tx: projects.move_status(tx, "shut", ProjectCommand.PAUSE))
        yield opened


@pytest.fixture
def commands(store, tmp_path):
    def read():
        return load(tmp_path, environ={})

    return Commands(store, Registry(store, read(), read), None)


def a_project(tx, name, root):
    projects.add(
        tx,
        Project(
            name=name,
            path=root / name,
            main_branch="main",
            status=ProjectStatus.ACTIVE,
            workflow=WorkflowState.SPRINT_ACTIVE,
            registered_at=tx.now,
        ),
    )


def a_story(tx, project):
    story = stories.add(
        tx, project, title="x", body="", acceptance_criteria=(), priority=Priority.NORMAL, added_by="cli"
    )
    stories.move(tx, story.id, StoryState.BACKLOG, StoryState.ACTIVE)
    cycles.begin(tx, story)
    return story.id


def of(view, name, resource):
    [project] = [each for each in view.projects if each.project == name]
    [found] = [each for each in project.resources if each.resource == resource]
    return found


async def test_limits_are_those_of_the_settings_and_none_is_infinite(commands):
    view = await commands.resources()
    total = {each.resource: each.limit for each in view.total}
    assert (total["agents"], total["cpu"], total["memory_mb"]) == (6, 4, 2048)
    assert of(view, "shop", "cpu").limit == 2
    assert of(view, "bank", "cpu").limit is None
    amounts = [
        amount
        for each in (*view.total, *(one for project in view.projects for one in project.resources))
        for amount in (each.used, each.reserved, each.allocated, each.limit)
        if amount is not None
    ]
    assert all(math.isfinite(amount) for amount in amounts)
    assert view.strategy == "dynamic"
    assert "not running" in view.pressure


async def test_what_was_allocated_last_is_shown_with_its_time(commands, store):
    at = datetime.now(UTC) - timedelta(hours=3)
    memory = load_table.Memory(
        project="shop",
        sampled_at=at,
        decayed_use=NOTHING,
        profile=WeekProfile(),
        durations=Durations(),
        allocation=QUOTA,
        strategy="dynamic",
    )
    await store.write(lambda tx: load_table.remember(tx, [memory]))
    view = await commands.resources()
    [shop] = [each for each in view.projects if each.project == "shop"]
    [bank] = [each for each in view.projects if each.project == "bank"]
    assert shop.quota == QUOTA
    assert of(view, "shop", "cpu").allocated == 1.0  # a quarter of four cores
    assert bank.quota.allocated_agents is None
    assert bank.quota.reason == "nothing was allocated yet"
    assert abs(view.rebalanced_at - at) < timedelta(seconds=1)


async def test_entitlement_follows_weights_among_those_that_may_work(commands):
    view = await commands.resources()
    entitled = {each.project: each.entitled for each in view.projects}
    assert entitled == {"bank": 0.25, "shop": 0.75, "shut": 0.0}
    barred = {each.project: each.barred for each in view.projects}
    assert barred == {"bank": "", "shop": "", "shut": "it is paused: nothing of it runs."}


async def test_stories_that_could_start_and_held_locks_are_shown(commands, store):
    def fill(tx):
        story, _ = a_story(tx, "shop"), a_story(tx, "shop")
        locks.define(tx, "gpu", 1)
        locks.define(tx, "old", 1)
        locks.acquire(tx, story, {"gpu": 1, "old": 1}, lease_seconds=600)

    await store.write(fill)
    view = await commands.resources()
    assert {each.project: each.waiting for each in view.projects} == {"bank": 0, "shop": 2, "shut": 0}
    held = {lock.name: (lock.places, lock.holders) for lock in view.locks}
    assert held == {"gpu": (1, ("shop-1",)), "old": (1, ("shop-1",)), "staging-db": (2, ())}
