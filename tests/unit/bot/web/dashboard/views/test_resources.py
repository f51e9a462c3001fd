"""Shares, amounts and locks, as the page of resources says them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.web.dashboard.views.resources import columns, locks, rows, totals
from core.domain.story import Priority
from core.ids import project_of
from core.orchestrator.resource_views import LockView, ProjectResources, ResourcesView, ResourceView
from core.scheduler.quota import Quota


def amount(resource: str, used: float | None, limit: float | None, unit: str = "") -> ResourceView:
    return ResourceView(resource=resource, unit=unit, used=used, reserved=1.0, allocated=limit, limit=limit)


def project(name: str, quota: Quota) -> ProjectResources:
    return ProjectResources(
        project=name,
        tier=Priority.NORMAL,
        quota=quota,
        running=1,
        waiting=2,
        share=0.25,
        entitled=0.5,
        resources=(amount("agents", 1, 4, "agents"), amount("memory_mb", 3072, None, "MB")),
        barred="outside its work hours",
    )


@pytest.fixture
def view() -> ResourcesView:
    quota = Quota(
        project_name="shop",
        allocated_agents=3,
        allocated_memory_mb=4096,
        allocated_cpu_percent=50.0,
        priority_weight=1.0,
        reason="",
    )
    return ResourcesView(
        at=datetime(2026, 11, 22, tzinfo=UTC),
        strategy="fair_share",
        total=(
            amount("agents", 2, 20, "agents"),
            amount("cpu", 3.9, 4, "cores"),
            amount("memory_mb", None, 8192, "MB"),
            amount("tokens_per_minute", 1, 2),
        ),
        projects=(project("bank", quota), project("shop", quota)),
        locks=(LockView(name="gpu", places=1, holders=("bank-1",), waiting=("shop-2", "bank-3")),),
        enforcement=(),
        problems=(),
    )


def test_of_the_machine_what_is_nearly_full_says_so(view: ResourcesView) -> None:
    agents, cpu, memory = totals(view)
    assert (agents.name, agents.used, agents.limit, agents.tone) == ("Agents", "2", "20", "")
    assert (cpu.tone, cpu.said) == ("bad", "98% in use")
    assert (memory.used, memory.limit, memory.share) == (None, "8 GB", None)


def test_a_project_that_is_not_seen_has_no_row(view: ResourcesView) -> None:
    [row] = rows(view, lambda name: name == "shop")
    assert row.view.project == "shop"
    assert row.said == ("outside its work hours",)
    cells = dict(zip(columns(), row.cells, strict=True))
    assert (cells["Agents"].used, cells["Agents"].allocated) == ("1", "4")
    assert (cells["Memory"].used, cells["Memory"].allocated) == ("3 GB", None)
    assert cells["Disk"].used is None


def test_who_has_a_lock_is_named_only_where_the_story_is_seen(view: ResourcesView) -> None:
    [lock] = locks(view, lambda story: project_of(story) == "shop")
    assert (lock.holders, lock.waiting) == (("another project's",), ("shop-2", "another project's"))
