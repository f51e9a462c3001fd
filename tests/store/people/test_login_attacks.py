"""What somebody does who wants in, or wants others out."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from core.bus import Bus
from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotAllowed, NotFound, OrchardError
from core.security.access import Action, Scope, may
from core.security.logins import Missing, NotLoggedIn
from core.security.passwords import Crowded
from core.security.rate_limit import TooManyTries
from core.security.witness import DeedKind
from core.store.database import Store

WRONG = "plum under tall ladder"


async def words(work) -> tuple[str, ...]:
    try:
        await work
    except OrchardError as error:
        return (type(error).__name__, error.message.replace("nobody-here", "ann"), error.why, error.hint)
    return ()


async def guess(house, name: str, client: str, times: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(times):
        found[(await words(house.logins.log_in(name, WRONG, client)))[0]] += 1
    return found


# -- shutting others out -----------------------------------------------------------------------


async def test_strangers_lock_nobody_out_of_where_they_have_been(house) -> None:
    await house.user("ann")
    await house.logins.log_in("ann", house.password, "10.0.0.1")
    for number in range(40):
        await guess(house, "ann", f"192.0.2.{number}", 1)
    with pytest.raises(TooManyTries):
        await house.logins.log_in("ann", house.password, "10.0.0.2")
    assert (await house.logins.log_in("ann", house.password, "10.0.0.1")).token
    with pytest.raises(TooManyTries):  # which opens nothing for the strangers
        await house.logins.log_in("ann", WRONG, "192.0.2.99")
    house.clock.advance(15 * 60)
    assert (await house.logins.log_in("ann", house.password, "10.0.0.2")).token


async def test_a_place_that_is_known_is_no_place_to_guess_from(house) -> None:
    await house.user("ann")
    await house.logins.log_in("ann", house.password, "10.0.0.1")
    assert (await guess(house, "ann", "10.0.0.1", 10))["TooManyTries"] == 5


async def test_an_owner_at_the_machine_is_never_locked_out(house) -> None:
    await house.user("ann", AccessLevel.OWNER)
    for number in range(30):
        await guess(house, "ann", f"192.0.2.{number}", 6)
    await house.users.reset_password("ann", "another pear and ladder")
    assert (await house.users.set_level("ann", AccessLevel.OWNER)).level is AccessLevel.OWNER
    house.clock.advance(15 * 60)  # the longest that it takes on the web
    assert (await house.logins.log_in("ann", "another pear and ladder", "192.0.2.1")).token


async def test_a_crowd_costs_nobody_a_try(house, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.user("ann")
    monkeypatch.setattr("core.security.passwords._MOST_WAITING", 0)
    for _ in range(10):
        with pytest.raises(Crowded):
            await house.logins.log_in("ann", house.password, "10.0.0.1")
    monkeypatch.undo()
    assert (await house.logins.log_in("ann", house.password, "10.0.0.1")).token


# -- guessing ----------------------------------------------------------------------------------


async def test_one_network_is_one_place_however_many_addresses_it_has(house) -> None:
    found: Counter[str] = Counter()
    for number in range(60):  # as many names, each from an address of its own
        found += await guess(house, f"user{number}", f"2001:db8:1:2:{number:x}::1", 1)
    assert found == {"NotAllowed": 40, "TooManyTries": 20}
    assert (await guess(house, "zoe", "2001:db8:1:3::1", 1)) == {"NotAllowed": 1}
    assert (await guess(house, "zoe", "::ffff:10.0.0.1", 5)) == {"NotAllowed": 5}
    assert (await guess(house, "zoe", "10.0.0.1", 1)) == {"TooManyTries": 1}


async def test_names_that_are_there_and_names_that_are_not_are_one_at_every_try(house) -> None:
    await house.user("ann")
    heard = []
    for name in ("ann", "nobody-here"):
        said = [await words(house.logins.log_in(name, WRONG, f"10.0.0.{n % 3}")) for n in range(30)]
        heard.append(said)
    assert heard[0] == heard[1]
    assert house.passwords.checked.count(True) == house.passwords.checked.count(False)


async def test_codes_over_many_accounts_are_counted_for_each(house) -> None:
    for name in ("ann", "bob"):
        user = await house.user(name)
        await house.enrolled(user)
        token = (await house.logins.log_in(name, house.password, "x")).token
        said = Counter([(await words(house.logins.prove(token, "000000")))[0] for _ in range(8)])
        assert said == {"NotAllowed": 5, "TooManyTries": 3}


# -- who is there ------------------------------------------------------------------------------


async def test_who_has_no_right_over_people_does_not_learn_who_is_there(house) -> None:
    await house.user("ann", AccessLevel.ADMIN)
    eve = house.on_the_web(await house.user("eve", AccessLevel.CONTRIBUTOR))
    tries = {
        "set level": lambda name: house.users.set_level(name, AccessLevel.VIEWER, by=eve),
        "disable": lambda name: house.users.disable(name, by=eve),
        "enable": lambda name: house.users.enable(name, by=eve),
        "reset": lambda name: house.users.reset_password(name, house.password, by=eve),
        "get": lambda name: house.users.get(name, by=eve),
        "grant": lambda name: house.users.grant_project_access(name, "shop", AccessLevel.VIEWER, by=eve),
        "sessions": lambda name: house.logins.of(name, by=eve),
        "end": lambda name: house.logins.end(name, "x", by=eve),
        "end all": lambda name: house.logins.end_all(name, by=eve),
        "second factor": lambda name: house.second_factor.reset(name, by=eve),
        "token": lambda name: house.tokens.make(name, "t", [Scope.READ], by=eve),
        "tokens": lambda name: house.tokens.of(name, by=eve),
        "link": lambda name: house.linking.make_code(name, by=eve),
    }
    for what, work in tries.items():
        there, absent = await words(work("ann")), await words(work("nobody-here"))
        assert there == absent, what
        assert there[0] == "NotAllowed", what
    with pytest.raises(NotFound):
        await house.logins.of("nobody-here")


async def test_who_is_in_one_project_does_not_learn_which_others_there_are(house) -> None:
    await house.user("ann")
    await house.user("eve", None)
    eve = house.on_the_web(await house.users.grant_project_access("eve", "shop", AccessLevel.MAINTAINER))
    for work in (
        lambda project: house.users.grant_project_access("ann", project, AccessLevel.VIEWER, by=eve),
        lambda project: house.tokens.make("eve", "t", [Scope.READ], only=[project], by=eve),
    ):
        said = [await words(work(project)) for project in ("bank", "none")]
        assert [tuple(part.replace("bank", "none") for part in each) for each in said] == [said[1]] * 2
        assert said[1][0] == "NotFound"
        assert "bank" not in " ".join(said[1])
        assert not await words(work("shop"))


@pytest.mark.parametrize(
    "name",
    [
        "\u0430nn",  # Cyrillic
        "ann\u200b",
        "ann\u202e",
        "ann\0",
        "ann\x1b[2K",
        "\uff41nn",  # full width
        "a\u0301nn",
        "\ufb01nn",
        "ann/../bob",
        "\ud800nn",
        "a" * 100_000,
    ],
)
async def test_a_name_that_looks_like_another_is_none(house, name: str) -> None:
    await house.user("ann")
    with pytest.raises(InvalidInput):
        await house.users.create_user(name, "other@example.org", house.password)
    with pytest.raises(InvalidInput):
        await house.users.create_user("bob", f"{name}@example.org", house.password)
    with pytest.raises(InvalidInput):
        await house.users.create_user("bob", f"bob@{name}.org", house.password)
    with pytest.raises(NotAllowed):
        await house.logins.log_in(name, house.password, name)
    assert len(await house.users.every()) == 1


async def test_where_somebody_is_and_how_a_token_is_called_takes_one_line(house) -> None:
    await house.user("ann")
    opened = await house.logins.log_in("ann", house.password, "x\n2026 forged\x1b[2J" + "y" * 100_000)
    _, token = await house.tokens.make("ann", "ci\nforged\tline", [Scope.READ])
    client = (await house.logins.who(opened.token)).login.client
    assert client.startswith("x 2026 forged[2Jyyy")
    assert len(client) == 120
    assert token.name == "ci forged line"


# -- sessions ----------------------------------------------------------------------------------


async def test_a_token_that_was_replaced_twice_still_gives_the_thief_away(house) -> None:
    """The thief has the victim's token, and replaces it as often as they like before the victim is back."""
    await house.user("ann")
    stolen = (await house.logins.log_in("ann", house.password, "x")).token
    present = stolen
    for _ in range(3):
        present = await house.logins.rotate(present)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(stolen)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(present)
    assert house.deeds[-1].kind is DeedKind.STOLEN_TOKEN_SHOWN
    house.clock.advance(40 * 86400)
    await house.logins.log_in("ann", house.password, "x")  # which forgets the old ones
    assert await house.store.read(
        lambda conn: [
            conn.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("logins", "former_tokens")
        ]
    ) == [1, 0]


