from __future__ import annotations

from dataclasses import replace

import pyotp
import pytest

from core.domain.access import AccessLevel
from core.errors import NotAllowed, NotFound, Unavailable
from core.security.access import NOBODY, Action, may
from core.security.logins import Missing, NotLoggedIn
from core.security.rate_limit import TooManyTries
from core.security.sealing import Unsealable
from core.security.second_factor import KeySeal, SecondFactor, reseal
from core.security.witness import DeedKind


async def log_in(house):
    return await house.logins.log_in("ann", house.password, "x")


async def test_a_login_may_nothing_until_the_code_is_shown(house) -> None:
    ann = await house.user("ann", AccessLevel.OWNER)
    totp, _ = await house.enrolled(ann)
    opened = await log_in(house)
    assert opened.missing is Missing.SECOND_FACTOR
    session = await house.logins.who(opened.token)
    assert session.asker.levels == NOBODY
    assert not any(may(action, session.asker, "shop").allowed for action in Action)
    with pytest.raises(NotAllowed):
        await house.logins.change_password(opened.token, house.password, "plum under tall ladder")
    house.clock.advance(30)
    proved = await house.logins.prove(opened.token, house.code(totp))
    session = await house.logins.who(proved.token)
    assert session.asker.second_factor
    assert may(Action.SET_LEVEL, session.asker).allowed
    assert proved.token != opened.token


async def test_without_a_second_factor_the_web_gives_no_operators_rights(house) -> None:
    await house.user("ann", AccessLevel.OWNER)
    session = await house.logins.who((await log_in(house)).token)
    assert may(Action.RUN_PROJECT, session.asker, "shop").allowed
    assert not may(Action.SET_LEVEL, session.asker).allowed


async def test_a_code_is_good_once_also_for_many_at_once(house, outcomes) -> None:
    ann = await house.user("ann")
    totp, _ = await house.enrolled(ann)
    used = house.code(totp)
    with pytest.raises(NotAllowed, match="not right"):
        await house.second_factor.check(ann.id, used)
    house.clock.advance(30)
    done, errors = await outcomes(*(house.second_factor.check(ann.id, house.code(totp)) for _ in range(4)))
    assert (done, len(errors)) == (1, 3)
    # Nor is one from before the last that was taken.
    with pytest.raises(NotAllowed):
        await house.second_factor.check(ann.id, used)


async def test_a_clock_may_be_a_step_off_and_no_more(house) -> None:
    ann = await house.user("ann")
    totp, _ = await house.enrolled(ann)
    house.clock.advance(300)
    for seconds, taken in ((-60, False), (60, False), (-30, True), (30, True)):
        code = totp.at(house.clock.at.timestamp() + seconds)
        if taken:
            await house.second_factor.check(ann.id, code)
        else:
            with pytest.raises(NotAllowed):
                await house.second_factor.check(ann.id, code)


async def test_what_is_no_code_is_wrong(house) -> None:
    ann = await house.user("ann")
    await house.enrolled(ann)
    for code in ("", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "x" * 100_000, "\ud800", "-00001"):
        house.clock.advance(3600)
        with pytest.raises(NotAllowed, match="not right"):
            await house.second_factor.check(ann.id, code)


async def test_guessing_is_held_up_and_the_right_code_waits_too(house) -> None:
    ann = await house.user("ann")
    totp, recovery = await house.enrolled(ann)
    token = (await log_in(house)).token
    for _ in range(5):
        with pytest.raises(NotAllowed, match="not right"):
            await house.logins.prove(token, "000000x")
    house.clock.advance(20)
    for right in (house.code(totp), recovery[0]):
        with pytest.raises(TooManyTries):
            await house.logins.prove(token, right)
    house.clock.advance(11)
    await house.logins.prove(token, recovery[0])


async def test_recovery_codes_are_good_once_each_and_for_their_user(house, outcomes) -> None:
    ann, bob = await house.user("ann"), await house.user("bob")
    _, recovery = await house.enrolled(ann)
    await house.enrolled(bob)
    assert len(set(recovery)) == 10
    with pytest.raises(NotAllowed):
        await house.second_factor.check(bob.id, recovery[0])
    done, _ = await outcomes(*(house.second_factor.check(ann.id, recovery[0].lower()) for _ in range(4)))
    assert done == 1
    assert await house.second_factor.recovery_codes_left(ann.id) == 9
    assert DeedKind.RECOVERY_CODE_USED in [deed.kind for deed in house.deeds]
    anew = await house.second_factor.renew_recovery_codes(ann.id, recovery[1])
    assert await house.second_factor.recovery_codes_left(ann.id) == 10
    with pytest.raises(NotAllowed):
        await house.second_factor.check(ann.id, recovery[2])
    await house.second_factor.check(ann.id, anew[0])


