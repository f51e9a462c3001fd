from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from core.domain.approval import ApprovalKind
from core.domain.lifecycles import CycleEvent, CycleState, Phase, WorkflowCommand
from core.domain.story import Cycle, StoryState
from core.errors import LostRace, NotFound
from core.store import approvals, cycles, leases, locks, projects, stories
from core.store.database import Store
from core.store.leases import Lease
from core.store.transaction import Transaction

NewCycle = Callable[..., Cycle]


@pytest.fixture(autouse=True)
def _shop(tx: Transaction, new_project: Callable[..., object], new_cycle: NewCycle) -> None:
    new_project(tx)
    for _ in range(3):
        new_cycle(tx)


def claim(tx: Transaction, story: str = "shop-1", owner: str = "worker-1") -> Lease:
    return leases.claim(tx, story, phase=Phase.DESIGN, owner=owner, lease_seconds=60)


def test_a_claim_takes_the_next_generation(tx: Transaction) -> None:
    lease = claim(tx)
    assert (lease.generation, lease.phase, lease.project) == (1, Phase.DESIGN, "shop")
    assert lease.expires_at == tx.now + timedelta(seconds=60)
    assert cycles.get(tx.conn, "shop-1").generation == 1
    assert leases.held(tx.conn) == (lease,) == leases.held(tx.conn, "shop")
    assert leases.held(tx.conn, "post") == ()
    assert leases.release(tx, "shop-1", 1) == lease
    assert claim(tx).generation == 2


def pause(tx: Transaction) -> None:
    projects.move_workflow(tx, "shop", WorkflowCommand.SPRINT_PAUSE, actor="cli")


def ask(tx: Transaction) -> None:
    approvals.ask(
        tx,
        project="shop",
        story_id="shop-1",
        kind=ApprovalKind.MERGE,
        subject="merge:shop-1",
        question="?",
        detail="",
        reasons=(),
    )


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        (lambda tx: claim(tx, owner="worker-2"), "worker-2 holds it"),
        (lambda tx: cycles.move(tx, "shop-1", CycleEvent.PASSED, state=CycleState.DESIGN), "in test_red"),
        (lambda tx: cycles.move(tx, "shop-1", CycleEvent.ABORTED, state=CycleState.DESIGN), "in aborted"),
        (lambda tx: cycles.block(tx, "shop-1", state=CycleState.DESIGN, reason="stuck"), "blocked: stuck"),
        (lambda tx: stories.move(tx, "shop-1", StoryState.ACTIVE, StoryState.SKIPPED), "story is skipped"),
        (pause, "workflow SPRINT_PAUSED"),
        (ask, "approval is pending"),
    ],
)
def test_what_changed_since_the_look_is_a_lost_race_that_changes_nothing(
    tx: Transaction, meanwhile: Callable[[Transaction], object], why: str
) -> None:
    meanwhile(tx)
    before = cycles.get(tx.conn, "shop-1"), leases.held(tx.conn)
    with pytest.raises(LostRace) as caught:
        claim(tx)
    assert why in caught.value.why
    assert (cycles.get(tx.conn, "shop-1"), leases.held(tx.conn)) == before


def test_a_story_without_a_cycle_cannot_be_claimed(tx: Transaction) -> None:
    with pytest.raises(LostRace, match="shop-9") as caught:
        claim(tx, "shop-9")
    assert caught.value.why == "It has no cycle."


def test_only_the_holder_releases_and_reports(tx: Transaction) -> None:
    lease = claim(tx)
    assert leases.check(tx.conn, "shop-1", 1) == lease
    for use in (lambda g: leases.release(tx, "shop-1", g), lambda g: leases.check(tx.conn, "shop-1", g)):
        for generation in (0, 2):
            with pytest.raises(LostRace, match="does not hold") as caught:
                use(generation)
            assert "worker-1 holds generation 1" in caught.value.why
    leases.release(tx, "shop-1", 1)
    with pytest.raises(LostRace) as caught:
        leases.release(tx, "shop-1", 1)
    assert "Nobody" in caught.value.why


def test_an_older_worker_may_report_nothing(tx: Transaction) -> None:
    claim(tx)
    leases.release_all_of(tx, "worker-1")
    claim(tx, owner="worker-2")
    with pytest.raises(LostRace):
        leases.check(tx.conn, "shop-1", 1)
    assert leases.check(tx.conn, "shop-1", 2).owner == "worker-2"


def test_a_renewal_prolongs_the_owners_and_no_other(
    tx: Transaction, later: Callable[[float], Transaction]
) -> None:
    claim(tx)
    claim(tx, "shop-2", owner="worker-2")
    now = later(50)
    assert leases.renew(now, ["shop-1", "shop-2", "shop-3"], "worker-1", 60) == ("shop-1",)
    until = {lease.story_id: lease.expires_at for lease in leases.held(tx.conn)}
    assert until == {
        "shop-1": now.now + timedelta(seconds=60),
        "shop-2": tx.now + timedelta(seconds=60),
    }


