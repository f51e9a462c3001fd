"""Deliveries in a store that is there: each is taken once, by the project whose repository it is of."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from core.github.webhooks.deliveries import KEEP, Deliveries, Delivery, Taken
from core.github.webhooks.nudge import EVERYTHING, Nudge
from core.store import github_heard, github_links

SHOP, BANK = 1001, 1002


@pytest_asyncio.fixture
async def linked(store, new_project):
    """shop is linked, and GitHub said its id; bank is linked by its name alone."""

    def work(tx):
        for name in ("shop", "bank", "plain"):
            new_project(tx, name)
        github_links.put(tx, "shop", "o/shop", by="cli", configured=False)
        github_links.put(tx, "bank", "o/Bank", by="cli", configured=False)
        github_links.answered(
            tx,
            "shop",
            repository="o/shop",
            repository_id=SHOP,
            default_branch="main",
            clone_url="",
            html_url="",
        )

    await store.write(work)
    return store


@pytest.fixture
def heard():
    return []


@pytest.fixture
def deliveries(linked, heard):
    return Deliveries(linked, lambda project, nudge: heard.append((project, nudge)))


def delivery(number="d1", event="issues", repository=SHOP, name="o/shop", **more):
    signers = more.pop("signers", None)
    payload = {"repository": {"id": repository, "full_name": name}, "issue": {"number": 5}, **more}
    return Delivery(id=number, event=event, payload=payload, signers=signers)


@pytest.mark.asyncio
async def test_a_delivery_nudges_the_project_of_its_repository(deliveries, heard, linked):
    receipt = await deliveries.take(delivery())
    assert (receipt.taken, receipt.projects) == (Taken.NUDGED, ("shop",))
    assert heard == [("shop", Nudge(issues=frozenset({5})))]
    assert await linked.read(lambda conn: github_heard.last_delivery(conn, "shop")) is not None
    assert await linked.read(lambda conn: github_heard.last_delivery(conn, "bank")) is None


@pytest.mark.asyncio
async def test_one_that_comes_again_is_not_acted_on_even_at_the_same_time(deliveries, heard):
    receipts = await asyncio.gather(*(deliveries.take(delivery()) for _ in range(20)))
    assert sorted(each.taken for each in receipts) == [Taken.NUDGED] + [Taken.REPLAYED] * 19
    assert len(heard) == 1


@pytest.mark.asyncio
async def test_it_is_known_again_by_another_process(linked, heard):
    for taken in (Taken.NUDGED, Taken.REPLAYED):
        fresh = Deliveries(linked, lambda project, nudge: heard.append(project))
        assert (await fresh.take(delivery())).taken is taken
    assert heard == ["shop"]


@pytest.mark.asyncio
async def test_a_renamed_repository_keeps_its_id_and_another_of_its_name_is_a_stranger(deliveries, heard):
    assert (await deliveries.take(delivery("1", name="new-owner/new-name"))).taken is Taken.NUDGED
    assert (await deliveries.take(delivery("2", repository=9, name="o/shop"))).taken is (
        Taken.UNKNOWN_REPOSITORY
    )
    assert [project for project, _ in heard] == ["shop"]


@pytest.mark.asyncio
async def test_a_link_that_github_has_not_answered_for_is_found_by_its_name(deliveries, heard):
    assert (await deliveries.take(delivery(repository=BANK, name="o/bank"))).projects == ("bank",)
    assert [project for project, _ in heard] == ["bank"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("event", "repository", "taken"),
    [
        ("star", SHOP, Taken.UNKNOWN_EVENT),
        ("no_such_event", SHOP, Taken.UNKNOWN_EVENT),
        ("issues", 99, Taken.UNKNOWN_REPOSITORY),
        ("issues", None, Taken.UNKNOWN_REPOSITORY),
        ("ping", 99, Taken.PONG),
    ],
)
async def test_what_is_unknown_is_only_written_down(deliveries, heard, event, repository, taken):
    said = delivery(event=event, repository=repository, name="x/y")
    assert (await deliveries.take(said)).taken is taken
    assert (await deliveries.take(said)).taken is Taken.REPLAYED
    assert heard == []


@pytest.mark.asyncio
async def test_a_ping_of_a_linked_repository_has_it_read(deliveries, heard):
    assert (await deliveries.take(delivery(event="ping"))).taken is Taken.PONG
    assert heard == [("shop", EVERYTHING)]


@pytest.mark.asyncio
async def test_an_apps_repositories_are_each_nudged_and_all_where_none_is_named(deliveries, heard):
    named = {"repositories_removed": [{"id": SHOP, "full_name": "o/shop"}, {"id": 77, "full_name": "x/y"}]}
    await deliveries.take(Delivery(id="1", event="installation_repositories", payload=named))
    assert heard == [("shop", EVERYTHING)]
    heard.clear()
    await deliveries.take(Delivery(id="2", event="installation", payload={"action": "suspend"}))
    assert sorted(heard, key=lambda each: each[0]) == [("bank", EVERYTHING), ("shop", EVERYTHING)]


@pytest.mark.asyncio
async def test_a_projects_own_secret_is_good_for_its_own_repository_alone(deliveries, heard):
    other = await deliveries.take(delivery("1", signers=frozenset({"bank"})))
    assert other.taken is Taken.UNKNOWN_REPOSITORY
    assert heard == []
    own = await deliveries.take(delivery("2", signers=frozenset({"shop"})))
    assert own.taken is Taken.NUDGED


@pytest.mark.asyncio
async def test_old_ones_are_forgotten_by_the_way(deliveries, linked, clock):
    await deliveries.take(delivery("old"))
    clock.advance((KEEP + timedelta(hours=2)).total_seconds())
    await deliveries.take(delivery("new"))
    known = await linked.read(
        lambda conn: [row[0] for row in conn.execute("SELECT id FROM github_deliveries")]
    )
    assert known == ["new"]


@pytest.mark.asyncio
async def test_a_delivery_that_could_not_be_kept_nudges_nobody_and_may_come_again(linked, heard, monkeypatch):
    deliveries = Deliveries(linked, lambda project, nudge: heard.append(project))

    def full(tx, before):
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(github_heard, "forget_deliveries", full)
        with pytest.raises(OSError, match="disk full"):
            await deliveries.take(delivery())
    assert heard == []
    assert (await deliveries.take(delivery())).taken is Taken.NUDGED
