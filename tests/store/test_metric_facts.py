from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.domain.story import Cycle
from core.errors import LostRace
from core.orchestrator.network_events import tell_refused
from core.store import approvals, events, gates, leases, metric_facts, metric_history
from core.store.database import Store
from core.store.metric_facts import uncounted
from core.store.metric_standing import LedgerSums, standing
from core.store.transaction import Transaction
from core.worker.contract import CallsRefused

Later = Callable[[float], Transaction]
New = Callable[..., Any]


def count(tx: Transaction, limit: int = 100) -> dict[str, float]:
    """By metric, as `metric` or `metric phase`."""
    counted = metric_facts.count(tx, uncounted(tx.conn, limit=limit))
    return {
        " ".join((name, *(v for k, v in labels if k != "project"))): one.total
        for (name, labels), one in counted.items()
    }


def run_phase(
    later: Later, cycle: Cycle, phase: Phase, *, waits: float, takes: float, verdict: Verdict
) -> None:
    tx = later(waits)
    lease = leases.claim(tx, cycle.story_id, phase=phase, owner="worker", lease_seconds=60)
    tx.emit(
        EventKind.PHASE_STARTED,
        project="shop",
        story_id=cycle.story_id,
        data={"phase": phase.value, "attempt": 1},
    )
    tx = later(takes)
    leases.release(tx, cycle.story_id, lease.generation)
    gates.add(tx, cycle.story_id, phase=phase, attempt=1, verdict=verdict)
    kind = EventKind.GATE_PASSED if verdict.passed else EventKind.GATE_REFUSED
    tx.emit(kind, project="shop", story_id=cycle.story_id, data={"phase": phase.value, "attempt": 1})


def test_a_phase_says_how_long_it_waited_and_took(later: Later, new_project: New, new_cycle: New) -> None:
    tx = later(0)
    new_project(tx)
    cycle = new_cycle(tx)
    verdict = Verdict(phase=Phase.DESIGN, evidence=Evidence(seconds=4.5, flaky=("a", "b")))
    run_phase(later, cycle, Phase.DESIGN, waits=30, takes=12, verdict=verdict)

    assert count(later(0)) == {
        "queue_time": 30.0,
        "phase_duration design": 12.0,
        "gates_passed design": 1.0,
        "flaky_tests": 2.0,
        "test_duration": 4.5,
    }


def test_a_wait_begins_when_people_let_the_story_go_on(
    later: Later, new_project: New, new_cycle: New
) -> None:
    tx = later(0)
    new_project(tx)
    cycle = new_cycle(tx)
    later(50).emit(EventKind.STORY_RELEASED, project="shop", story_id=cycle.story_id)
    refused = Verdict(
        phase=Phase.DESIGN, refusals=(Refusal(code=RefusalCode.NOTHING_CHANGED, sentence="No."),)
    )
    run_phase(later, cycle, Phase.DESIGN, waits=5, takes=1, verdict=refused)

    found = count(later(0))

    assert found["queue_time"] == 5.0
    assert found["gate_failures design"] == 1.0
    assert "test_duration" not in found  # nothing was run


def test_a_remembered_test_run_took_no_time(later: Later, new_project: New, new_cycle: New) -> None:
    tx = later(0)
    new_project(tx)
    cached = Verdict(phase=Phase.DESIGN, evidence=Evidence(seconds=4.5, cached=True))
    run_phase(later, new_cycle(tx), Phase.DESIGN, waits=1, takes=1, verdict=cached)

    assert "test_duration" not in count(later(0))


def test_each_event_counts_once_however_it_is_portioned(later: Later, new_project: New) -> None:
    tx = later(0)
    new_project(tx)
    for _ in range(7):
        tx.emit(EventKind.STORY_MERGED, project="shop", story_id="shop-1")
        tx.emit(EventKind.STORY_ADDED, project="shop", story_id="shop-1")  # not counted
    found, more = [], True
    while more:
        more = uncounted(tx.conn, limit=3).more
        found.append(count(tx, limit=3).get("stories_done"))

    assert found == [3.0, 6.0, 7.0]
    assert uncounted(tx.conn, limit=3).cursors == {}


async def test_two_that_count_the_same_events_count_them_once(store: Store, new_project: New) -> None:
    await store.write(new_project)
    await store.write(lambda tx: tx.emit(EventKind.STORY_ABORTED, project="shop", story_id="shop-1"))
    first, second = [await store.read(lambda conn: uncounted(conn, limit=10)) for _ in range(2)]

    await store.write(lambda tx: metric_facts.count(tx, first))
    with pytest.raises(LostRace):
        await store.write(lambda tx: metric_facts.count(tx, second))

    counted = await store.read(metric_history.counts)
    assert [one.total for one in counted.values()] == [1.0]


async def test_counting_that_was_not_committed_is_done_again(store: Store, new_project: New) -> None:
    await store.write(new_project)
    await store.write(lambda tx: tx.emit(EventKind.STORY_ABORTED, project="shop", story_id="shop-1"))
    found = await store.read(lambda conn: uncounted(conn, limit=10))

    def torn(tx: Transaction) -> None:
        metric_facts.count(tx, found)
        raise OSError("the power went")

    with pytest.raises(OSError, match="power"):
        await store.write(torn)
    assert await store.read(metric_history.counts) == {}
    again = await store.read(lambda conn: uncounted(conn, limit=10))
    await store.write(lambda tx: metric_facts.count(tx, again))

    assert [one.total for one in (await store.read(metric_history.counts)).values()] == [1.0]