def test_an_expired_lease_is_found_and_keeps_others_out_until_it_is_released(
    tx: Transaction, later: Callable[[float], Transaction]
) -> None:
    claim(tx)
    claim(tx, "shop-2", owner="worker-2")
    leases.renew(later(30), ["shop-2"], "worker-2", 60)
    at = later(30)
    assert [lease.story_id for lease in leases.expired(at.conn, at.now)] == ["shop-1"]
    assert leases.expired(at.conn, at.now - timedelta(microseconds=1)) == ()
    with pytest.raises(LostRace):
        claim(at, owner="worker-2")
    leases.release(at, "shop-1", 1)
    assert leases.expired(at.conn, at.now) == ()
    assert claim(at, owner="worker-2").generation == 2


def test_what_a_lost_worker_held_is_released(tx: Transaction) -> None:
    for story in ("shop-1", "shop-2"):
        claim(tx, story)
    other = claim(tx, "shop-3", owner="worker-2")
    assert {lease.story_id for lease in leases.release_all_of(tx, "worker-1")} == {"shop-1", "shop-2"}
    assert leases.held(tx.conn) == (other,)
    assert leases.release_all_of(tx, "worker-1") == ()


async def test_of_racing_claims_one_wins(
    store: Store, new_project: Callable[..., object], new_cycle: NewCycle
) -> None:
    await store.write(lambda tx: (new_project(tx), new_cycle(tx)))
    results = await asyncio.gather(
        *(store.write(lambda tx, n=n: claim(tx, owner=f"worker-{n}")) for n in range(20)),
        return_exceptions=True,
    )
    won = [result for result in results if isinstance(result, Lease)]
    assert len(won) == 1
    assert sum(isinstance(result, LostRace) for result in results) == 19
    assert await store.read(leases.held) == (won[0],)
    assert (await store.read(lambda conn: cycles.get(conn, "shop-1"))).generation == 1


class TestManyAtOnce:
    def claim(self, tx: Transaction, *stories: str, **wants: int) -> leases.Claimed:
        return leases.claim_all(
            tx,
            [leases.Claim(story_id=story, phase=Phase.DESIGN, wants=wants) for story in stories],
            owner="worker-1",
            lease_seconds=60,
        )

    def test_who_may_wins_and_who_may_not_is_told_why(self, tx: Transaction) -> None:
        first = claim(tx, "shop-2", owner="other")
        cycles.block(tx, "shop-3", state=CycleState.DESIGN, reason="no way")
        claimed = self.claim(tx, "shop-3", "shop-1", "shop-2", "shop-1", "shop-9")
        assert [lease.story_id for lease in claimed.won] == ["shop-1"]
        assert claimed.won[0] == leases.check(tx.conn, "shop-1", 1)
        assert {story: type(error) for story, error in claimed.lost.items()} == dict.fromkeys(
            ("shop-2", "shop-3", "shop-9"), LostRace
        )
        assert leases.check(tx.conn, "shop-2", first.generation) == first

    def test_nobody_claims_nothing(self, tx: Transaction) -> None:
        assert self.claim(tx) == leases.Claimed()

    def test_places_go_with_the_lease(self, tx: Transaction, later: Callable[[float], Transaction]) -> None:
        locks.define(tx, "staging", 1)
        claimed = self.claim(tx, "shop-1", "shop-2", staging=1)
        assert [lease.story_id for lease in claimed.won] == ["shop-1"]
        assert "shop-1 holds 1" in claimed.lost["shop-2"].why
        assert leases.held(tx.conn) == claimed.won
        moved = later(50)
        leases.renew(moved, ["shop-1"], "worker-1", 60)
        assert locks.held_by(moved.conn, "shop-1")[0].expires_at == moved.now + timedelta(seconds=60)
        leases.release(moved, "shop-1", 1)
        assert locks.held_by(moved.conn, "shop-1") == ()
        assert [lease.story_id for lease in self.claim(moved, "shop-2", staging=1).won] == ["shop-2"]
        leases.release_all_of(moved, "worker-1")
        assert locks.get(moved.conn, "staging").free == 1

    def test_who_loses_the_story_keeps_no_place(self, tx: Transaction) -> None:
        locks.define(tx, "staging", 1)
        claim(tx, "shop-1", owner="other")
        claimed = self.claim(tx, "shop-1", "shop-2", staging=1)
        assert (set(claimed.lost), [one.story_id for one in claimed.won]) == ({"shop-1"}, ["shop-2"])
        leases.release(tx, "shop-2", 1)
        cycles.block(tx, "shop-2", state=CycleState.DESIGN, reason="no")
        assert set(self.claim(tx, "shop-2", staging=1).lost) == {"shop-2"}
        assert locks.get(tx.conn, "staging").free == 1

    def test_an_unknown_resource_is_said_and_bars_nobody_else(self, tx: Transaction) -> None:
        claimed = self.claim(tx, "shop-1", moon=1)
        assert isinstance(claimed.lost["shop-1"], NotFound)
        assert self.claim(tx, "shop-1").won

    def test_a_late_worker_keeps_its_place(
        self, tx: Transaction, later: Callable[[float], Transaction]
    ) -> None:
        locks.define(tx, "staging", 1)
        self.claim(tx, "shop-1", staging=1)
        moved = later(1000)  # expired, and not released by anybody: it may be at work still
        assert set(self.claim(moved, "shop-2", staging=1).lost) == {"shop-2"}
        assert locks.expire(moved) == ()