async def test_a_browser_with_many_requests_at_once_stays_in_whoever_rotates(house) -> None:
    house.rules = replace(house.rules, idle=timedelta(hours=8))
    await house.user("ann")
    cookie = (await house.logins.log_in("ann", house.password, "x")).token
    for _ in range(3):
        house.clock.advance(3600)

        async def page(shown: str = cookie) -> str:
            session = await house.logins.who(shown)
            return await house.logins.rotate(shown) if session.rotation_due else shown

        (cookie,) = set(await asyncio.gather(*(page() for _ in range(8)))) - {cookie}
    assert (await house.logins.who(cookie)).missing is Missing.NOTHING


@pytest.mark.parametrize("seconds", [-400 * 86400, -3601, 3600, 8 * 86400])
async def test_a_clock_that_is_set_keeps_no_session_alive(house, seconds: int) -> None:
    await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    house.clock.advance(seconds)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(token)
    assert (await house.logins.log_in("ann", house.password, "x")).token


@pytest.mark.parametrize("seconds", [-3000, -5, 0])
async def test_a_clock_that_goes_back_a_little_throws_nobody_out(house, seconds: int) -> None:
    await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    house.clock.advance(seconds)
    assert (await house.logins.who(token)).missing is Missing.NOTHING
    fresh = await house.logins.rotate(token)
    house.clock.advance(-60)
    with pytest.raises(NotLoggedIn):  # the old token is not good for longer because of it
        await house.logins.who(token)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(fresh)


