"""What the merge queue writes down of pull requests: wanted, taken back, landed; also after a crash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from config.github_settings import Delivery, MergeBy
from core.domain.evidence import Verdict
from core.domain.github import Check, CheckConclusion, Pull, PullState, ReviewState
from core.domain.lifecycles import CycleEvent, CycleState, Phase
from core.domain.story import Cycle, StoryState
from core.errors import LostRace
from core.orchestrator.batches import Batch
from core.orchestrator.merge_queue import MergeQueue
from core.orchestrator.publishing import Landing, _landed_outside, made_for, may_land
from core.store import cycles, gates, leases, merges, pulls, stories
from core.store.transaction import Transaction
from core.worker.contract import FastForwardEnd, FastForwardReport, MergeEnd, MergeReport
from core.worker.remote_contract import PushEnd, PushReport, Remote


def landing(**changes: Any) -> Landing:
    given = {"deliver": Delivery.PULL_REQUEST, "merge_by": MergeBy.ORCHARD, "up_to_date": False}
    return Landing(remote=Remote(repository="o/r", url="u"), **{**given, **changes})


@pytest.fixture
def queue() -> MergeQueue:
    return MergeQueue(cast(Any, None), cast(Any, None), cast(Any, None))


@pytest.fixture
def ready(
    tx: Transaction,
    new_project: Callable[..., object],
    new_cycle: Callable[..., Cycle],
    passed_to: Callable[..., Cycle],
) -> list[Cycle]:
    """shop-1 and shop-2, in COMMIT."""
    new_project(tx)
    made = [passed_to(tx, new_cycle(tx), CycleState.COMMIT) for _ in range(2)]
    return [
        cycles.patch(tx, cycle.story_id, state=cycle.state, base_commit="b", red_commit="r", head_commit="h")
        for cycle in made
    ]


def claim(tx: Transaction, queue: MergeQueue, ready: list[Cycle], **how: Any) -> Batch:
    found = landing(**how)
    return queue.claim(tx, ready, owner="shop#1", lease_seconds=60, max_conflicts=2, landing=found)


def proven(batch: Batch, name: str) -> list[MergeReport]:
    (member,) = batch.members
    report = MergeReport(
        story_id=member.story_id,
        generation=member.merge.generation,
        end=MergeEnd.READY,
        candidate=name,
        tree=f"tree of {name}",
        main_commit=f"main of {name}",
        verdict=Verdict(phase=Phase.COMMIT),
    )
    return [report]


def opened(tx: Transaction, story: str = "shop-1") -> Pull:
    pull = pulls.get(tx.conn, story)
    pulls.pushed(tx, story, pull.candidate)
    return pulls.opened(tx, story, head=pull.candidate, number=1, url="u")


def land(tx: Transaction, queue: MergeQueue, batch: Batch) -> None:
    queue._landed(tx, batch, FastForwardReport(end=FastForwardEnd.MERGED, landed=1), ())


def settled(tx: Transaction) -> bool:
    return merges.open_of(tx.conn) == () and leases.held(tx.conn) == ()


def test_a_proven_candidate_becomes_a_pull_request_and_its_story_waits(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    batch = claim(tx, queue, ready)
    assert [member.story_id for member in batch.members] == ["shop-1"]  # none holds another's work
    assert queue._record(tx, batch, proven(batch, "c")) == (None, ())
    pull = pulls.get(tx.conn, "shop-1")
    assert (pull.state, pull.branch, pull.candidate, pull.tree, pull.base) == (
        PullState.WANTED, "orchard/shop-1", "c", "tree of c", "main of c",
    )  # fmt: skip
    assert settled(tx)
    assert len(gates.of_story(tx.conn, "shop-1")) == 1
    assert [cycle.story_id for cycle in cycles.runnable(tx.conn)] == ["shop-2"]
    with pytest.raises(LostRace):
        claim(tx, queue, ready[:1])
    opened(tx)
    assert [cycle.story_id for cycle in cycles.runnable(tx.conn)] == ["shop-2"]
    pulls.landable(tx, "shop-1", head="c")
    assert {cycle.story_id for cycle in cycles.runnable(tx.conn)} == {"shop-1", "shop-2"}


def test_what_was_made_for_a_story_is_known_also_where_its_push_was_not_recorded(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    for name in ("c", "d"):
        batch = claim(tx, queue, ready[:1])
        queue._record(tx, batch, proven(batch, name))
        pulls.close(tx, "shop-1")  # pushed, perhaps, and killed before that was written down
    assert made_for(tx.conn, "shop-1") == ("c", "d")
    assert made_for(tx.conn, "shop-2") == ()


@pytest.mark.parametrize("up_to_date", [False, True])
def test_one_that_may_land_on_a_main_branch_that_moved(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle], up_to_date: bool
) -> None:
    batch = claim(tx, queue, ready)
    queue._record(tx, batch, proven(batch, "c"))
    opened(tx)
    check = Check(name="lint", conclusion=CheckConclusion.PASSED, summary="", url="")
    pulls.looked(tx, "shop-1", head="c", checks=[check], review=ReviewState.APPROVED, approvals=1)
    pulls.landable(tx, "shop-1", head="c")
    again = claim(tx, queue, ready[:1], up_to_date=up_to_date)
    going, _ = queue._record(tx, again, proven(again, "d"))
    pull = pulls.get(tx.conn, "shop-1")
    assert (pull.candidate, pull.head, pull.base, pull.checks) == ("d", "c", "main of d", ())
    if up_to_date:  # its checks have to pass there, too
        assert (going, pull.state, settled(tx)) == (None, PullState.WANTED, True)
        return
    assert going is not None
    assert going.members[0].pull == pull
    assert pull.state is PullState.LANDABLE
    leases.release_all_of(tx, "shop#1")  # a crash: whatever was pushed, the same is gone on with
    found = claim(tx, queue, ready[:1])
    assert (found.stored, found.members[0].merge.candidate, found.members[0].pull) == (True, "d", pull)
    land(tx, queue, found)
    merged = pulls.get(tx.conn, "shop-1")
    assert (merged.state, merged.merge_commit) == (PullState.MERGED, "d")
    assert settled(tx)


def test_one_that_may_land_no_longer_after_a_crash_is_recorded_only_where_it_is(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    batch = claim(tx, queue, ready)
    queue._record(tx, batch, proven(batch, "c"))
    opened(tx)
    pulls.landable(tx, "shop-1", head="c")
    again = claim(tx, queue, ready[:1])
    queue._record(tx, again, proven(again, "d"))
    leases.release_all_of(tx, "shop#1")
    pulls.not_landable(tx, "shop-1")
    found = claim(tx, queue, ready)
    assert [member.lease for member in found.members] == [None]  # nothing is pushed for it
    queue._landed(tx, found, FastForwardReport(end=FastForwardEnd.MERGED, landed=0), ())
    assert settled(tx)
    assert pulls.get(tx.conn, "shop-1").state is PullState.OPEN


@pytest.mark.parametrize("event", [CycleEvent.SENT_BACK, CycleEvent.CONFLICTED, CycleEvent.ABORTED])
def test_who_goes_another_way_waits_for_no_pull_request(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle], event: CycleEvent
) -> None:
    batch = claim(tx, queue, ready)
    queue._record(tx, batch, proven(batch, "c"))
    opened(tx)
    cycles.move(tx, "shop-1", event, state=CycleState.COMMIT)
    assert pulls.get(tx.conn, "shop-1").state is PullState.CLOSED
    assert pulls.at_work(tx.conn) == ()


def test_what_was_merged_outside_is_done_once(tx: Transaction, queue: MergeQueue, ready: list[Cycle]) -> None:
    told: list[Transaction] = []
    batch = claim(tx, queue, ready)
    assert "being merged this moment" in may_land(tx.conn, "shop-1")
    with pytest.raises(LostRace, match="being merged this moment"):
        _landed_outside(tx, "shop-1", "m", told.append)
    queue._record(tx, batch, proven(batch, "c"))
    opened(tx)
    assert may_land(tx.conn, "shop-1") == ""
    for _ in range(2):
        done = _landed_outside(tx, "shop-1", "m", told.append)
        assert (done.state, done.merge_commit) == (CycleState.DONE, "m")
    assert told == [tx]
    assert stories.get(tx.conn, "shop-1").state is StoryState.DONE
    assert pulls.get(tx.conn, "shop-1").merge_commit == "m"
    assert "not ready" in may_land(tx.conn, "shop-1")


def test_what_was_merged_outside_while_its_batch_was_lost_is_done_and_the_batch_over(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    batch = claim(tx, queue, ready)
    queue._record(tx, batch, proven(batch, "c"))
    opened(tx)
    pulls.landable(tx, "shop-1", head="c")
    again = claim(tx, queue, ready[:1])
    queue._record(tx, again, proven(again, "d"))
    leases.release_all_of(tx, "shop#1")
    _landed_outside(tx, "shop-1", "d", lambda _: None)
    assert settled(tx)
    stories.move(tx, "shop-2", StoryState.ACTIVE, StoryState.SKIPPED)
    with pytest.raises(LostRace, match="another way"):
        _landed_outside(tx, "shop-2", "m", lambda _: None)


class _Writer:
    """The store of a queue, in the test's own transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def write(self, work: Callable[[Transaction], Any]) -> Any:
        return work(self._tx)