async def test_what_was_begun_is_not_asked_for_until_a_code_of_it_was_seen(house) -> None:
    ann = await house.user("ann")
    first = await house.second_factor.begin(ann.id)
    assert "secret=" + first.secret in first.address
    assert (await log_in(house)).missing is Missing.NOTHING
    second = await house.second_factor.begin(ann.id)
    assert second.secret != first.secret
    with pytest.raises(NotAllowed, match="not right"):
        await house.second_factor.confirm(ann.id, "000000")
    with pytest.raises(NotFound):
        await house.second_factor.confirm((await house.user("bob")).id, "000000")


async def test_where_it_is_required_a_login_enrols_before_anything_else(house) -> None:
    house.rules = replace(house.rules, second_factor_required=True)
    ann = await house.user("ann", AccessLevel.OWNER)
    opened = await log_in(house)
    assert opened.missing is Missing.ENROLMENT
    assert (await house.logins.who(opened.token)).asker.levels == NOBODY
    totp = pyotp.TOTP((await house.second_factor.begin(ann.id)).secret)
    confirmed = await house.logins.confirm(opened.token, house.code(totp))
    assert len(confirmed.recovery_codes) == 10
    assert may(Action.SET_LEVEL, (await house.logins.who(confirmed.token)).asker).allowed
    with pytest.raises(NotAllowed, match="already"):
        await house.second_factor.begin(ann.id)


async def test_a_factor_set_later_is_asked_of_sessions_from_before(house) -> None:
    ann = await house.user("ann")
    token = (await log_in(house)).token
    await house.enrolled(ann)
    assert (await house.logins.who(token)).missing is Missing.SECOND_FACTOR


async def test_a_proof_with_a_factor_that_was_removed_is_none_for_the_next(house) -> None:
    ann = await house.user("ann")
    _, recovery = await house.enrolled(ann)
    token = (await house.logins.prove((await log_in(house)).token, recovery[0])).token
    await house.second_factor.remove(ann.id, recovery[1])
    session = await house.logins.who(token)
    assert (session.missing, session.asker.second_factor) == (Missing.NOTHING, False)
    house.clock.advance(30)
    await house.enrolled(ann)
    assert (await house.logins.who(token)).missing is Missing.SECOND_FACTOR


async def test_who_lost_everything_is_helped_by_an_operator_and_logged_out(house) -> None:
    ann = await house.user("ann")
    _, recovery = await house.enrolled(ann)
    token = (await house.logins.prove((await log_in(house)).token, recovery[0])).token
    with pytest.raises(NotAllowed):
        await house.second_factor.remove(ann.id, "wrong")
    await house.second_factor.reset("ann")
    with pytest.raises(NotLoggedIn):
        await house.logins.who(token)
    assert (await log_in(house)).missing is Missing.NOTHING


async def test_another_key_says_what_to_do_instead_of_letting_anybody_in(house) -> None:
    ann = await house.user("ann")
    totp, _ = await house.enrolled(ann)
    house.clock.advance(30)
    other = SecondFactor(house.store, KeySeal(b"x" * 32))
    with pytest.raises(Unavailable, match="cannot be read"):
        await other.check(ann.id, house.code(totp))


async def test_the_key_may_be_changed_under_all_or_none_of_them(house) -> None:
    people = [await house.user("ann"), await house.user("bob")]
    totps = [(await house.enrolled(one))[0] for one in people]
    old, new = KeySeal(b"k" * 32), KeySeal(b"n" * 32)
    with pytest.raises(Unsealable):
        await house.store.write(lambda tx: reseal(tx, new, old))
    house.clock.advance(30)
    await house.second_factor.check(people[0].id, house.code(totps[0]))
    assert await house.store.write(lambda tx: reseal(tx, old, new)) == 2
    with pytest.raises(Unavailable):
        await house.second_factor.check(people[1].id, house.code(totps[1]))
    await SecondFactor(house.store, new).check(people[1].id, house.code(totps[1]))
