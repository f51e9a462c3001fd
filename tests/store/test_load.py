from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.event import EventKind
from core.domain.lifecycles import Phase
from core.domain.story import Cycle
from core.scheduler.forecast import Durations, WeekProfile
from core.scheduler.quota import Quota
from core.scheduler.resources import UNLIMITED, Resources
from core.store import leases, load, needs
from core.store.load import Memory, Sample
from core.store.transaction import Transaction

Later = Callable[[float], Transaction]
New = Callable[..., Any]

AMOUNTS = st.builds(Resources, *[st.integers(0, 10**9).map(lambda n: n / 1000) | st.just(math.inf)] * 6)


def sample(project: str, at: datetime, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "seconds": 300.0,
        "used": Resources(agents=2, cycles=2, cpu=0.2, memory_mb=1024),
        "measured": Resources(cpu=1.337, memory_mb=800.25),
        "allocated": Resources(agents=4, cycles=3, cpu=math.inf, memory_mb=2048),
        "waiting": 3,
    }
    return Sample(project=project, at=at, **{**values, **changes})


def memory(project: str, at: datetime, **changes: Any) -> Memory:
    values: dict[str, Any] = {
        "decayed_use": Resources(agents=1.5, memory_mb=700.125),
        "profile": WeekProfile().observe(at=at.timestamp(), agents=3.0),
        "durations": Durations().observe(90.5).observe(31.25),
        "allocation": Quota(
            project_name=project,
            allocated_agents=3,
            allocated_memory_mb=None,
            allocated_cpu_percent=33.3,
            priority_weight=1.0,
            reason="its share",
        ),
        "strategy": "dynamic",
    }
    return Memory(project=project, sampled_at=at, **{**values, **changes})


@given(AMOUNTS)
def test_amounts_come_back_as_they_were(amounts: Resources) -> None:
    assert load.from_amounts(load.to_amounts(amounts)) == amounts


@pytest.mark.parametrize(
    ("amounts", "text"),
    [
        (Resources(), "[]"),
        (Resources(agents=3, cpu=0.5), "[3, 0, 0.5]"),
        (UNLIMITED, "[null, null, null, null, null, null]"),
        (Resources(cpu=math.nan), "[0, 0, null]"),  # as good as not known
    ],
)
def test_amounts_are_short(amounts: Resources, text: str) -> None:
    assert load.to_amounts(amounts) == text


def test_amounts_of_a_newer_program_are_cut() -> None:
    assert load.from_amounts("[1, 2, 3, 4, 5, 6, 7, 8]") == Resources(1, 2, 3, 4, 5, 6)


def test_samples_come_back_by_project_and_time(tx: Transaction, new_project: New) -> None:
    new_project(tx, "shop")
    new_project(tx, "post")
    early, late = tx.now - timedelta(minutes=5), tx.now
    written = [
        sample("shop", late, measured=None),
        sample("post", late),
        sample("shop", early),
        sample("post", early - timedelta(days=1)),
    ]
    load.add(tx, written)
    assert load.samples(tx.conn, since=early) == (written[1], written[2], written[0])
    assert load.samples(tx.conn, since=early, project="shop") == (written[2], written[0])
    assert load.samples(tx.conn, since=late + timedelta(seconds=1)) == ()


def test_a_sample_of_the_same_instant_replaces_and_one_of_no_project_is_left_out(
    tx: Transaction, new_project: New
) -> None:
    new_project(tx, "shop")
    load.add(tx, [sample("shop", tx.now), sample("gone", tx.now)])
    load.add(tx, [sample("shop", tx.now, waiting=9)])
    assert [(one.project, one.waiting) for one in load.samples(tx.conn, since=tx.now)] == [("shop", 9)]


def test_pruning_takes_what_is_older_only(tx: Transaction, new_project: New) -> None:
    for name in ("shop", "post"):
        new_project(tx, name)
        load.add(tx, [sample(name, tx.now - timedelta(days=days)) for days in (36, 35, 1)])
    assert load.prune(tx, before=tx.now - timedelta(days=35)) == 2
    kept = load.samples(tx.conn, since=tx.now - timedelta(days=99))
    assert [(tx.now - one.at).days for one in kept] == [35, 1, 35, 1]


@pytest.mark.parametrize("project", [None, "shop"])
def test_samples_are_found_by_index(tx: Transaction, project: str | None) -> None:
    """Among half a million rows."""
    plan = tx.conn.execute(f"EXPLAIN QUERY PLAN {load._SAMPLES}", (tx.now_text, project, project))
    steps = [row["detail"] for row in plan]
    assert any("SEARCH s USING PRIMARY KEY (project=? AND at>?)" in step for step in steps), steps
    assert not any("SCAN s" in step or "TEMP B-TREE" in step for step in steps), steps