def test_an_answer_says_how_long_people_took(later: Later, new_project: New, new_cycle: New) -> None:
    tx = later(0)
    new_project(tx)
    cycle = new_cycle(tx)
    asked = approvals.ask(
        tx,
        project="shop",
        story_id=cycle.story_id,
        kind=ApprovalKind.MERGE,
        subject="merge",
        question="Merge?",
        detail="",
        reasons=(),
    )
    tx = later(90)
    data = {"approval": asked.id, "state": "approved"}
    tx.emit(EventKind.APPROVAL_ANSWERED, project="shop", story_id=cycle.story_id, data=data)
    tx.emit(
        EventKind.APPROVAL_ANSWERED,
        project="shop",
        story_id=cycle.story_id,
        data={**data, "state": "cancelled"},
    )

    ((series, one),) = metric_facts.count(tx, uncounted(tx.conn, limit=10)).items()

    assert (series[0], one.count, one.total) == ("approval_latency", 1, 90.0)


def test_what_the_audit_log_keeps_is_counted(later: Later) -> None:
    tx = later(0)
    tx.conn.execute("DROP TRIGGER audit_log_added")
    rows = [
        ("login_failed", None),
        ("egress_denied", "shop"),
        ("access_denied", "shop"),
        ("backup_made", None),
    ]
    for seq, (kind, project) in enumerate(rows, 1):
        tx.conn.execute(
            "INSERT INTO audit_log (seq, at, kind, actor, project, subject, data, previous, hash)"
            " VALUES (?, ?, ?, 'x', ?, '', '{}', zeroblob(32), zeroblob(32))",
            (seq, tx.now_text, kind, project),
        )

    assert count(tx) == {"logins_refused": 1.0, "security_events": 1.0, "access_refused": 1.0}
    assert metric_history.cursor(tx.conn, "audit") == 4


def test_an_event_that_makes_no_sense_stops_none_behind_it(later: Later, new_project: New) -> None:
    tx = later(0)
    new_project(tx)
    odd = {"sent": "much", "received": -5, "attempt": [1]}
    for kind in (EventKind.NETWORK_USED, EventKind.PHASE_STARTED, EventKind.GATE_REFUSED):
        tx.emit(kind, project="shop", story_id="shop-9", data=odd)
    tx.emit(EventKind.APPROVAL_ANSWERED, project="shop", data={"state": "approved", "approval": {"a": 1}})
    tx.emit(EventKind.NETWORK_USED, project="shop", data={"sent": 10, "received": 20})

    found = count(tx)

    assert (found["project_network_sent"], found["project_network_received"]) == (10.0, 20.0)


def test_calls_that_were_refused_count_by_their_reason(later: Later, new_project: New) -> None:
    tx = later(0)
    new_project(tx)
    for refused in ({"rights": 2, "people": 1}, {"rights": 1, "crowd": 0, "made up": 5}, {}):
        said = CallsRefused(story_id="shop-9", phase=Phase.DESIGN, generation=1, refused=refused)
        tell_refused(tx, "shop", said)

    assert count(tx) == {"tool_calls_refused rights": 3.0, "tool_calls_refused people": 1.0}
    told = [event.data["text"] for event in events.latest(tx.conn, kinds=[EventKind.CALLS_REFUSED])]
    assert told == [
        "Tool calls refused: 2 outside of its role's rights, 1 not allowed by people",
        "Tool calls refused: 1 outside of its role's rights",
    ]


def test_how_a_project_stands(later: Later, new_project: New, new_cycle: New, new_story: New) -> None:
    tx = later(0)
    new_project(tx)
    new_story(tx)  # in the backlog
    first, second, third = (new_cycle(tx) for _ in range(3))
    leases.claim(later(10), first.story_id, phase=Phase.DESIGN, owner="worker", lease_seconds=60)
    tx = later(20)
    tx.conn.execute("UPDATE cycles SET blocked_reason = 'no key' WHERE story_id = ?", (third.story_id,))

    found = standing(tx.conn, tx.now).projects["shop"]

    assert (found.cycles, found.waiting, found.blocked, found.open) == (1, 1, 1, 3)
    assert found.queue_seconds == 30.0
    assert second.story_id


def test_a_clock_that_was_put_back_makes_no_negative_wait(
    later: Later, new_project: New, new_cycle: New
) -> None:
    tx = later(0)
    new_project(tx)
    new_cycle(tx)

    found = standing(tx.conn, tx.now - timedelta(days=1)).projects["shop"]

    assert found.queue_seconds == 0.0


def spend(tx: Transaction, at: datetime, tokens: int, number: int) -> None:
    tx.conn.execute(
        "INSERT INTO model_calls (call_id, project, phase, agent, run_id, provider, model, wire, at,"
        " input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, tokens,"
        " microdollars, source, status)"
        " VALUES (?, 'shop', '', '', '', '', '', '', ?, ?, 0, 0, 0, 0, ?, ?, 'gateway', 'answered')",
        (f"call-{number}", at.isoformat(timespec="microseconds"), tokens, tokens, tokens * 2),
    )


def test_the_ledgers_sums_are_exact_at_each_look(later: Later, new_project: New) -> None:
    tx = later(0)
    new_project(tx)
    sums, now, whole = LedgerSums(), tx.now, 0
    for number in range(60):
        at = now + timedelta(minutes=7 * number)
        late = at - timedelta(minutes=30 if number % 9 == 0 else 0)  # recorded half an hour after it was made
        spend(tx, late, number + 1, number)
        whole += number + 1
        assert sums.read(tx.conn, at) == {"shop": (whole, whole * 2)}
