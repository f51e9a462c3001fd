"""Links that log in once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotAllowed, NotFound
from core.security.access import Action, Asker, Face, Levels, may
from core.security.entry_links import ENTRY_PREFIX, EntryLinks
from core.security.logins import Missing
from core.security.witness import DeedKind

MINUTES = timedelta(minutes=10)


@pytest.fixture
def links(house) -> EntryLinks:
    return EntryLinks(house.store, house.clock, house.logins, house.witness)


async def test_a_link_logs_its_user_in_once_and_both_are_recorded(house, links) -> None:
    ann = await house.user("ann", AccessLevel.OWNER)
    house.deeds.clear()
    token = await links.make("ann", MINUTES)
    assert token.startswith(ENTRY_PREFIX)
    assert links.whose(token) == links.whose(token) == ann.id  # to look does not use it up
    opened = await links.enter(token, "127.0.0.1\nforged: line")
    session = await house.logins.who(opened.token)
    assert (opened.missing, session.user.id) == (Missing.NOTHING, ann.id)
    assert session.asker.face is Face.WEB
    assert may(Action.RUN_PROJECT, session.asker, "shop").allowed
    assert not may(Action.CREATE_USER, session.asker).allowed  # it is no second factor
    with pytest.raises(NotAllowed, match="This link is over"):
        await links.enter(token, "127.0.0.1")
    made, used = house.deeds
    assert (made.kind, made.actor, made.subject) == (DeedKind.ENTRY_MADE, "cli", "user:ann")
    assert (used.kind, used.data) == (
        DeedKind.LOGGED_IN,
        {"client": "127.0.0.1 forged: line", "by": "a one-time link"},
    )
    assert token not in repr(house.deeds)


async def test_of_many_who_use_one_link_at_once_one_comes_in(house, links) -> None:
    await house.user("ann")
    token = await links.make("ann", MINUTES)
    came = await asyncio.gather(*(links.enter(token, "x") for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(one, NotAllowed) for one in came) == 19


async def test_a_link_is_over_after_its_time(house, links) -> None:
    await house.user("ann")
    token = await links.make("ann", MINUTES)
    house.clock.advance(601)
    assert links.whose(token) is None
    with pytest.raises(NotAllowed):
        await links.enter(token, "x")


async def test_a_second_factor_is_still_asked_for(house, links) -> None:
    ann = await house.user("ann")
    await house.enrolled(ann)
    opened = await links.enter(await links.make("ann", MINUTES), "x")
    assert opened.missing is Missing.SECOND_FACTOR
    session = await house.logins.who(opened.token)
    assert not may(Action.SEE_SYSTEM, session.asker).allowed


async def test_nobody_disabled_comes_in_and_nobody_elsewhere_makes_one(house, links) -> None:
    await house.user("ann")
    token = await links.make("ann", MINUTES)
    await house.users.disable("ann")
    with pytest.raises(NotAllowed):
        await links.enter(token, "x")
    with pytest.raises(NotAllowed, match="disabled"):
        await links.make("ann", MINUTES)
    owner = Asker(name="user:o", levels=Levels(everywhere=AccessLevel.OWNER), face=Face.WEB)
    with pytest.raises(NotAllowed, match="on the machine"):
        await links.make("ann", MINUTES, owner)


async def test_a_link_of_nobody_or_for_no_time_is_not_made(house, links) -> None:
    await house.user("ann")
    with pytest.raises(NotFound):
        await links.make("zoe", MINUTES)
    for lasting in (timedelta(0), timedelta(hours=2)):
        with pytest.raises(InvalidInput):
            await links.make("ann", lasting)
