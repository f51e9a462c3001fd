from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.domain.lifecycles import Phase
from core.errors import InvalidInput, LostRace, NotAllowed, NotFound
from core.store import leases, locks
from core.store.database import Store
from core.store.leases import Claim
from core.store.locks import Hold
from core.store.transaction import Transaction

Later = Callable[[float], Transaction]
New = Callable[..., Any]


@pytest.fixture(autouse=True)
def _two_projects(
    tx: Transaction, new_project: Callable[..., object], new_story: Callable[..., object]
) -> None:
    for name in ("shop", "post"):
        new_project(tx, name)
        new_story(tx, name)
        new_story(tx, name)
    locks.define(tx, "staging", 1)
    locks.define(tx, "gpu", 3)


def take(tx: Transaction, story: str, seconds: float = 60, **wants: int) -> tuple[Hold, ...]:
    return locks.acquire(tx, story, wants, lease_seconds=seconds)


def test_one_staging_database_serves_one_story_of_all_projects(tx: Transaction) -> None:
    (hold,) = take(tx, "shop-1", staging=1)
    assert (hold.project, hold.places, hold.expires_at) == ("shop", 1, tx.now + timedelta(seconds=60))
    with pytest.raises(LostRace, match="shop-1 holds 1 for 60 s more"):
        take(tx, "post-1", staging=1)
    assert locks.release(tx, "shop-1") == (hold,)
    assert take(tx, "post-1", staging=1)[0].story_id == "post-1"


def test_places_are_counted(tx: Transaction) -> None:
    take(tx, "shop-1", gpu=2)
    take(tx, "post-1", gpu=1)
    with pytest.raises(LostRace, match=r"post-1 holds 1 .* shop-1 holds 2"):
        take(tx, "post-2", gpu=1)
    assert [(found.name, found.free) for found in locks.every(tx.conn)] == [("gpu", 0), ("staging", 1)]


def test_all_that_is_wanted_or_nothing(tx: Transaction) -> None:
    take(tx, "shop-1", staging=1)
    with pytest.raises(LostRace):
        take(tx, "post-1", gpu=1, staging=1)
    assert locks.held_by(tx.conn, "post-1") == ()
    assert locks.get(tx.conn, "gpu").free == 3


def test_asking_again_takes_no_second_place_and_prolongs(tx: Transaction, later: Later) -> None:
    take(tx, "shop-1", gpu=1)
    on = later(30)
    (hold,) = take(on, "shop-1", gpu=2)
    assert (hold.places, hold.expires_at) == (2, on.now + timedelta(seconds=60))
    assert locks.get(on.conn, "gpu").free == 1


def test_a_renewed_hold_stays_and_an_expired_one_goes_to_who_asks(tx: Transaction, later: Later) -> None:
    take(tx, "shop-1", staging=1)
    assert len(locks.renew(later(50), ["shop-1"], lease_seconds=60)) == 1
    with pytest.raises(LostRace):
        take(later(50), "post-1", staging=1)
    taken = later(10)  # the instant at which it ends
    assert take(taken, "post-1", staging=1)[0].story_id == "post-1"
    assert locks.renew(taken, ["shop-1"], lease_seconds=60) == ()
    assert locks.release(taken, "shop-1") == ()
    assert locks.get(taken.conn, "staging").free == 0


def test_expiring_is_on_the_record(tx: Transaction, later: Later) -> None:
    take(tx, "shop-1", seconds=10, gpu=2)
    take(tx, "post-1", seconds=90, gpu=1)
    on = later(20)
    assert [(hold.story_id, hold.places) for hold in locks.expire(on)] == [("shop-1", 2)]
    assert locks.expire(on) == ()
    released = on.conn.execute("SELECT count(*) FROM resource_holds WHERE released_at = ?", (on.now_text,))
    assert released.fetchone()[0] == 2
    assert [hold.story_id for hold in locks.get(on.conn, "gpu").holds] == ["post-1"]


def test_release_of_one_keeps_the_other(tx: Transaction) -> None:
    take(tx, "shop-1", gpu=1, staging=1)
    assert [hold.resource for hold in locks.release(tx, "shop-1", "gpu")] == ["gpu"]
    assert [hold.resource for hold in locks.held_by(tx.conn, "shop-1")] == ["staging"]


def test_fewer_places_take_none_away_and_give_none_out(tx: Transaction) -> None:
    take(tx, "shop-1", gpu=1)
    take(tx, "post-1", gpu=1)
    locks.release(tx, "shop-1")  # place 1 is free, place 2 held
    take(tx, "shop-2", gpu=2)
    locks.define(tx, "gpu", 1)
    assert locks.get(tx.conn, "gpu").free == -2
    locks.release(tx, "shop-2")
    with pytest.raises(LostRace):
        take(tx, "shop-1", gpu=1)
    locks.release(tx, "post-1")
    assert take(tx, "shop-1", gpu=1)