async def test_a_token_from_before_the_second_factor_is_worth_nothing_after_it(house) -> None:
    """Somebody gave the victim their own half session, or saw it: it does not become a whole one for them."""
    ann = await house.user("ann", AccessLevel.OWNER)
    totp, _ = await house.enrolled(ann)
    half = (await house.logins.log_in("ann", house.password, "x")).token
    house.clock.advance(30)
    whole = await house.logins.prove(half, house.code(totp))
    house.clock.advance(11)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(half)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(whole.token)


async def test_one_code_in_two_sessions_at_once_opens_one(house) -> None:
    ann = await house.user("ann")
    totp, codes = await house.enrolled(ann)
    house.clock.advance(30)
    for code in (house.code(totp), codes[0]):
        halves = [(await house.logins.log_in("ann", house.password, f"place {n}")).token for n in range(4)]
        proofs = await asyncio.gather(
            *(house.logins.prove(half, code) for half in halves), return_exceptions=True
        )
        assert [isinstance(one, NotAllowed) for one in proofs].count(False) == 1
    assert await house.second_factor.recovery_codes_left(ann.id) == 9


async def test_codes_of_a_first_confirmation_are_shown_or_it_did_not_happen(house) -> None:
    ann = await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    secret = (await house.second_factor.begin(ann.id)).secret
    await house.logins.rotate(token)  # in another window: this one's token is the one before

    code = house.code(pyotp.TOTP(secret))
    with pytest.raises(NotLoggedIn):
        await house.logins.confirm(token, code)
    assert await house.second_factor.recovery_codes_left(ann.id) == 0
    assert (await house.logins.who(token)).missing is Missing.NOTHING  # it does not count yet


async def test_a_wrong_present_password_is_told_and_a_link_code_ends_with_the_old_one(house) -> None:
    ann = await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    code = await house.linking.make_code("ann", by=house.on_the_web(ann))
    for _ in range(5):
        with pytest.raises(NotAllowed):
            await house.logins.change_password(token, WRONG, "another pear and ladder")
    kinds = Counter(deed.kind for deed in house.deeds)
    assert (kinds[DeedKind.LOGIN_REFUSED], kinds[DeedKind.LOCKED_OUT]) == (5, 1)
    house.clock.advance(60)
    await house.logins.change_password(token, house.password, "another pear and ladder")
    with pytest.raises(NotAllowed):
        await house.linking.redeem("123", code)


# -- rights that go ----------------------------------------------------------------------------


async def test_owners_who_lower_disable_and_unmake_each_other_at_once_leave_one(house) -> None:
    for round_number in range(4):
        ann = await house.user(f"ann{round_number}", AccessLevel.OWNER)
        bob = await house.user(f"bob{round_number}", AccessLevel.OWNER)
        for user in await house.users.every():  # those of the rounds before
            if user.level is AccessLevel.OWNER and user.id not in (ann.id, bob.id):
                await house.users.set_level(user.username, AccessLevel.VIEWER)
        await asyncio.gather(
            house.users.disable(bob.username, by=house.on_the_web(ann)),
            house.users.set_level(ann.username, None, by=house.on_the_web(bob)),
            house.users.disable(ann.username),
            house.users.set_level(bob.username, AccessLevel.ADMIN),
            return_exceptions=True,
        )
        left = [
            one for one in await house.users.every() if one.level is AccessLevel.OWNER and not one.disabled_at
        ]
        assert len(left) == 1


