from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.access import AccessLevel
from core.errors import NotAllowed, NotFound, OrchardError
from core.security.access import Action, Face, may
from core.security.logins import Missing, NotLoggedIn
from core.security.passwords import Cost
from core.security.rate_limit import TooManyTries
from core.security.witness import DeedKind

WRONG = "plum under tall ladder"


async def said(work) -> tuple[str, ...]:
    try:
        await work
    except OrchardError as error:
        return (type(error).__name__, error.message, error.why, error.hint)
    return ()


async def test_a_login_has_the_rights_of_its_user(house) -> None:
    ann = await house.user("ann", AccessLevel.CONTRIBUTOR)
    for name in ("ann", "Ann@Example.Org "):
        opened = await house.logins.log_in(name, house.password, "10.0.0.1")
        session = await house.logins.who(opened.token)
        assert (session.user.id, session.missing, session.asker.face) == (ann.id, Missing.NOTHING, Face.WEB)
        assert may(Action.RUN_STORY, session.asker, "shop").allowed
        assert not may(Action.RUN_PROJECT, session.asker, "shop").allowed
    await house.users.set_level("ann", AccessLevel.MAINTAINER)
    assert may(Action.RUN_PROJECT, (await house.logins.who(opened.token)).asker, "shop").allowed


async def test_wrong_names_passwords_and_disabled_users_are_one_and_the_same(house) -> None:
    await house.user("ann")
    await house.user("bob")
    await house.users.disable("bob")
    tries = [
        ("ann", WRONG),
        ("zoe", WRONG),
        ("bob", house.password),
        ("ann\0", WRONG),
        ("", ""),
        ("\ud800", "x"),
    ]
    words = {await said(house.logins.log_in(name, password, "10.0.0.1")) for name, password in tries}
    assert words == {("NotAllowed", "The name or the password is wrong.", "", "Try again.")}
    # Each costs one check of a hash, also where there is nobody whose hash it could be.
    assert house.passwords.checked == [True, False, True, False, False, False]
    refused = [deed.subject for deed in house.deeds if deed.kind is DeedKind.LOGIN_REFUSED]
    assert refused == ["user:ann", "user:?", "user:bob", "user:?", "user:?", "user:?"]


@pytest.mark.parametrize("name", ["ann", "nobody-has-this-name"])
async def test_many_tries_close_the_door_for_a_while_and_it_opens_again(house, name: str) -> None:
    await house.user("ann")
    for _ in range(5):
        assert (await said(house.logins.log_in(name, WRONG, "10.0.0.1")))[0] == "NotAllowed"
    with pytest.raises(TooManyTries, match="again in 30 seconds"):
        await house.logins.log_in(name, house.password, "10.0.0.1")
    assert len(house.passwords.checked) == 5
    # Recorded once as the door closes, not at each knock.
    assert [deed.kind for deed in house.deeds].count(DeedKind.LOCKED_OUT) == 1
    house.clock.advance(31)
    assert (await said(house.logins.log_in(name, WRONG, "10.0.0.1")))[0] == "NotAllowed"
    with pytest.raises(TooManyTries, match="again in 60 seconds"):
        await house.logins.log_in(name, house.password, "10.0.0.1")


async def test_the_right_password_forgets_what_was_wrong_and_another_place_is_not_locked_out(house) -> None:
    await house.user("ann")
    for _ in range(5):
        await said(house.logins.log_in("ann", WRONG, "10.0.0.1"))
    await house.logins.log_in("ann", house.password, "10.0.0.2")
    house.clock.advance(61)
    await house.logins.log_in("ann", house.password, "10.0.0.1")
    for _ in range(4):
        await said(house.logins.log_in("ann", WRONG, "10.0.0.1"))
    await house.logins.log_in("ann", house.password, "10.0.0.1")


async def test_a_name_tried_from_everywhere_and_a_place_that_tries_every_name_are_held_up_too(house) -> None:
    await house.user("ann")
    for n in range(20):
        await said(house.logins.log_in("ann", WRONG, f"10.0.0.{n}"))
    assert (await said(house.logins.log_in("ann", house.password, "10.0.0.99")))[0] == "TooManyTries"
    for n in range(40):
        await said(house.logins.log_in(f"name{n}", WRONG, "10.9.9.9"))
    assert (await said(house.logins.log_in("name99", WRONG, "10.9.9.9")))[0] == "TooManyTries"


