"""What the merge queue writes down: claims, candidates, what landed; after a crash at any line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from core.domain.event import EventKind
from core.domain.evidence import Refusal, RefusalCode, Verdict
from core.domain.lifecycles import CycleState, Phase
from core.domain.story import Cycle, Hold, StoryState
from core.errors import LostRace, NotAllowed
from core.orchestrator.batches import Batch
from core.orchestrator.merge_queue import MergeQueue
from core.store import cycles, events, gates, leases, merges, stories
from core.store.transaction import Transaction
from core.worker.contract import FastForwardEnd, FastForwardReport, MergeEnd, MergeReport

PASSED = Verdict(phase=Phase.COMMIT)
NO = Verdict(phase=Phase.COMMIT, refusals=(Refusal(code=RefusalCode.BASE_BROKEN, sentence="it broke"),))


@pytest.fixture
def queue() -> MergeQueue:
    """What only writes needs neither worker nor settings."""
    return MergeQueue(cast(Any, None), cast(Any, None), cast(Any, None))


@pytest.fixture
def ready(
    tx: Transaction,
    new_project: Callable[..., object],
    new_cycle: Callable[..., Cycle],
    passed_to: Callable[..., Cycle],
) -> list[Cycle]:
    """shop-1 to shop-4, in COMMIT."""
    new_project(tx)
    made = [passed_to(tx, new_cycle(tx), CycleState.COMMIT) for _ in range(4)]
    return [
        cycles.patch(tx, cycle.story_id, state=cycle.state, base_commit="b", red_commit="r", head_commit="h")
        for cycle in made
    ]


def claim(tx: Transaction, queue: MergeQueue, ready: list[Cycle], owner: str = "shop#1") -> Batch:
    return queue.claim(tx, ready, owner=owner, lease_seconds=60, max_conflicts=2)


def said(batch: Batch, end: MergeEnd = MergeEnd.READY, **other: MergeEnd) -> list[MergeReport]:
    """What the worker reports: each candidate on the one before; `shop_2=...` for another end."""
    reports, ground = [], "main"
    for member in batch.members:
        own = other.get(member.story_id.replace("-", "_"), end)
        report = MergeReport(
            story_id=member.story_id, generation=member.merge.generation, end=own, main_commit=ground
        )
        if own is MergeEnd.READY:
            ground = f"c-{member.story_id}"
            report = replace(report, candidate=ground, verdict=PASSED)
        elif own is MergeEnd.REFUSED:
            report = replace(report, verdict=NO, rebased_red=f"r-{ground}", rebased_head=f"h-{ground}")
        elif own is MergeEnd.BLOCKED:
            report = replace(report, error="git is gone.", hint="Install it.")
        reports.append(report)
    return reports


def landed(tx: Transaction, queue: MergeQueue, batch: Batch, refused: Any, count: int, end: str) -> None:
    report = FastForwardReport(end=FastForwardEnd(end), landed=count, error="f.py is in the way.", hint="Go.")
    queue._landed(tx, batch, report, refused)


def states(tx: Transaction) -> list[str]:
    return [str(cycles.get(tx.conn, f"shop-{n}").state) for n in range(1, 5)]  # type: ignore[union-attr]


def crash(tx: Transaction, owner: str = "shop#1") -> None:
    """What recovery, or the worker's end, does."""
    leases.release_all_of(tx, owner)


def settled(tx: Transaction) -> bool:
    return merges.open_of(tx.conn) == () and leases.held(tx.conn) == ()