def test_who_holds_all_it_wants_goes_on_when_there_are_fewer_places(tx: Transaction) -> None:
    take(tx, "shop-1", gpu=2)
    take(tx, "post-1", gpu=1)
    locks.define(tx, "gpu", 1)
    (hold,) = take(tx, "shop-1", seconds=90, gpu=2)
    assert (hold.places, hold.expires_at) == (2, tx.now + timedelta(seconds=90))
    with pytest.raises(InvalidInput, match="wants 3 places of gpu, which has 1"):
        take(tx, "shop-1", gpu=3)


@pytest.mark.parametrize(
    ("story", "wants", "seconds", "error"),
    [
        ("shop-1", {"staging": 2}, 60, InvalidInput),
        ("shop-1", {"staging": 0}, 60, InvalidInput),
        ("shop-1", {"moon": 1}, 60, NotFound),
        ("nobody-1", {"staging": 1}, 60, NotFound),
        ("shop-1", {"staging": 1}, 0, InvalidInput),
        ("shop-1", {"staging": 1}, math.nan, InvalidInput),
        ("shop-1", {"staging": 1}, math.inf, InvalidInput),
    ],
)
def test_what_can_never_be_is_refused(
    tx: Transaction, story: str, wants: dict[str, int], seconds: float, error: type[Exception]
) -> None:
    with pytest.raises(error):
        locks.acquire(tx, story, wants, lease_seconds=seconds)
    assert all(not found.holds for found in locks.every(tx.conn))


def test_a_resource_is_removed_when_nobody_holds_it(tx: Transaction) -> None:
    take(tx, "shop-1", staging=1)
    with pytest.raises(NotAllowed, match="shop-1"):
        locks.forget(tx, "staging")
    locks.release(tx, "shop-1")
    locks.forget(tx, "staging")
    with pytest.raises(NotFound):
        locks.get(tx.conn, "staging")
    with pytest.raises(InvalidInput):
        locks.define(tx, "staging", 0)


def test_a_hold_whose_time_is_over_keeps_no_resource(tx: Transaction, later: Later) -> None:
    take(tx, "shop-1", seconds=60, staging=1)
    locks.forget(later(61), "staging")
    with pytest.raises(NotFound):
        locks.get(tx.conn, "staging")


def test_a_second_claim_of_what_runs_takes_no_place_from_it(tx: Transaction, new_cycle: New) -> None:
    story = new_cycle(tx).story_id
    wanted = [Claim(story_id=story, phase=Phase.DESIGN, wants={"staging": 1})]
    first = leases.claim_all(tx, wanted, owner="a", lease_seconds=60)
    assert [lease.story_id for lease in first.won] == [story]
    second = leases.claim_all(tx, wanted, owner="b", lease_seconds=60)
    assert (second.won, list(second.lost)) == ((), [story])
    assert [hold.story_id for hold in locks.get(tx.conn, "staging").holds] == [story]
    leases.release(tx, story, 1)
    assert locks.get(tx.conn, "staging").free == 1


def test_a_claim_that_is_lost_takes_no_place(tx: Transaction, new_cycle: New) -> None:
    story = new_cycle(tx).story_id
    wanted = [Claim(story_id=story, phase=Phase.REFACTOR, wants={"staging": 1})]
    assert list(leases.claim_all(tx, wanted, owner="a", lease_seconds=60).lost) == [story]
    assert locks.get(tx.conn, "staging").free == 1


def test_the_schema_itself_lets_nobody_share_a_place(tx: Transaction) -> None:
    take(tx, "shop-1", staging=1)
    with pytest.raises(sqlite3.IntegrityError):
        tx.conn.execute(
            "INSERT INTO resource_holds (resource, place, story_id, project, acquired_at, expires_at)"
            " VALUES ('staging', 1, 'post-1', 'post', ?, ?)",
            (tx.now_text, tx.now_text),
        )


async def test_of_many_who_ask_at_once_as_many_win_as_there_are_places(
    store: Store, new_project: Callable[..., object], new_story: Callable[..., object]
) -> None:
    def fill(tx: Transaction) -> None:
        locks.define(tx, "gpu", 4)
        for number in range(10):
            new_project(tx, f"p{number}")
            new_story(tx, f"p{number}")

    await store.write(fill)
    found = await asyncio.gather(
        *(
            store.write(lambda tx, n=n: locks.acquire(tx, f"p{n}-1", {"gpu": 1}, lease_seconds=60))
            for n in range(10)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, LostRace) for one in found) == 6
    assert await store.read(lambda conn: locks.get(conn, "gpu").free) == 0