async def test_tries_at_once_are_no_more_than_one_after_the_other(house, outcomes) -> None:
    await house.user("ann")
    done, errors = await outcomes(*(house.logins.log_in("ann", WRONG, "10.0.0.1") for _ in range(30)))
    assert done == 0
    assert sum(isinstance(error, TooManyTries) for error in errors) == 25
    assert len(house.passwords.checked) == 5


async def test_no_token_code_or_secret_is_kept_as_it_is(house, path: Path) -> None:
    ann = await house.user("ann")
    totp, recovery = await house.enrolled(ann)
    token = (await house.logins.log_in("ann", house.password, "10.0.0.1")).token
    link = await house.linking.make_code("ann")
    api, _ = await house.tokens.make("ann", "ci", ["read"])
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for secret in (token, totp.secret, link, link.replace("-", ""), api, *recovery):
        assert secret.encode() not in kept
        assert secret not in repr(house.deeds)
    assert token not in repr(await house.logins.log_in("ann", house.password, "10.0.0.1"))


async def test_a_password_kept_at_an_older_cost_is_kept_anew_at_the_next_login(house) -> None:
    before = await house.user("ann")
    house.passwords.__init__(Cost(memory_kib=16, passes=2, lanes=1))
    await house.logins.log_in("ann", house.password, "x")
    after = await house.users.get("ann")
    assert "m=8,t=1" in before.password_hash
    assert "m=16,t=2" in after.password_hash
    await house.logins.log_in("ann", house.password, "x")
    assert (await house.users.get("ann")).password_hash == after.password_hash


async def test_a_session_that_nobody_uses_ends_and_one_in_use_lasts_to_its_longest(house) -> None:
    house.rules = replace(house.rules, longest=timedelta(hours=10))
    await house.user("ann")
    idle = (await house.logins.log_in("ann", house.password, "x")).token
    busy = (await house.logins.log_in("ann", house.password, "x")).token
    for _ in range(19):
        house.clock.advance(30 * 60)
        await house.logins.who(busy)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(idle)
    house.clock.advance(30 * 60)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(busy)
    assert [deed.data["why"] for deed in house.deeds if deed.kind is DeedKind.LOGIN_ENDED] == [
        "its time was over"
    ] * 2


async def test_reading_pages_writes_no_row_each_time(house) -> None:
    await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    before = (await house.logins.who(token)).login.seen_at
    house.clock.advance(59)
    assert (await house.logins.who(token)).login.seen_at == before
    house.clock.advance(1)
    await house.logins.who(token)
    assert (await house.logins.who(token)).login.seen_at == house.clock.now()


async def test_the_token_before_is_good_for_a_moment_and_then_a_sign_of_theft(house) -> None:
    await house.user("ann")
    old = (await house.logins.log_in("ann", house.password, "x")).token
    new = await house.logins.rotate(old)
    house.clock.advance(5)
    assert (await house.logins.who(old)).login == (await house.logins.who(new)).login
    assert await house.logins.rotate(old) == old  # nothing new for it
    house.clock.advance(6)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(old)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(new)
    assert DeedKind.STOLEN_TOKEN_SHOWN in [deed.kind for deed in house.deeds]


async def test_of_many_rotations_at_once_one_wins_and_nobody_is_thrown_out(house) -> None:
    await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    tokens = await asyncio.gather(*(house.logins.rotate(token) for _ in range(10)))
    (fresh,) = {each for each in tokens if each != token}
    assert tokens.count(fresh) == 1
    assert (await house.logins.who(fresh)).login == (await house.logins.who(token)).login
    house.clock.advance(3600)
    assert not (await house.logins.of("ann"))


async def test_rotation_is_due_after_an_hour(house) -> None:
    house.rules = replace(house.rules, idle=timedelta(hours=8))
    await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    assert not (await house.logins.who(token)).rotation_due
    house.clock.advance(3600)
    assert (await house.logins.who(token)).rotation_due
    assert not (await house.logins.who(await house.logins.rotate(token))).rotation_due


async def test_sessions_are_revoked_one_or_all(house) -> None:
    ann, bob = await house.user("ann"), await house.user("bob")
    tokens = [(await house.logins.log_in("ann", house.password, f"place {n}")).token for n in range(4)]
    own = await house.logins.who(tokens[0])
    listed = await house.logins.of("ann", own.asker)
    assert sorted(one.client for one in listed) == [f"place {n}" for n in range(4)]
    second = (await house.logins.who(tokens[1])).login.id
    with pytest.raises(NotAllowed):
        await house.logins.end("ann", second, house.on_the_web(bob))
    with pytest.raises(NotFound):
        await house.logins.end("bob", second)
    await house.logins.end("ann", second, own.asker)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(tokens[1])
    assert await house.logins.end_all("ann", own.asker, but=own.login.id) == 2
    assert (await house.logins.who(tokens[0])).user == ann
    await house.logins.log_out(tokens[0])
    await house.logins.log_out(tokens[0])
    with pytest.raises(NotLoggedIn):
        await house.logins.who(tokens[0])


