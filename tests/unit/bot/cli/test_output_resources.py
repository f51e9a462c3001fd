"""Shares, limits and waits in a terminal of 80 columns."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from bot.cli import output_resources as output
from core.domain.story import Priority, StoryStatus
from core.orchestrator.resource_views import (
    LockView,
    Optimization,
    ProjectResources,
    ReloadView,
    ResourcesView,
    ResourceView,
    WhyView,
)
from core.scheduler.quota import Quota

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NASTY = "evil\x1b[2J[bold]"


def quota(name="shop", agents: int | None = 3, memory: int | None = 2048, cpu=50.0):
    return Quota(
        project_name=name,
        allocated_agents=agents,
        allocated_memory_mb=memory,
        allocated_cpu_percent=cpu,
        priority_weight=1.0,
        reason="an even share",
    )


def amount(resource, used=None, limit=None, reserved=0.0):
    units = {"agents": "agents", "cpu": "cores"}
    return ResourceView(
        resource=resource,
        unit=units.get(resource, "MB"),
        used=used,
        reserved=reserved,
        allocated=None,
        limit=limit,
    )


def project(name="shop", **changes):
    base = ProjectResources(
        project=name,
        tier=Priority.NORMAL,
        quota=quota(name),
        running=2,
        waiting=5,
        share=0.42,
        entitled=0.33,
        resources=(
            amount("agents", 2, 4),
            amount("cpu", 1.24, None),
            amount("memory_mb", 700, 4096),
            amount("disk_mb", 2048, 10240),
        ),
    )
    return dataclasses.replace(base, **changes)


def view(*projects, **changes):
    base = ResourcesView(
        at=NOON,
        strategy="dynamic",
        total=(amount("agents", 2, 20), amount("cpu", 1.2, 4), amount("memory_mb", 700, 8192, 1024)),
        projects=projects,
        locks=(),
        enforcement=(),
        problems=(),
    )
    return dataclasses.replace(base, **changes)


def optimized(**changes):
    base = Optimization(
        strategy="dynamic",
        dry_run=False,
        seconds=0.1512,
        changes=(
            "Increased memory allocation for frontend-app by 512MB",
            "Reduced CPU allocation for backend-api to 25%",
            "Balanced agent distribution across projects",
        ),
        before=(),
        after=(),
    )
    return dataclasses.replace(base, **changes)


def test_the_report_is_as_documented_from_the_first(shown):
    assert [line.rstrip() for line in shown(output.optimization(optimized())).splitlines()] == [
        "🔧 Resource Optimization Results:",
        "  Time: 0.15s",
        "  Changes: 3",
        "  Strategy: dynamic",
        "  Changes made:",
        "    - Increased memory allocation for frontend-app by 512MB",
        "    - Reduced CPU allocation for backend-api to 25%",
        "    - Balanced agent distribution across projects",
    ]


def test_without_changes_none_are_listed(shown):
    text = shown(output.optimization(optimized(changes=(), problems=("The strategy was refused.",))))
    assert "  Changes: 0\n" in text
    assert "Changes made" not in text
    assert "⚠ The strategy was refused." in text


def test_a_dry_run_says_that_it_is_one_and_what_would_follow(shown):
    text = shown(
        output.optimization(
            optimized(
                dry_run=True,
                before=(quota("shop"), quota("bank", 1)),
                after=(quota("shop", 5), quota("bank", 1), quota("new", None, None)),
                starts=("shop-3 starts: a part is free.",),
                parks=("bank-1 makes place.",),
            )
        )
    )
    assert "nothing was changed" in text
    assert "Changes it would make:" in text
    assert "  Would start at once:\n    - shop-3 starts: a part is free." in text
    assert "  Would be parked:\n    - bank-1 makes place." in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.split()}
    assert "3 → 5" in rows["shop"]
    assert "→" not in rows["bank"]
    assert "- → ∞" in rows["new"]


def test_a_project_stands_in_one_line_of_80_columns(shown):
    text = shown(output.resources(view(project("a-project-with-a-name"), project("bank"))))
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    [line] = [line for line in text.splitlines() if line.split()[:1] == ["bank"]]
    assert " ".join(line.split()).startswith("bank 2/3/4 5 ████ 42 % of 33 % ")
    assert "1.2" in line
    assert "700 MB/4 GB" in line
    assert line.rstrip().endswith(" 2 GB")
    assert "a-project-with-" in text  # and not letter by letter
    assert "In all: 2 of 20 agents · load 1.2 on 4 cores · memory 1 GB of 8 GB" in text


@pytest.mark.parametrize(
    ("held", "entitled", "bar"),
    [
        (0.0, 0.5, "░░░░ 0 % of 50 %"),
        (0.25, 0.5, "██░░ 25 % of 50 %"),
        (0.9, 0.5, "████ 90 % of 50 %"),
        (0.0, 0.0, "░░░░ 0 % of 0 %"),
        (0.1, 0.0, "████ 10 % of 0 %"),
    ],
)
def test_a_bar_is_full_at_what_may_be_counted_on(held, entitled, bar):
    assert output.share(held, entitled).plain == bar


def test_what_holds_and_what_is_wrong_is_told(shown):
    text = shown(
        output.resources(
            view(
                project(barred="waits: shop is over its disk limit.", problems=("nobody holds disk here",)),
                locks=(
                    LockView(name="staging-db", places=1, holders=("shop-1",), waiting=("bank-2",)),
                    LockView(name="gpu", places=2, holders=(), waiting=()),
                ),
                problems=("The strategy x:Y was refused.",),
                enforcement=("memory: cgroup v2",),
                pressure="the machine is busy",
                rebalanced_at=NOON,
            )
        )
    )
    for said in (
        "⏸ shop: shop is over its disk limit.",
        "⚠ shop: nobody holds disk here",
        "🔒 staging-db (1 place): held by shop-1; bank-2 waits",
        "🔒 gpu (2 places): held by nobody",
        "⚠ The strategy x:Y was refused.",
        "memory: cgroup v2",
        "⏳ the machine is busy",
        "shared anew 2026-03-01 12:00 UTC",
    ):
        assert said in text


def test_no_project_yet_says_what_to_do(shown):
    assert "orchard register NAME PATH" in shown(output.resources(view()))
    assert "orchard" not in shown(output.resources(view(), in_shell=True))


def test_text_from_outside_steers_no_terminal(shown):
    told = WhyView(
        story_id="shop-1",
        title=NASTY,
        project="shop",
        status=StoryStatus.BLOCKED,
        sentence=f"is blocked: {NASTY}",
        details=(NASTY,),
        next="",
    )
    for renderable in (
        output.why(told),
        output.resources(view(project(barred=NASTY), problems=(NASTY,), pressure=NASTY)),
        output.optimization(optimized(changes=(NASTY,))),
        output.reloaded(ReloadView(changed=(NASTY,), later=(NASTY,), problems=(NASTY,))),
    ):
        text = shown(renderable)
        assert "\x1b" not in text
        assert "[bold]" in text


def test_why_speaks_the_words_of_where_it_is_read(shown):
    told = WhyView(
        story_id="shop-1",
        title="Pay by card",
        project="shop",
        status=StoryStatus.STOPPED,
        sentence="is stopped in code_green by cli.",
        details=("bank holds 12 % of its 33 %.",),
        next="Let it go on: /tdd start shop-1.",
    )
    text = shown(output.why(told))
    assert text.startswith("shop-1: Pay by card (stopped)\n  It is stopped in code_green by cli.")
    assert "→ Next: Let it go on: orchard do go shop-1." in text
    assert "Let it go on: go shop-1." in shown(output.why(told, in_shell=True))


def test_what_was_read_anew_is_listed_with_what_waits(shown):
    assert "nothing has changed" in shown(output.reloaded(ReloadView(changed=())))
    text = shown(
        output.reloaded(
            ReloadView(
                changed=("global.max_total_agents: 20 → 10",),
                later=("global.lease_seconds: 60 → 30 (after a restart)",),
                problems=("The settings of shop have one mistake:",),
            )
        )
    )
    assert "✓ The settings are read: 1 setting changed." in text
    assert "Not now:\n  • global.lease_seconds: 60 → 30 (after a restart)" in text
    assert "⚠ The settings of shop have one mistake:" in text


def test_what_was_taken_up_a_moment_before_is_told_all_the_same(shown):
    view = ReloadView(changed=("global.max_total_agents: 20 → 10",), taken_up_at=NOON)
    text = " ".join(shown(output.reloaded(view)).split())
    assert "1 setting changed. Orchard had seen it already, at 12:00:00 UTC." in text


def test_a_quota_fits_in_one_line(shown):
    text = shown(output.quota_line(project(barred="waits: it is outside the work hours of shop.")), width=120)
    assert text.splitlines()[0].rstrip() == (
        "Quota: 2 of 3 agents · memory 2 GB · CPU 50 % · weight 1 (an even share)"
    )
    assert "⏸ it is outside the work hours of shop." in text
