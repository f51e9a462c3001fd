from __future__ import annotations

import pytest

from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotAllowed, NotFound
from core.security.access import Action, Face, may
from core.security.linking import Linking
from core.security.rate_limit import TooManyTries
from core.security.witness import DeedKind
from core.store import users

DISCORD = "123456789012345678"


async def test_a_code_from_the_web_typed_in_discord_makes_them_one(house) -> None:
    ann = await house.user("ann", AccessLevel.OWNER)
    assert (await house.linking.asker(DISCORD)).levels.everywhere is None
    code = await house.linking.make_code("ann", house.on_the_web(ann, proved=False))
    assert (await house.linking.redeem(f"discord:{DISCORD}", code.lower())).id == ann.id
    asker = await house.linking.asker(DISCORD)
    assert (asker.name, asker.face, asker.levels.everywhere) == ("user:ann", Face.CHAT, AccessLevel.OWNER)
    assert may(Action.RUN_PROJECT, asker, "shop").allowed
    assert not may(Action.SET_LEVEL, asker).allowed
    assert await house.store.read(lambda conn: users.people_of(conn, ann.id)) == (DISCORD,)


async def test_a_code_is_good_once_also_for_many_at_once(house, outcomes) -> None:
    await house.user("ann")
    code = await house.linking.make_code("ann")
    done, errors = await outcomes(*(house.linking.redeem(str(n), code) for n in range(1, 6)))
    assert (done, len(errors)) == (1, 4)


async def test_a_code_lasts_ten_minutes_and_a_new_one_voids_it(house) -> None:
    await house.user("ann")
    first = await house.linking.make_code("ann")
    second = await house.linking.make_code("ann")
    with pytest.raises(NotAllowed, match="not good"):
        await house.linking.redeem(DISCORD, first)
    house.clock.advance(600)
    with pytest.raises(NotAllowed, match="not good"):
        await house.linking.redeem(DISCORD, second)
    third = await house.linking.make_code("ann")
    house.clock.advance(599)
    await house.linking.redeem(DISCORD, third)


async def test_guessing_is_held_up_for_that_person_alone(house) -> None:
    await house.user("ann")
    code = await house.linking.make_code("ann")
    for n in range(5):
        with pytest.raises(NotAllowed, match="not good"):
            await house.linking.redeem(DISCORD, f"0000-0000-000{n}")
    with pytest.raises(TooManyTries):
        await house.linking.redeem(DISCORD, code)
    await house.linking.redeem("99", code)
    kinds = [deed.kind for deed in house.deeds]
    assert (kinds.count(DeedKind.LINK_REFUSED), kinds.count(DeedKind.ACCOUNT_LINKED)) == (5, 1)


async def test_codes_are_made_by_oneself_or_an_operator_not_in_chat(house) -> None:
    ann, bob = await house.user("ann"), await house.user("bob")
    await house.linking.redeem(DISCORD, await house.linking.make_code("ann"))
    for by in (house.on_the_web(bob), await house.linking.asker(DISCORD)):
        with pytest.raises(NotAllowed):
            await house.linking.make_code("ann", by)
    with pytest.raises(NotAllowed):
        await house.linking.unlink(DISCORD, house.on_the_web(bob))
    await house.linking.unlink(DISCORD, house.on_the_web(ann))
    with pytest.raises(NotFound):
        await house.linking.unlink(DISCORD)


async def test_a_disabled_user_is_nobody_in_chat_whatever_their_roles(house) -> None:
    await house.user("ann")
    code = await house.linking.make_code("ann")
    await house.linking.redeem(DISCORD, code)
    kept = await house.linking.make_code("ann")
    await house.users.disable("ann")
    assert (await house.linking.asker(DISCORD, ["leads"])).levels.everywhere is None
    with pytest.raises(NotAllowed, match="not good"):
        await house.linking.redeem("99", kept)
    with pytest.raises(NotAllowed, match="disabled"):
        await house.linking.make_code("ann")


async def test_roles_give_their_level_to_whoever_is_not_linked_and_add_to_whoever_is(house) -> None:
    for roles, level in (
        (["777"], AccessLevel.CONTRIBUTOR),
        (["777", "leads"], AccessLevel.ADMIN),
        (["x"], None),
    ):
        assert (await house.linking.asker(DISCORD, roles)).levels.everywhere is level
    await house.user("ann", AccessLevel.MAINTAINER)
    await house.users.grant_project_access("ann", "shop", AccessLevel.ADMIN)
    await house.linking.redeem(DISCORD, await house.linking.make_code("ann"))
    levels = (await house.linking.asker(DISCORD, ["777"])).levels
    assert (levels.everywhere, levels.within("shop")) == (AccessLevel.MAINTAINER, AccessLevel.ADMIN)


async def test_no_role_makes_owners(house) -> None:
    with pytest.raises(InvalidInput, match="cannot make people owners"):
        Linking(house.store, {"boss": AccessLevel.OWNER})


async def test_what_is_no_account(house) -> None:
    for person in ["", "ann", "discord:", "1" * 21, "-1", "１２", "1\n2"]:
        with pytest.raises(InvalidInput, match="no account"):
            await house.linking.redeem(person, "0000-0000-0000")