async def test_a_disabled_user_is_out_at_once(house) -> None:
    await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    api, _ = await house.tokens.make("ann", "ci", ["read"])
    await house.users.disable("ann")
    with pytest.raises(NotLoggedIn):
        await house.logins.who(token)
    with pytest.raises(NotAllowed):
        await house.tokens.asker(api)
    await house.users.enable("ann")
    with pytest.raises(NotLoggedIn):
        await house.logins.who(token)
    await house.logins.log_in("ann", house.password, "x")


async def test_a_new_password_ends_the_other_sessions_and_needs_the_old_one(house) -> None:
    await house.user("ann")
    here = (await house.logins.log_in("ann", house.password, "x")).token
    there = (await house.logins.log_in("ann", house.password, "y")).token
    with pytest.raises(NotAllowed, match="present password"):
        await house.logins.change_password(here, WRONG, WRONG)
    here = await house.logins.change_password(here, house.password, WRONG)
    assert (await house.logins.who(here)).user.username == "ann"
    with pytest.raises(NotLoggedIn):
        await house.logins.who(there)
    with pytest.raises(NotAllowed):
        await house.logins.log_in("ann", house.password, "x")
    await house.logins.log_in("ann", WRONG, "x")
    await house.users.reset_password("ann", house.password)
    with pytest.raises(NotLoggedIn):
        await house.logins.who(here)


async def test_who_holds_a_session_cannot_guess_the_password_in_it(house) -> None:
    await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    for _ in range(5):
        await said(house.logins.change_password(token, WRONG, WRONG))
    with pytest.raises(TooManyTries):
        await house.logins.change_password(token, house.password, WRONG)


async def test_a_password_changed_during_a_login_keeps_that_login_out(house) -> None:
    await house.user("ann")
    checking, go_on = asyncio.Event(), asyncio.Event()
    real = house.passwords.check

    async def slow(kept: str | None, password: str):
        checking.set()
        await go_on.wait()
        return await real(kept, password)

    house.passwords.check = slow
    login = asyncio.create_task(house.logins.log_in("ann", house.password, "x"))
    await checking.wait()
    await house.users.reset_password("ann", WRONG)
    go_on.set()
    with pytest.raises(NotAllowed):
        await login


async def test_what_is_no_token_is_nobodys(house) -> None:
    await house.user("ann")
    await house.logins.log_in("ann", house.password, "x")
    for token in ["", "orcs_", "orcs_" + "A" * 43, "x" * 100_000, "\ud800", "' OR 1=1 --", "\0"]:
        with pytest.raises(NotLoggedIn):
            await house.logins.who(token)
        await house.logins.log_out(token)
        assert len(await house.logins.of("ann")) == 1


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["use", "use old", "rotate", "log out", "end all"]),
        st.integers(min_value=1, max_value=70 * 60),
    ),
    max_size=15,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_a_session_is_open_exactly_as_long_as_it_should_be(house, steps: list[str | int]) -> None:
    """Against a model: idle time, longest time, the token before, and every way to end it."""
    if not await house.users.every():
        await house.user("ann")
    token = (await house.logins.log_in("ann", house.password, "x")).token
    old, made = "", house.clock.now()
    seen = rotated = made
    is_open = True
    for step in steps:
        now = house.clock.now()
        lives = is_open and now - seen < house.rules.idle and now - made < house.rules.longest
        if isinstance(step, int):
            house.clock.advance(step)
        elif step == "log out":
            await house.logins.log_out(token)
            is_open = False
        elif step == "end all":
            await house.logins.end_all("ann")
            is_open = False
        elif step == "use old":
            if old:
                fresh = now - rotated <= timedelta(seconds=10)
                works = not await said(house.logins.who(old))
                assert works is (lives and fresh)
                is_open = lives and fresh
                seen = now if works and now - seen >= timedelta(minutes=1) else seen
        elif step == "use":
            works = not await said(house.logins.who(token))
            assert works is lives
            is_open = lives
            seen = now if works and now - seen >= timedelta(minutes=1) else seen
        elif lives:
            old, token = token, await house.logins.rotate(token)
            seen = rotated = now
        else:
            assert await said(house.logins.rotate(token))
            is_open = False
