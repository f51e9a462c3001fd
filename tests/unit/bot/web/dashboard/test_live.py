"""One look for all pages of a view; only what differs is told; nothing is looked at when nobody watches."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from bot.web.dashboard.live import Live, View, rest_after
from core.bus import Bus
from core.domain.event import Event, EventKind
from core.errors import NotFound
from core.security.logins import NotLoggedIn
from tests.waiting import until

AT = datetime(2026, 5, 1, tzinfo=UTC)


def event(project: str = "shop") -> Event:
    return Event(
        seq=1, at=AT, kind=EventKind.STORY_ADDED, project=project, story_id=None, actor="cli", data={}
    )


@pytest.fixture
async def world():
    bus = Bus()
    live = Live(bus, check_seconds=0.01)
    seen = SimpleNamespace(value=0, looks=0, error=None)

    async def look() -> int:
        seen.looks += 1
        if seen.error is not None:
            raise seen.error
        return seen.value

    async def fine() -> None: ...

    view = View(name="shop", look=look, seconds=60, wakes=lambda one: one.project == "shop")
    for page in ("a", "b"):
        live.enter(page, fine, lambda error: None)
    yield SimpleNamespace(bus=bus, live=live, seen=seen, view=view)
    await live.close()


async def test_pages_of_a_view_share_a_look(world) -> None:
    told: list[tuple[str, int]] = []
    for page in ("a", "b"):
        assert (
            await world.live.watch(page, world.view, lambda value, page=page: told.append((page, value))) == 0
        )
    assert world.seen.looks == 1
    world.seen.value = 7
    await asyncio.sleep(0)  # the listener subscribes
    world.bus.publish([event()])
    await until(lambda: len(told) == 2)
    assert (sorted(told), world.seen.looks) == ([("a", 7), ("b", 7)], 2)


async def test_what_is_as_before_is_not_told(world) -> None:
    told: list[int] = []
    await world.live.watch("a", world.view, told.append)
    await asyncio.sleep(0)
    world.bus.publish([event()])
    await until(lambda: world.seen.looks == 2)
    world.seen.value = 1
    world.bus.publish([event()])
    await until(lambda: told)
    assert told == [1]


async def test_events_of_others_wake_nothing_and_a_burst_is_one_look(world) -> None:
    told: list[int] = []
    await world.live.watch("a", world.view, told.append)
    await asyncio.sleep(0)
    world.bus.publish([event("bank")] * 50)
    world.seen.value = 2
    world.live.nudge("shop")
    world.bus.publish([event()] * 500)
    await until(lambda: told)
    assert world.seen.looks <= 3


async def test_the_last_to_leave_ends_the_view(world) -> None:
    told: list[int] = []
    for page in ("a", "b"):
        await world.live.watch(page, world.view, told.append)
    world.live.leave("a")
    assert world.live.views == ("shop",)
    world.live.leave("b")
    assert world.live.views == ()
    world.seen.value = 3
    world.live.nudge("shop")
    assert await world.live.watch("c", world.view, told.append) == 3  # c never entered: it is not told either
    assert (world.live.views, told) == ((), [])


async def test_a_look_that_fails_keeps_the_picture_and_is_made_again(world) -> None:
    told: list[int] = []
    await world.live.watch("a", world.view, told.append)
    world.seen.error = NotFound("It is gone.")
    world.live.nudge("shop")
    await until(lambda: world.seen.looks == 2)
    assert told == []
    world.seen.error, world.seen.value = None, 4
    world.live.nudge("shop")
    await until(lambda: told == [4])


async def test_a_first_look_that_fails_is_the_pages_and_leaves_nothing(world) -> None:
    world.seen.error = NotFound("There is none.")
    with pytest.raises(NotFound):
        await world.live.watch("a", world.view, lambda value: None)
    assert (world.live.views, world.live._opening) == ((), {})


async def test_a_page_that_cannot_be_drawn_does_not_keep_the_others_waiting(world, caplog) -> None:
    told: list[int] = []

    def broken(value: int) -> None:
        raise RuntimeError("no paint")

    await world.live.watch("a", world.view, broken)
    await world.live.watch("b", world.view, told.append)
    world.seen.value = 5
    world.live.nudge("shop")
    await until(lambda: told == [5])
    assert "could not be drawn" in caplog.text


async def test_a_page_whose_session_is_over_is_told_nothing_more(world) -> None:
    over, ended, told = [False], [], []

    async def check() -> None:
        if over[0]:
            raise NotLoggedIn("You are not logged in any more.")

    world.live.enter("late", check, ended.append)
    await world.live.watch("late", world.view, told.append)
    over[0] = True
    await until(lambda: ended)
    world.seen.value = 6
    world.live.nudge("shop")
    await world.live.watch("a", world.view, lambda value: None)
    assert (told, len(ended)) == ([], 1)


async def test_a_page_that_leaves_while_others_are_told_is_not_told(world) -> None:
    first: list[int] = []
    late: list[int] = []
    last: list[int] = []

    def told(value: int) -> None:
        first.append(value)
        world.live.leave("b")

    await world.live.watch("a", world.view, told)
    await world.live.watch("b", world.view, late.append)
    await world.live.watch("a", world.view, last.append)
    world.seen.value = 7
    world.live.nudge("shop")
    await until(lambda: last)
    assert (first, late, last) == ([7], [], [7])


@pytest.fixture
def slow(world) -> SimpleNamespace:
    """The world, with looks that wait until they may go on: `begun` and `goes_on` are events."""
    quick, slow = world.view.look, SimpleNamespace(begun=asyncio.Event(), goes_on=asyncio.Event())

    async def look() -> int:
        found = await quick()
        slow.begun.set()
        await slow.goes_on.wait()
        return found

    slow.view = replace(world.view, look=look)
    return slow


async def test_who_comes_while_the_last_one_leaves_goes_on_being_told(world, slow) -> None:
    told: list[int] = []
    slow.goes_on.set()
    await world.live.watch("a", slow.view, lambda value: None)
    slow.begun.clear(), slow.goes_on.clear()
    world.live.nudge("shop")
    coming = asyncio.create_task(world.live.watch("b", slow.view, told.append))
    await slow.begun.wait()
    world.live.leave("a")
    slow.goes_on.set()
    await coming
    assert world.live.views == ("shop",)
    world.seen.value = 8
    world.live.nudge("shop")
    await until(lambda: told == [8])


async def test_who_gives_up_while_it_is_looked_for_them_leaves_nothing(world, slow) -> None:
    slow.goes_on.set()
    await world.live.watch("a", slow.view, lambda value: None)
    slow.begun.clear(), slow.goes_on.clear()
    world.live.nudge("shop")
    coming = asyncio.create_task(world.live.watch("b", slow.view, lambda value: None))
    await slow.begun.wait()
    world.live.leave("a")
    coming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await coming
    assert world.live.views == ()


async def test_what_happens_during_the_first_look_is_looked_at(world, slow) -> None:
    told: list[int] = []
    coming = asyncio.create_task(world.live.watch("a", slow.view, told.append))
    await slow.begun.wait()
    world.seen.value = 9
    world.bus.publish([event()])
    await until(lambda: world.live._heard)
    slow.goes_on.set()
    await coming
    await until(lambda: told == [9])


async def test_a_page_ends_once_however_many_look_at_its_rights(world) -> None:
    ended: list[NotLoggedIn] = []
    both = asyncio.Event()
    checks = 0

    async def check() -> None:
        nonlocal checks
        checks += 1
        if checks >= 2:
            both.set()
        await both.wait()
        raise NotLoggedIn("You are not logged in any more.")

    world.live.enter("late", check, ended.append)
    await asyncio.gather(world.live.look_at_rights(), world.live.look_at_rights())
    assert len(ended) == 1


def test_a_dear_look_is_seldom_and_never_so_seldom_that_a_page_is_stale() -> None:
    assert rest_after(0.0) == 0.25
    assert rest_after(0.1) == pytest.approx(1.0)
    assert rest_after(60.0) == 3.0