async def test_a_token_and_a_session_narrow_with_their_user_at_once(house) -> None:
    await house.user("ann", AccessLevel.MAINTAINER)
    text, _ = await house.tokens.make("ann", "ci", list(Scope), only=["shop"])
    session = (await house.logins.log_in("ann", house.password, "x")).token

    async def rights() -> list[tuple[bool, ...]]:
        askers = [await house.tokens.asker(text), (await house.logins.who(session)).asker]
        wanted = (Action.RUN_PROJECT, Action.EDIT_BACKLOG, Action.SEE_PROJECT)
        return [tuple(may(action, each, "shop").allowed for action in wanted) for each in askers]

    assert await rights() == [(True, True, True)] * 2
    await house.users.set_level("ann", AccessLevel.VIEWER)
    assert await rights() == [(False, False, True)] * 2
    await house.users.set_level("ann", None)
    assert await rights() == [(False, False, False)] * 2
    await house.users.grant_project_access("ann", "bank", AccessLevel.MAINTAINER)
    assert await rights() == [(False, False, False)] * 2
    assert not may(Action.SEE_PROJECT, await house.tokens.asker(text), "bank").allowed  # not of this token
    await house.users.disable("ann")
    await house.users.enable("ann")  # brings back neither
    assert (await words(house.tokens.asker(text)))[0] == "BadToken"
    assert (await words(house.logins.who(session)))[0] == "NotLoggedIn"


async def test_what_is_under_way_when_its_rights_go_is_refused_at_its_end(house) -> None:
    """The password of the reset is hashed between the question and the answer."""
    await house.user("ann", AccessLevel.OWNER)
    bob = await house.user("bob", AccessLevel.ADMIN)
    by = house.on_the_web(bob)
    await house.user("eve", AccessLevel.VIEWER)
    before = (await house.users.get("eve")).password_hash
    under_way = asyncio.create_task(house.users.reset_password("eve", "another pear and ladder", by=by))
    lowered = asyncio.create_task(house.users.set_level("bob", AccessLevel.VIEWER))
    await asyncio.wait({under_way, lowered})
    assert isinstance(under_way.exception(), NotAllowed) or (
        (await house.users.get("eve")).password_hash != before
    )
    with pytest.raises(NotAllowed):
        await house.users.reset_password("eve", "a third pear and ladder", by=by)


# -- other programs, and restarts --------------------------------------------------------------


async def test_what_another_program_withdraws_is_gone_here_at_once(house, path, clock) -> None:
    await house.user("ann")
    session = (await house.logins.log_in("ann", house.password, "x")).token
    token, _ = await house.tokens.make("ann", "ci", [Scope.READ])
    async with Store.open(path, clock=clock, bus=Bus()) as other:
        at_the_machine = replace(house, store=other)
        assert (await house.logins.who(session)).missing is Missing.NOTHING
        await at_the_machine.users.disable("ann")
        assert (await words(house.logins.who(session)))[0] == "NotLoggedIn"
        assert (await words(house.tokens.asker(token)))[0] == "BadToken"


async def test_a_restart_forgets_neither_time_nor_tries_nor_used_codes(house, path, clock) -> None:
    ann = await house.user("ann")
    totp, codes = await house.enrolled(ann)
    clock.advance(30)
    code = house.code(totp)
    token = (
        await house.logins.prove((await house.logins.log_in("ann", house.password, "x")).token, code)
    ).token
    await house.second_factor.check(ann.id, codes[0])
    await guess(house, "bob", "y", 5)
    async with Store.open(path, clock=clock, bus=Bus()) as anew:
        again = replace(house, store=anew)
        assert (await again.logins.who(token)).asker.second_factor
        for used in (code, codes[0]):
            with pytest.raises(NotAllowed):
                await again.second_factor.check(ann.id, used)
        with pytest.raises(TooManyTries):
            await again.logins.log_in("bob", house.password, "y")
        clock.advance(3600)
        with pytest.raises(NotLoggedIn):
            await again.logins.who(token)


async def test_a_token_ends_at_its_end_and_not_a_moment_later(house, clock) -> None:
    await house.user("ann")
    token, kept = await house.tokens.make("ann", "ci", [Scope.READ], days=1)
    clock.advance(86400 - 1)
    assert (await house.tokens.asker(token)).scopes == {Scope.READ}
    clock.advance(1)
    assert clock.now() == kept.expires_at
    assert (await words(house.tokens.asker(token)))[0] == "BadToken"
    assert not may(
        Action.SEE_PROJECT,
        replace(house.on_the_web(await house.users.get("ann")), scopes=frozenset()),
        "shop",
    ).allowed
