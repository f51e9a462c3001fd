from __future__ import annotations

import pytest

from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotAllowed, NotFound
from core.security.access import Action, Scope, may
from core.security.tokens import BadToken


async def test_a_token_does_what_its_scopes_and_its_user_may(house) -> None:
    ann = await house.user("ann", AccessLevel.CONTRIBUTOR)
    by = house.on_the_web(ann, proved=False)
    text, kept = await house.tokens.make("ann", "ci", [Scope.READ, Scope.WORK], by=by)
    assert text.startswith("orct_")
    asker = await house.tokens.asker(text)
    assert asker.name == "token:ann/ci"
    assert may(Action.RUN_STORY, asker, "shop").allowed
    assert not may(Action.ANSWER_APPROVAL, asker, "shop").allowed  # its scope
    assert not may(Action.RUN_PROJECT, asker, "shop").allowed  # its user's level
    await house.users.set_level("ann", AccessLevel.VIEWER)
    assert not may(Action.RUN_STORY, await house.tokens.asker(text), "shop").allowed
    assert [one.id for one in await house.tokens.of("ann", by)] == [kept.id]


async def test_a_token_may_be_for_some_projects_only(house) -> None:
    await house.user("ann", AccessLevel.OWNER)
    text, _ = await house.tokens.make("ann", "ci", list(Scope), only=["Shop"])
    asker = await house.tokens.asker(text)
    assert may(Action.RUN_PROJECT, asker, "shop").allowed
    assert not may(Action.SEE_PROJECT, asker, "bank").allowed
    with pytest.raises(NotFound, match="no project"):
        await house.tokens.make("ann", "cd", [Scope.READ], only=["shpo"])


async def test_no_token_makes_tokens_or_touches_people(house) -> None:
    await house.user("ann", AccessLevel.OWNER)
    text, _ = await house.tokens.make("ann", "ci", list(Scope))
    asker = await house.tokens.asker(text)
    with pytest.raises(NotAllowed):
        await house.tokens.make("ann", "more", [Scope.READ], by=asker)
    with pytest.raises(NotAllowed):
        await house.linking.make_code("ann", asker)
    with pytest.raises(NotAllowed):
        await house.logins.end_all("ann", asker)


async def test_bad_tokens_are_refused_in_the_same_words(house) -> None:
    await house.user("ann")
    over, _ = await house.tokens.make("ann", "short", [Scope.READ], days=1)
    gone, kept = await house.tokens.make("ann", "gone", [Scope.READ])
    await house.tokens.asker(over)
    await house.tokens.revoke(kept.id)
    house.clock.advance(24 * 3600)
    words = set()
    for token in (over, gone, "orct_x", "", "\ud800", "x" * 100_000):
        with pytest.raises(BadToken) as caught:
            await house.tokens.asker(token)
        words.add(str(caught.value))
    assert len(words) == 1
    with pytest.raises(NotFound, match="revoked before"):
        await house.tokens.revoke(kept.id)


async def test_tokens_are_ones_own_but_for_operators(house) -> None:
    ann, bob = await house.user("ann"), await house.user("bob")
    _, kept = await house.tokens.make("ann", "ci", [Scope.READ], by=house.on_the_web(ann))
    for change in (
        house.tokens.revoke(kept.id, house.on_the_web(bob)),
        house.tokens.of("ann", house.on_the_web(bob)),
        house.tokens.make("ann", "x", [Scope.READ], by=house.on_the_web(bob)),
    ):
        with pytest.raises(NotAllowed):
            await change
    with pytest.raises(NotFound):
        await house.tokens.revoke("token_0")
    await house.tokens.revoke(kept.id, house.on_the_web(ann))
    assert await house.tokens.of("ann") == ()


async def test_names_are_taken_until_revoked_and_its_use_is_seen(house) -> None:
    await house.user("ann")
    text, kept = await house.tokens.make("ann", "ci", [Scope.READ])
    with pytest.raises(InvalidInput, match="named 'ci' already"):
        await house.tokens.make("ann", "ci", [Scope.READ])
    await house.tokens.asker(text)
    assert (await house.tokens.of("ann"))[0].used_at == house.clock.now()
    await house.tokens.revoke(kept.id)
    await house.tokens.make("ann", "ci", [Scope.READ])


async def test_what_cannot_be_a_token(house) -> None:
    await house.user("ann")
    for name, scopes, days in (
        ("", ["read"], 1),
        ("x" * 61, ["read"], 1),
        ("\x1b\x00", ["read"], 1),
        ("ci", [], 1),
        ("ci", ["root"], 1),
        ("ci", ["read"], 0),
        ("ci", ["read"], 367),
    ):
        with pytest.raises(InvalidInput):
            await house.tokens.make("ann", name, scopes, days=days)
    for odd in ("\ud800", "", "x" * 100_000):
        with pytest.raises(NotFound):
            await house.tokens.revoke(odd)