@pytest.mark.parametrize(("refused", "taken"), [("c2", 1), ("c1", 0)])
async def test_what_a_branch_refuses_blocks_its_own_story_alone(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle], refused: str, taken: int
) -> None:
    batch = claim(tx, queue, ready, deliver=Delivery.DIRECT)
    reports = [
        MergeReport(
            story_id=member.story_id,
            generation=member.merge.generation,
            end=MergeEnd.READY,
            candidate=f"c{number}",
            tree="t",
            main_commit="m" if number == 1 else "c1",
            verdict=Verdict(phase=Phase.COMMIT),
        )
        for number, member in enumerate(batch.members, 1)
    ]
    going, _ = queue._record(tx, batch, reports)
    assert going is not None
    asked: list[str] = []

    async def push_main(project: str, owner: str, landing: Landing, commit: str) -> PushReport:
        asked.append(commit)
        if commit >= refused:  # what stands on it holds it, too
            return PushReport(end=PushEnd.REFUSED, error="Too large.", hint="Make it smaller.")
        return PushReport(end=PushEnd.PUSHED)

    queue._store = cast(Any, _Writer(tx))
    queue.publishing.push_main = push_main  # type: ignore[method-assign]
    assert await queue._push(going, going.members) == taken
    assert asked == ["c2", "c1", "c2"][: 2 + taken]
    blocked = {each.story_id: cycles.get(tx.conn, each.story_id) for each in ready}
    assert [bool(one and one.blocked_reason) for one in blocked.values()] == [taken == 0, taken == 1]
    if taken:
        land(tx, queue, going)
        assert stories.get(tx.conn, "shop-1").state is StoryState.DONE
    else:
        assert [cycle.story_id for cycle in cycles.runnable(tx.conn)] == ["shop-2"]
    assert settled(tx)


def test_one_that_was_merged_by_hand_a_moment_ago_is_not_merged_twice(
    tx: Transaction, queue: MergeQueue, ready: list[Cycle]
) -> None:
    batch = claim(tx, queue, ready)
    queue._record(tx, batch, proven(batch, "c"))
    opened(tx)
    pulls.landable(tx, "shop-1", head="c")
    again = claim(tx, queue, ready[:1])
    found = [replace(report, adds_nothing=True) for report in proven(again, "d")]
    assert queue._record(tx, again, found) == (None, ())
    pull = pulls.get(tx.conn, "shop-1")
    assert (pull.state, pull.merge_commit) == (PullState.MERGED, "main of d")
    assert stories.get(tx.conn, "shop-1").state is StoryState.DONE
    assert settled(tx)