def test_a_batch_holds_a_lease_a_story_in_the_order_of_the_queue(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    batch = claim(tx, queue, ready[::-1][:3])
    assert [member.story_id for member in batch.members] == ["shop-4", "shop-3", "shop-2"]
    assert {lease.story_id for lease in leases.held(tx.conn)} == {"shop-2", "shop-3", "shop-4"}
    started = events.since(tx.conn, 0, kinds=[EventKind.PHASE_STARTED])
    assert [event.story_id for event in started] == ["shop-4", "shop-3", "shop-2"]
    with pytest.raises(LostRace, match="being merged"):
        claim(tx, queue, ready[:1])


def test_who_is_no_longer_ready_is_not_in_the_batch(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    cycles.patch(tx, "shop-1", state=CycleState.COMMIT, hold=Hold.STOPPED)
    batch = claim(tx, queue, ready[:2])
    assert [member.story_id for member in batch.members] == ["shop-2"]
    crash(tx)
    cycles.block(tx, "shop-2", state=CycleState.COMMIT, reason="why")
    with pytest.raises(LostRace, match="ready to be merged"):
        claim(tx, queue, ready[:2])


def test_all_land_in_one_transaction(tx: Transaction, queue: MergeQueue, ready: list[Cycle]) -> None:
    batch = claim(tx, queue, ready)
    going, refused = queue._record(tx, batch, said(batch))
    assert going is not None
    assert [str(member.merge.main_commit) for member in going.members] == [
        "main", "c-shop-1", "c-shop-2", "c-shop-3",
    ]  # fmt: skip
    landed(tx, queue, going, refused, 4, "merged")
    assert states(tx) == ["done"] * 4
    assert settled(tx)
    assert [len(gates.of_story(tx.conn, f"shop-{n}")) for n in range(1, 5)] == [1] * 4


def test_what_was_not_proven_when_it_crashed_begins_again(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    lost = claim(tx, queue, ready[:2])
    crash(tx)
    assert queue._record(tx, lost, said(lost)) == (None, ())  # its worker's last word comes too late
    again = claim(tx, queue, ready[1:], owner="shop#2")
    assert [member.story_id for member in again.members] == ["shop-2", "shop-3", "shop-4"]
    assert {merge.story_id for merge in merges.open_of(tx.conn)} == {"shop-2", "shop-3", "shop-4"}
    assert [gates.of_story(tx.conn, cycle.story_id) for cycle in ready] == [()] * 4


def test_stored_candidates_are_what_the_next_claim_goes_on_with(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    first = claim(tx, queue, ready[:3])
    queue._record(tx, first, said(first, shop_3=MergeEnd.REFUSED))
    crash(tx)
    again = claim(tx, queue, ready[3:], owner="shop#2")  # whoever asks
    assert again.stored
    assert [(member.story_id, member.merge.candidate) for member in again.members] == [
        ("shop-1", "c-shop-1"),
        ("shop-2", "c-shop-2"),
    ]
    landed(tx, queue, again, (), 2, "merged")
    assert states(tx) == ["done", "done", "commit", "commit"]
    assert settled(tx)
    assert [len(gates.of_story(tx.conn, f"shop-{n}")) for n in (1, 2, 3)] == [1, 1, 0]


def test_one_that_was_stopped_after_a_crash_is_merged_only_where_the_branch_holds_it(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    first = claim(tx, queue, ready[:3])
    queue._record(tx, first, said(first))
    crash(tx)
    cycles.patch(tx, "shop-2", state=CycleState.COMMIT, hold=Hold.STOPPED)
    again = claim(tx, queue, ready[:1], owner="shop#2")
    assert [member.lease is not None for member in again.members] == [True, False, True]
    landed(tx, queue, again, (), 2, "merged")
    assert states(tx) == ["done", "done", "commit", "commit"]
    assert settled(tx)


def test_who_leaves_before_the_candidates_are_stored_takes_along_what_stands_on_it(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    batch = claim(tx, queue, ready)
    merges.drop(tx, "shop-2")
    leases.release(tx, "shop-2", batch.members[1].merge.generation)
    going, refused = queue._record(tx, batch, said(batch, shop_4=MergeEnd.REFUSED))
    assert going is not None
    assert [member.story_id for member in going.members] == ["shop-1"]
    assert refused == ()
    with pytest.raises(NotAllowed, match="being merged"):
        merges.drop(tx, "shop-1")
    landed(tx, queue, going, refused, 1, "merged")
    assert states(tx) == ["done", "commit", "commit", "commit"]
    assert settled(tx)


def test_a_refusal_on_a_candidate_counts_once_that_has_landed(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    batch = claim(tx, queue, ready[:3])
    going, refused = queue._record(tx, batch, said(batch, shop_2=MergeEnd.REFUSED))
    assert going is not None
    assert gates.of_story(tx.conn, "shop-2") == ()
    landed(tx, queue, going, refused, 2, "merged")
    assert states(tx)[:3] == ["done", "code_green", "done"]
    back = cycles.get(tx.conn, "shop-2")
    assert back is not None
    assert (back.base_commit, back.head_commit) == ("c-shop-1", "h-c-shop-1")
    assert settled(tx)


@pytest.mark.parametrize(("count", "end"), [(0, "moved"), (1, "moved"), (0, "blocked"), (1, "blocked")])
def test_what_did_not_land_is_prepared_again(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle], count: int, end: str
) -> None:
    batch = claim(tx, queue, ready)
    going, refused = queue._record(tx, batch, said(batch, shop_4=MergeEnd.REFUSED))
    assert going is not None
    landed(tx, queue, going, refused, count, end)
    assert states(tx) == [*["done"] * count, *["commit"] * (4 - count)]
    assert gates.of_story(tx.conn, "shop-4") == ()  # its ground never became the main branch
    assert settled(tx)
    blocked = [
        cycle.story_id for n in range(1, 5) if (cycle := cycles.get(tx.conn, f"shop-{n}")).blocked_reason
    ]  # type: ignore[union-attr]
    assert blocked == ([f"shop-{count + 1}"] if end == "blocked" else [])


def test_other_ends_are_recorded_at_once(tx: Transaction, queue: MergeQueue, ready: list[Cycle]) -> None:
    batch = claim(tx, queue, ready[:3])
    ends = {"shop_1": MergeEnd.REFUSED, "shop_2": MergeEnd.BLOCKED, "shop_3": MergeEnd.LEFT_OUT}
    assert queue._record(tx, batch, said(batch, **ends)) == (None, ())
    assert states(tx)[:3] == ["code_green", "commit", "commit"]
    two = cycles.get(tx.conn, "shop-2")
    assert two is not None
    assert two.blocked_reason == "git is gone. Install it."
    assert settled(tx)


def test_a_story_that_the_gate_refuses_on_the_main_branch_again_asks_people(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle], passed_to: Callable[..., Cycle]
) -> None:
    for count in (1, 2):
        batch = claim(tx, queue, ready[:1])
        queue._record(tx, batch, said(batch, MergeEnd.REFUSED))
        back = cycles.get(tx.conn, "shop-1")
        assert back is not None
        assert (back.state, back.conflicts, "it broke" in back.feedback) == (
            CycleState.CODE_GREEN,
            count,
            True,
        )
        assert bool(back.blocked_reason) is (count == 2)
        passed_to(tx, back, CycleState.COMMIT)
    assert back.blocked_reason.startswith("It did not fit on the main branch 2 times.")


def test_a_merged_story_marks_those_that_change_its_files(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle], new_cycle: Callable[..., Cycle],
    passed_to: Callable[..., Cycle],
) -> None:  # fmt: skip
    other = passed_to(tx, new_cycle(tx), CycleState.CODE_GREEN).story_id
    cycles.patch(tx, other, state=CycleState.CODE_GREEN, base_commit="b")
    for story in (other, "shop-1"):
        tx.conn.execute("INSERT INTO touched_files (story_id, path) VALUES (?, 'calc.py')", (story,))
    batch = claim(tx, queue, ready[:2])
    going, refused = queue._record(tx, batch, said(batch))
    assert going is not None
    landed(tx, queue, going, refused, 2, "merged")
    marked = cycles.get(tx.conn, other)
    assert marked is not None
    assert marked.rebase_onto == "c-shop-2"  # all that landed with it
    assert stories.get(tx.conn, "shop-1").state is StoryState.DONE
