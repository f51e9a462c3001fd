"""Events, the outbox, remembered posts and child processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.domain.event import POSTED, EventKind
from core.errors import LostRace
from core.store import events, outbox, posts, processes
from core.store.transaction import Transaction


def say(tx: Transaction, project: str | None = "shop", kind: EventKind = EventKind.GATE_PASSED) -> int:
    return tx.emit(kind, project=project, story_id=None, data={"n": 1}).seq


def heads(tx: Transaction) -> list[int]:
    return [row.event.seq for row in outbox.due(tx.conn, tx.now, 100)]


# -- events


def test_an_event_comes_back_as_it_was_emitted(tx: Transaction) -> None:
    emitted = tx.emit(
        EventKind.AGENT_SAID,
        project="shop",
        story_id="shop-1",
        actor="agent",
        data={"text": "caf\udce9 ☕", "n": [1]},
    )
    assert events.since(tx.conn, 0) == (emitted,) == events.latest(tx.conn)
    assert tx.events == [emitted]


def test_since_and_latest_filter_and_keep_order(tx: Transaction) -> None:
    for number in range(30):
        kind = EventKind.GATE_PASSED if number % 2 else EventKind.AGENT_SAID
        tx.emit(kind, project="shop" if number % 3 else "post", story_id=f"s-{number % 5}")

    def seqs(found: tuple[object, ...]) -> list[int]:
        return [event.seq for event in found]  # type: ignore[attr-defined]

    assert seqs(events.since(tx.conn, 10, limit=3)) == [11, 12, 13]
    assert seqs(events.latest(tx.conn, limit=3)) == [28, 29, 30]
    assert seqs(events.since(tx.conn, 20, project="post")) == [22, 25, 28]
    assert seqs(events.since(tx.conn, 0, story_id="s-4")) == [5, 10, 15, 20, 25, 30]
    assert seqs(events.latest(tx.conn, project="shop", kinds=[EventKind.GATE_PASSED], limit=2)) == [26, 30]
    assert events.since(tx.conn, 0, kinds=[]) == ()
    assert events.since(tx.conn, 30) == ()


# -- outbox


@pytest.mark.parametrize("kind", EventKind)
def test_what_people_are_told_goes_to_the_outbox(tx: Transaction, kind: EventKind) -> None:
    event = tx.emit(kind, project="shop")
    rows = outbox.due(tx.conn, tx.now, 10)
    if kind in POSTED:
        assert [(row.dedup_key, row.target, row.event, row.attempts) for row in rows] == [
            (f"discord:{event.seq}", "discord", event, 0)
        ]
    else:
        assert rows == ()


def test_in_order_a_project_and_no_project_waits_for_another(tx: Transaction) -> None:
    for project in ("shop", "shop", "post", None, None):
        say(tx, project)
    assert heads(tx) == [1, 3, 4]
    assert [row.event.seq for row in outbox.due(tx.conn, tx.now, 2)] == [1, 3]
    outbox.sent(tx, 1)
    assert heads(tx) == [2, 3, 4]


def test_a_row_that_failed_holds_back_its_project_until_its_time(
    tx: Transaction, later: Callable[[float], Transaction]
) -> None:
    say(tx)
    say(tx)
    say(tx, "post")
    outbox.failed(tx, 1, "503\udce9", tx.now + timedelta(seconds=30))
    assert heads(tx) == [3]
    assert heads(later(29)) == [3]
    now = later(1)
    assert heads(now) == [1, 3]
    assert outbox.due(now.conn, now.now, 10)[0].attempts == 1
    outbox.dead(now, 1, "gave up")
    assert heads(now) == [2, 3]
    outbox.sent(now, 3)
    assert outbox.counts(now.conn) == {"pending": 1, "sent": 1, "dead": 1}


def test_a_row_is_settled_once(tx: Transaction) -> None:
    say(tx)
    say(tx)
    outbox.sent(tx, 1)
    outbox.dead(tx, 2, "x")
    for row in (1, 2, 3):
        for settle in (
            lambda key: outbox.sent(tx, key),
            lambda key: outbox.dead(tx, key, "x"),
            lambda key: outbox.failed(tx, key, "x", tx.now),
        ):
            with pytest.raises(LostRace):
                settle(row)
    assert outbox.counts(tx.conn) == {"pending": 0, "sent": 1, "dead": 1}


# -- posts


def test_a_post_is_remembered_added_to_and_forgotten(tx: Transaction) -> None:
    assert posts.find(tx.conn, "thread", "shop-1") is None
    snowflake = 2**62 + 1
    posts.remember(tx, "thread", "shop-1", channel_id=snowflake, message_id=2)
    both = posts.remember(tx, "thread", "shop-1", thread_id=3, message_id=4)
    assert posts.find(tx.conn, "thread", "shop-1") == both
    assert (both.channel_id, both.message_id, both.thread_id) == (snowflake, 4, 3)
    assert posts.remember(tx, "thread", "shop-1") == both
    posts.remember(tx, "channel", "shop-1", channel_id=9)
    assert posts.every(tx.conn, "thread") == (both,)
    assert posts.forget(tx, "thread", "shop-1")
    assert not posts.forget(tx, "thread", "shop-1")
    assert posts.find(tx.conn, "channel", "shop-1") is not None


# -- processes


def test_a_process_is_known_by_pid_and_start(tx: Transaction, later: Callable[[float], Transaction]) -> None:
    old = processes.started(
        tx,
        pid=7,
        start_ticks=100,
        group=7,
        kind="agent",
        project="shop",
        story_id="shop-1",
        argv=("a", "-b c"),
    )
    new = processes.started(
        later(1), pid=7, start_ticks=200, group=7, kind="test", project="shop", story_id=None, argv=()
    )
    assert processes.every(tx.conn) == (old, new)
    assert old.argv == ("a", "-b c")
    assert not processes.ended(tx, 7, 150)
    assert processes.ended(tx, 7, 100)
    assert not processes.ended(tx, 7, 100)
    assert processes.every(tx.conn) == (new,)


def test_a_process_that_is_reported_twice_is_one(tx: Transaction) -> None:
    for group in (7, 8):
        processes.started(
            tx, pid=7, start_ticks=1, group=group, kind="agent", project=None, story_id=None, argv=()
        )
    assert [row.group for row in processes.every(tx.conn)] == [8]
