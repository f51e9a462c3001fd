"""What charts are made of, as the store adds it up."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from core.domain.lifecycles import CycleState
from core.domain.story import StoryState
from core.scheduler.resources import Resources
from core.store import ledger, load, needs, stories, trends
from core.store.ledger import Call, Source
from core.store.load import Sample
from core.store.transaction import Transaction

Later = Callable[[float], Transaction]
New = Callable[..., Any]


@pytest.fixture(autouse=True)
def _projects(tx: Transaction, new_project: New) -> None:
    new_project(tx, "shop")
    new_project(tx, "post")


def test_merged_stories_in_the_order_of_their_end(
    tx: Transaction, later: Later, new_cycle: New, passed_to: New
) -> None:
    since, until = tx.now, tx.now + timedelta(days=1)
    slow, quick, other = new_cycle(tx), new_cycle(tx), new_cycle(tx, "post")
    new_cycle(tx)  # still at work
    passed_to(later(60), quick, CycleState.DONE)
    passed_to(later(40), other, CycleState.DONE)
    passed_to(later(3500), slow, CycleState.DONE)
    found = trends.merged(tx.conn, since=since, until=until, project="shop")
    assert [(one.story_id, one.seconds) for one in found] == [(quick.story_id, 60), (slow.story_id, 3600)]
    both = trends.merged(tx.conn, since=since, until=until)
    assert [one.project for one in both] == ["shop", "post", "shop"]
    assert trends.merged(tx.conn, since=since + timedelta(seconds=3601), until=until) == ()
    assert trends.merged(tx.conn, since=since, until=since + timedelta(seconds=59)) == ()


@pytest.mark.parametrize("seconds", [-60, 367 * 86400.0])
def test_what_a_clock_that_was_set_says_of_a_story_is_left_out(
    seconds: float, tx: Transaction, later: Later, new_cycle: New, passed_to: New
) -> None:
    passed_to(later(seconds), new_cycle(tx), CycleState.DONE)
    around = {"since": tx.now - timedelta(days=1), "until": tx.now + timedelta(days=1000)}
    assert trends.merged(tx.conn, **around) == ()


def test_use_is_the_mean_of_a_span_by_its_seconds(tx: Transaction) -> None:
    hour = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def write(minute: float, project: str = "shop", **changes: Any) -> None:
        values: dict[str, Any] = {
            "seconds": 300,
            "used": Resources(agents=2, cpu=1, memory_mb=1000),
            "measured": None,
            "allocated": Resources(agents=4, cpu=2, memory_mb=2000),
            "waiting": 0,
        }
        load.add(tx, [Sample(project=project, at=hour + timedelta(minutes=minute), **{**values, **changes})])

    write(5)
    write(10, seconds=900, measured=Resources(cpu=0.2, memory_mb=math.inf))  # memory could not be measured
    write(65, measured=Resources(), allocated=Resources(agents=4, cpu=math.inf))
    write(5, "post", used=Resources())
    post, shop = trends.use(tx.conn, since=hour, until=hour + timedelta(hours=2), span_seconds=3600)
    assert (post.project, shop.project) == ("post", "shop")
    first, second = shop.points
    assert (first.at, second.at) == (hour, hour + timedelta(hours=1))
    assert first.cpu == pytest.approx((1 * 300 + 0.2 * 900) / 1200)
    assert (first.agents, first.memory_mb) == (2, 1000)
    assert (first.agents_allocated, first.cpu_allocated, first.memory_mb_allocated) == (4, 2, 2000)
    assert (second.cpu, second.memory_mb) == (0, 0)
    assert (second.cpu_allocated, second.memory_mb_allocated) == (None, 0)
    assert post.points[0].cpu == 0
    assert [
        one.project for one in trends.use(tx.conn, since=hour, until=hour, span_seconds=3600, project="shop")
    ] == []


def test_spending_by_day_project_and_model(tx: Transaction) -> None:
    def call(name: str, at: datetime, **more: Any) -> Call:
        values: dict[str, Any] = {
            "call_id": name,
            "project": "shop",
            "story_id": None,
            "phase": "",
            "agent": "claude",
            "run_id": "r",
            "provider": "anthropic",
            "model": "sonnet",
            "wire": "anthropic-messages",
            "at": at,
            "input_tokens": 100,
            "output_tokens": 20,
            "microdollars": 250,
            "source": Source.GATEWAY,
        }
        return Call(**{**values, **more})

    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    calls = [
        call("a", midnight - timedelta(seconds=1)),
        call("b", midnight),
        call("c", midnight + timedelta(hours=5), microdollars=50),
        call("d", midnight, model="opus"),
        call("e", midnight, project="post"),
        call("f", midnight + timedelta(days=1)),
    ]
    for one in calls:
        ledger.record(tx, one)
    day = date(2026, 3, 2)
    found = trends.spending(tx.conn, since=day, until=day, project="shop")
    assert [(one.day, one.model, one.calls, one.tokens, one.microdollars) for one in found] == [
        (day, "opus", 1, 120, 250),
        (day, "sonnet", 2, 240, 300),
    ]
    every = trends.spending(tx.conn, since=day - timedelta(days=1), until=day + timedelta(days=1))
    assert sum(one.microdollars for one in every) == sum(one.microdollars for one in calls)


def test_who_still_waits_for_whom(tx: Transaction, new_story: New) -> None:
    first, second, third = new_story(tx), new_story(tx), new_story(tx, "post")
    needs.replace(tx, second.id, [first.id])
    needs.replace(tx, third.id, [second.id])
    assert needs.still_open(tx.conn, "shop") == ((third.id, second.id), (second.id, first.id))
    assert needs.still_open(tx.conn) == needs.still_open(tx.conn, "shop")
    assert needs.still_open(tx.conn, "post") == ((third.id, second.id),)
    stories.move(tx, second.id, StoryState.BACKLOG, StoryState.REMOVED)
    assert needs.still_open(tx.conn) == ((third.id, second.id),)
