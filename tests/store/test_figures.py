from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.domain.lifecycles import CycleState
from core.domain.story import Cycle
from core.scheduler import metrics
from core.scheduler.metrics import CycleFact, Use
from core.scheduler.resources import NOTHING, Resources
from core.store import figures, load
from core.store.load import Sample
from core.store.transaction import Transaction

New = Callable[..., Any]
HALF = Resources(agents=2, cpu=1, memory_mb=1000)
WHOLE = Resources(agents=4, cpu=2, memory_mb=2000, disk_mb=9000, tokens_per_minute=math.inf)


def write(tx: Transaction, minutes_ago: float = 1, project: str = "shop", **changes: Any) -> None:
    values = {"seconds": 300, "used": HALF, "measured": None, "allocated": WHOLE, "waiting": 0, **changes}
    at = tx.now - timedelta(minutes=minutes_ago)
    load.add(tx, [Sample(project=project, at=at, **values)])


def uses(tx: Transaction) -> tuple[Use, ...]:
    return figures.uses(tx.conn, since=tx.now - timedelta(hours=24), until=tx.now)


@pytest.fixture(autouse=True)
def _projects(tx: Transaction, new_project: New) -> None:
    new_project(tx, "shop")
    new_project(tx, "post")


def test_no_sample_is_no_data(tx: Transaction) -> None:
    assert metrics.resource_efficiency(uses(tx)) is None


def test_what_was_held_of_what_was_given_by_the_hour(tx: Transaction) -> None:
    write(tx)
    write(tx, 2)
    assert uses(tx) == (
        Use(resource="agents", allocated=4 / 6, used=2 / 6),
        Use(resource="cpu", allocated=2 / 6, used=1 / 6),
        Use(resource="memory_mb", allocated=2000 / 6, used=1000 / 6),
    )
    assert metrics.resource_efficiency(uses(tx)) == pytest.approx(0.5)


def test_a_long_span_counts_more_than_a_short_one(tx: Transaction) -> None:
    write(tx, 2, seconds=900, used=WHOLE)
    write(tx, 1, seconds=300, used=NOTHING, waiting=1)
    assert metrics.resource_efficiency(uses(tx)) == pytest.approx(0.75)


def test_what_was_measured_goes_before_what_was_reserved(tx: Transaction) -> None:
    write(tx, measured=Resources(cpu=1.5, memory_mb=math.inf))  # the memory could not be measured
    assert {use.resource: use.used * 12 for use in uses(tx)} == {"agents": 2, "cpu": 1.5, "memory_mb": 1000}
    write(tx, measured=Resources(agents=1))  # neither took anything
    assert {use.resource: use.used * 12 for use in uses(tx)} == {"agents": 2, "cpu": 0, "memory_mb": 0}


def test_what_is_used_above_the_allocation_makes_up_for_nothing(tx: Transaction) -> None:
    write(tx, 2, used=WHOLE.times(3))
    write(tx, 1, used=NOTHING, waiting=1)
    assert metrics.resource_efficiency(uses(tx)) == pytest.approx(0.5)


def test_what_has_no_limit_is_not_judged(tx: Transaction) -> None:
    write(tx, allocated=WHOLE._replace(cpu=math.inf))
    assert [use.resource for use in uses(tx)] == ["agents", "memory_mb"]


def test_what_a_project_is_given_while_it_wants_nothing_is_no_waste(tx: Transaction) -> None:
    write(tx)
    write(tx, project="post", used=NOTHING)
    assert metrics.resource_efficiency(uses(tx)) == pytest.approx(0.5)
    write(tx, project="post", used=NOTHING, waiting=1)
    assert metrics.resource_efficiency(uses(tx)) == pytest.approx(0.25)


@pytest.mark.parametrize("minutes_ago", [24 * 60 + 1, -1])
def test_samples_of_yesterday_and_of_a_clock_that_was_ahead_do_not_count(
    tx: Transaction, minutes_ago: float
) -> None:
    write(tx, minutes_ago)
    assert uses(tx) == ()


def test_cycles_are_facts_from_their_begin_to_their_end(
    tx: Transaction,
    later: Callable[[float], Transaction],
    new_cycle: New,
    passed_to: Callable[[Transaction, Cycle, CycleState], Cycle],
) -> None:
    assert figures.cycle_facts(tx.conn) == ()
    begun = tx.now
    done, _, aborted = (new_cycle(tx) for _ in range(3))
    passed_to(later(7200), done, CycleState.DONE)
    tx.conn.execute("UPDATE cycles SET state = 'aborted' WHERE story_id = ?", (aborted.story_id,))
    found = figures.cycle_facts(tx.conn)
    assert found == (
        CycleFact(begun_at=begun, finished_at=begun + timedelta(hours=2), done=True),
        CycleFact(begun_at=begun),
        CycleFact(begun_at=begun, finished_at=begun, done=False),
    )
    assert metrics.average_cycle_time_hours(found) == pytest.approx(2)
    assert metrics.total_stories_completed(found) == 1
