from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotAllowed, NotFound
from core.security.access import AT_THE_MACHINE, Action, Asker, Face, Levels, Scope, may
from core.security.keys import Key
from core.security.users import levels_of
from core.security.witness import Deed, DeedKind, _audit_kind, audited
from core.store import audit
from core.store.auditor import Auditor
from core.store.transaction import Transaction

V, C, M, A, O = AccessLevel  # noqa: E741


async def test_the_sample_of_the_first_page(house, new_project) -> None:
    await house.store.write(lambda tx: new_project(tx, "my-project"))
    security = house.users
    await security.create_user(
        username="developer",
        email="dev@company.com",
        password="secure_password",
        global_access_level=AccessLevel.CONTRIBUTOR,
    )
    user = await security.grant_project_access("developer", "my-project", AccessLevel.MAINTAINER)
    levels = levels_of(user)
    assert (levels.within("my-project"), levels.within("shop")) == (M, C)
    assert may(Action.RUN_PROJECT, levels, "my-project").allowed
    assert not may(Action.RUN_PROJECT, levels, "shop").allowed
    assert [deed.kind for deed in house.deeds] == [DeedKind.USER_MADE, DeedKind.PROJECT_ACCESS_SET]


async def test_no_password_is_kept_or_shown(house, path: Path) -> None:
    user = await house.user("ann")
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"ann@example.org" in kept
    assert house.password.encode() not in kept
    assert "argon2" not in repr(user)


async def test_there_is_nobody_until_the_first_owner_is_made_at_the_machine_once(house) -> None:
    who = {"username": "ann", "email": "ann@example.org", "password": house.password}
    assert await house.users.every() == ()
    in_chat = Asker(name="x", levels=Levels(everywhere=O), face=Face.CHAT)
    with pytest.raises(NotAllowed, match="on the machine"):
        await house.users.create_first_owner(**who, by=in_chat)
    owner = await house.users.create_first_owner(**who)
    assert (owner.level, owner.made_by) == (O, "cli")
    with pytest.raises(NotAllowed, match="an owner already"):
        await house.users.create_first_owner(**{**who, "username": "bob", "email": "bob@example.org"})


async def test_of_two_first_owners_at_once_one_is_made(house, outcomes) -> None:
    made, errors = await outcomes(
        *(
            house.users.create_first_owner(
                username=name, email=f"{name}@example.org", password=house.password
            )
            for name in ("ann", "bob")
        )
    )
    assert made == 1
    assert [type(error) for error in errors] == [NotAllowed]


async def test_what_is_no_name(house) -> None:
    for name in ["", " ", "a b", "-a", "ann@x", "a" * 41, "änn", "a\nb", "../a"]:
        with pytest.raises(InvalidInput, match="user's name"):
            await house.users.create_user(name, "ann@example.org", house.password)


async def test_what_is_no_address(house) -> None:
    for email in ["", "ann", "ann@", "@x.org", "a b@x.org", "a@x..org", "a@b@c", "a\n@x.org"]:
        with pytest.raises(InvalidInput, match="e-mail"):
            await house.users.create_user("ann", email, house.password)


async def test_names_and_addresses_are_taken_in_any_case(house) -> None:
    await house.user("ann")
    with pytest.raises(InvalidInput, match="name 'ann'"):
        await house.users.create_user("ANN", "other@example.org", house.password)
    with pytest.raises(InvalidInput, match="the address 'ann@"):
        await house.users.create_user("bob", "Ann@Example.Org", house.password)
    assert (await house.users.get("ANN@example.org")).username == "ann"
    with pytest.raises(NotFound, match="no user named 'zoe'"):
        await house.users.get("zoe")


@pytest.mark.parametrize("face", [Face.CHAT, Face.API, Face.WEB])
async def test_no_chat_no_token_and_no_web_without_a_second_factor_changes_people(house, face: Face) -> None:
    await house.user("ann")
    scopes = frozenset(Scope) if face is Face.API else None
    by = Asker(name="x", levels=Levels(everywhere=O), face=face, scopes=scopes)
    for change in (
        lambda: house.users.create_user("bob", "bob@example.org", house.password, by=by),
        lambda: house.users.set_level("ann", A, by),
        lambda: house.users.grant_project_access("ann", "shop", M, by),
        lambda: house.users.disable("ann", by),
        lambda: house.users.enable("ann", by),
        lambda: house.users.reset_password("ann", house.password, by),
        lambda: house.second_factor.reset("ann", by),
        lambda: house.linking.make_code("ann", by),
        lambda: house.tokens.make("ann", "x", [Scope.READ], by=by),
        lambda: house.logins.end_all("ann", by),
        lambda: house.users.every(by),
        lambda: house.users.get("ann", by),
    ):
        with pytest.raises(NotAllowed):
            await change()
    assert (await house.users.get("ann")).highest is V
    assert len(await house.users.every()) == 1