def test_a_memory_comes_back_and_is_replaced(tx: Transaction, new_project: New) -> None:
    new_project(tx, "shop")
    first = memory("shop", tx.now)
    load.remember(tx, [first, memory("gone", tx.now)])
    assert load.memories(tx.conn) == {"shop": first}
    second = memory("shop", tx.now + timedelta(minutes=5), allocation=None, strategy="fair_share")
    load.remember(tx, [second])
    assert load.memories(tx.conn) == {"shop": second}


# -- phases that ran -------------------------------------------------------------------------------


def run(later: Later, cycle: Cycle, *, after: float, seconds: float) -> None:
    """Its next phase starts `after` seconds from now and takes so long."""
    tx = later(after)
    lease = leases.claim(tx, cycle.story_id, phase=Phase.DESIGN, owner="w", lease_seconds=60)
    leases.release(later(seconds), cycle.story_id, lease.generation)


def waits(conn: sqlite3.Connection, since: datetime, **limits: int) -> list[tuple[str, float, float]]:
    """Of each phase its story, how long it waited and how long it ran."""
    return [
        (
            one.story_id,
            (one.started_at - one.ready_at).total_seconds(),
            (one.ended_at - one.started_at).total_seconds(),
        )
        for one in load.phase_runs(conn, since=since, **limits)
    ]


def test_a_phase_is_ready_when_its_cycle_began_and_then_when_the_one_before_ended(
    tx: Transaction, later: Later, new_project: New, new_cycle: New
) -> None:
    new_project(tx)
    cycle = new_cycle(tx)
    run(later, cycle, after=10, seconds=100)
    run(later, cycle, after=20, seconds=200)
    leases.claim(later(1), cycle.story_id, phase=Phase.DESIGN, owner="w", lease_seconds=60)  # still runs
    assert waits(tx.conn, tx.now) == [("shop-1", 10, 100), ("shop-1", 20, 200)]
    assert waits(tx.conn, tx.now, limit=1) == [("shop-1", 20, 200)]
    assert waits(tx.conn, tx.now + timedelta(seconds=60)) == [("shop-1", 20, 200)]


@pytest.mark.parametrize(
    ("kind", "of_story", "data", "waited"),
    [
        (EventKind.STORY_UNBLOCKED, True, {}, 5),
        (EventKind.APPROVAL_ANSWERED, True, {}, 5),
        (EventKind.STORY_RELEASED, True, {}, 5),
        (EventKind.PROJECT_STARTED, False, {}, 5),
        (EventKind.WORKFLOW_CHANGED, False, {"old": "SPRINT_PAUSED", "new": "SPRINT_ACTIVE"}, 5),
        (EventKind.WORKFLOW_CHANGED, False, {"old": "SPRINT_ACTIVE", "new": "SPRINT_PAUSED"}, 1005),
        (EventKind.GATE_PASSED, True, {}, 1005),
    ],
)
def test_time_that_people_took_is_no_waiting(
    tx: Transaction,
    later: Later,
    new_project: New,
    new_cycle: New,
    kind: EventKind,
    of_story: bool,
    data: dict[str, str],
    waited: float,
) -> None:
    new_project(tx)
    cycle, other = new_cycle(tx), new_cycle(tx)
    now = later(1000)
    now.emit(kind, project="shop", story_id=cycle.story_id if of_story else None, data=data)
    run(later, cycle, after=5, seconds=10)
    run(later, other, after=0, seconds=10)
    own, others = waits(tx.conn, tx.now)
    assert own == (cycle.story_id, waited, 10)
    assert others == (other.story_id, 1015 if of_story or waited > 1000 else 15, 10)


def test_time_that_a_needed_story_took_is_no_waiting(
    tx: Transaction, later: Later, new_project: New, new_cycle: New
) -> None:
    new_project(tx)
    first, second = new_cycle(tx), new_cycle(tx)
    needs.replace(tx, second.story_id, [first.story_id])
    done = later(500)
    done.conn.execute("UPDATE stories SET state = 'done' WHERE id = ?", (first.story_id,))
    done.conn.execute(
        "UPDATE cycles SET state = 'done', updated_at = ? WHERE story_id = ?",
        (done.now_text, first.story_id),
    )
    run(later, second, after=7, seconds=10)
    assert waits(tx.conn, tx.now) == [(second.story_id, 7, 10)]


def test_a_clock_that_was_put_back_makes_no_phase_of_negative_length(
    tx: Transaction, later: Later, new_project: New, new_cycle: New
) -> None:
    new_project(tx)
    cycle = new_cycle(tx)
    run(later, cycle, after=10, seconds=-3600)
    run(later, cycle, after=10, seconds=20)  # began before its cycle did
    assert load.phase_runs(tx.conn, since=tx.now - timedelta(days=1)) == ()


def test_runs_are_found_by_index(tx: Transaction) -> None:
    plan = [r["detail"] for r in tx.conn.execute(f"EXPLAIN QUERY PLAN {load._RUNS}", (tx.now_text, 10))]
    assert any("leases_by_claim (claimed_at>?)" in step for step in plan), plan
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), plan