async def test_nobody_gives_more_than_they_have_or_touches_their_equals(house) -> None:
    people = {level: await house.user(level.name.lower(), level) for level in AccessLevel}
    await house.user("owner2", O)
    for own, has in itertools.product((A, O), AccessLevel):
        by, other = house.on_the_web(people[own]), people[has]
        if own is O or has < own:
            await house.users.set_level(other.username, has, by)
        elif own is not has:
            for change in (
                house.users.set_level(other.username, V, by),
                house.users.disable(other.username, by),
                house.users.reset_password(other.username, house.password, by),
                house.second_factor.reset(other.username, by),
                house.linking.make_code(other.username, by),
                house.tokens.make(other.username, "x", [Scope.READ], by=by),
            ):
                with pytest.raises(NotAllowed):
                    await change
    with pytest.raises(NotAllowed, match="above yours"):
        await house.users.set_level("viewer", O, house.on_the_web(people[A]))
    with pytest.raises(NotAllowed):
        await house.users.create_user("x", "x@example.org", house.password, O, house.on_the_web(people[A]))


async def test_a_maintainer_of_a_project_lets_others_into_it_alone(house) -> None:
    ann = await house.user("ann", V)
    ann = await house.users.grant_project_access("ann", "shop", M)
    await house.user("bob", None)
    by = house.on_the_web(ann)
    bob = await house.users.grant_project_access("bob", "Shop", C, by)
    assert bob.projects == {"shop": C}
    with pytest.raises(NotAllowed):
        await house.users.grant_project_access("bob", "bank", C, by)
    with pytest.raises(NotAllowed, match="above yours"):
        await house.users.grant_project_access("bob", "shop", A, by)
    with pytest.raises(NotFound, match="no project"):
        await house.users.grant_project_access("bob", "shpo", C, by)
    assert (await house.users.grant_project_access("bob", "shop", None, by)).projects == {}


async def test_what_somebody_lost_since_they_asked_counts(house) -> None:
    ann = await house.user("ann", A)
    by = house.on_the_web(ann)
    await house.user("bob")
    await house.users.set_level("ann", V)
    with pytest.raises(NotAllowed):
        await house.users.set_level("bob", C, by)
    await house.users.set_level("ann", A)
    await house.users.disable("ann")
    with pytest.raises(NotAllowed):
        await house.users.set_level("bob", C, by)


async def test_somebody_always_owns_it(house, outcomes) -> None:
    await house.user("ann", O)
    for change in (house.users.set_level("ann", A), house.users.disable("ann")):
        with pytest.raises(NotAllowed, match="only owner"):
            await change
    await house.user("bob", O)
    done, errors = await outcomes(house.users.disable("ann"), house.users.set_level("bob", None))
    assert (done, len(errors)) == (1, 1)
    assert [deed.kind for deed in house.deeds].count(DeedKind.USER_DISABLED) == 1


async def test_what_cannot_be_recorded_does_not_happen(house) -> None:
    def refuses(tx: Transaction, deed: Deed) -> None:
        raise RuntimeError("the record is full")

    await house.user("ann")
    house.witness = refuses
    for change in (house.users.set_level("ann", A), house.user("bob")):
        with pytest.raises(RuntimeError, match="full"):
            await change
    assert [(one.username, one.level) for one in await house.users.every(AT_THE_MACHINE)] == [("ann", V)]


async def test_what_is_done_stands_in_the_audit_log(house) -> None:
    auditor = Auditor(Key.new())
    house.witness = audited(auditor)
    await house.user("ann", O)
    await house.user("bob")
    await house.users.grant_project_access("bob", "shop", M)
    await house.users.grant_project_access("bob", "shop", None)
    rows = await house.store.read(lambda conn: list(audit.rows(conn)))
    assert [(row.kind, row.subject, row.project) for row in rows] == [
        ("user_created", "user:ann", None),
        ("user_created", "user:bob", None),
        ("access_granted", "user:bob", "shop"),
        ("access_revoked", "user:bob", "shop"),
    ]
    assert (await house.store.read(auditor.verify)).sound


def test_every_deed_has_its_kind_in_the_audit_log() -> None:
    for kind in DeedKind:
        _audit_kind(Deed(kind=kind, actor="cli", subject="user:ann"))
