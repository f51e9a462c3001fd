import importlib
import pkgutil
from itertools import product

import pytest
from discord.ext import commands

import cogs
from bot.discord.views import Counter
from cogs.access import PRIVATE, RIGHTS, AccessPolicy, Linked, Person, Right, control, require, standing
from core.domain.access import AccessLevel
from core.errors import NotAllowed
from core.security.access import Levels

OPEN = AccessPolicy(guild_id=1)
CLOSED = AccessPolicy(guild_id=1, roles=frozenset({"dev", "77"}))
STEERING = sorted(name for name, right in RIGHTS.items() if right is Right.STEER)
OTHERS = sorted(name for name, right in RIGHTS.items() if right is not Right.STEER)


def somebody(**facts: object) -> Person:
    return Person(**{"user_id": 5, "guild_id": 1, **facts})  # type: ignore[arg-type]


def every_command() -> set[str]:
    """By the names under which people type them."""
    modules = [importlib.import_module(f"cogs.{found.name}") for found in pkgutil.iter_modules(cogs.__path__)]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return {
        command.qualified_name
        for each in classes
        if issubclass(each, commands.Cog)
        for command in each.__cog_commands__
    }


class Desk:
    commands = None


@pytest.mark.parametrize("command", sorted(RIGHTS))
def test_without_roles_each_member_may_do_everything(command: str) -> None:
    require(OPEN, somebody(), command)


@pytest.mark.parametrize("command", sorted(RIGHTS))
@pytest.mark.parametrize("guild_id", [2, None])
def test_nobody_from_elsewhere_may_do_anything(command: str, guild_id: int | None) -> None:
    with pytest.raises(NotAllowed):
        require(OPEN, somebody(guild_id=guild_id, owns_guild=True, manages_guild=True), command)


@pytest.mark.parametrize(("everywhere", "there", "may"), [
    (None, AccessLevel.CONTRIBUTOR, True),
    (AccessLevel.ADMIN, None, True),
    (None, AccessLevel.VIEWER, False),
    (None, None, False),
])  # fmt: skip
@pytest.mark.parametrize("command", sorted(RIGHTS))
def test_in_private_a_user_answers_alerts_by_their_own_level_and_does_nothing_else(
    command: str, everywhere: AccessLevel | None, there: AccessLevel | None, may: bool
) -> None:
    projects = {} if there is None else {"shop": there}
    user = Linked(username="bob", levels=Levels(everywhere=everywhere, projects=projects))
    alone = somebody(guild_id=None, roles=frozenset({"dev"}), owns_guild=True, manages_guild=True)
    if may and command in PRIVATE:
        require(CLOSED, alone, command, linked=user, projects=("shop",))
        return
    with pytest.raises(NotAllowed):
        require(CLOSED, alone, command, linked=user, projects=("shop",))


@pytest.mark.parametrize("command", STEERING)
def test_with_roles_a_stranger_may_not_steer(command: str) -> None:
    with pytest.raises(NotAllowed, match="dev"):
        require(CLOSED, somebody(roles=frozenset({"guest"})), command)


@pytest.mark.parametrize("command", OTHERS)
def test_with_roles_everybody_may_look_and_be_asked(command: str) -> None:
    """Whose answer counts is the question's own affair: somebody may be named in it without a role here."""
    require(CLOSED, somebody(), command)


def test_only_answers_to_questions_and_raises_are_left_to_the_core() -> None:
    deciding = {name for name, right in RIGHTS.items() if right is Right.DECIDE}
    questions = {control("approve"), control("reject")}
    assert deciding == questions | {"budget raise", control("raise"), control("raise_by")}
    assert RIGHTS["approve"] is Right.STEER  # the command of that name is about stories


LEVELS = {
    "a stranger": ({}, AccessLevel.VIEWER),
    "another role": ({"roles": frozenset({"guest"})}, AccessLevel.VIEWER),
    "a role by name": ({"roles": frozenset({"dev"})}, AccessLevel.MAINTAINER),
    "a role by id": ({"roles": frozenset({"77"})}, AccessLevel.MAINTAINER),
    "manages the server": ({"manages_guild": True}, AccessLevel.ADMIN),
    "manages it, with a role": ({"manages_guild": True, "roles": frozenset({"dev"})}, AccessLevel.ADMIN),
    "owns the server": ({"owns_guild": True}, AccessLevel.OWNER),
    "owns and manages it": ({"owns_guild": True, "manages_guild": True}, AccessLevel.OWNER),
}


@pytest.mark.parametrize(("facts", "level"), LEVELS.values(), ids=LEVELS)
def test_what_a_member_is_to_orchard(facts: dict[str, object], level: AccessLevel) -> None:
    found = standing(CLOSED, somebody(**facts))
    assert found.level is level
    assert found.person == "5"
    assert found.roles == facts.get("roles", frozenset())
    assert standing(OPEN, somebody(**facts)).level is max(level, AccessLevel.MAINTAINER)


@pytest.mark.parametrize(("who", "command"), [*product(LEVELS, ("sprint start", control("skip")))])
def test_who_is_more_than_a_viewer_may_steer(who: str, command: str) -> None:
    facts, level = LEVELS[who]
    if level > AccessLevel.VIEWER:
        require(CLOSED, somebody(**facts), command)
    else:
        with pytest.raises(NotAllowed, match="You may look"):
            require(CLOSED, somebody(**facts), command)


def test_a_command_without_a_rule_is_for_nobody() -> None:
    with pytest.raises(NotAllowed, match="no access rule"):
        require(OPEN, somebody(owns_guild=True), "format_disk")


def test_before_a_server_is_known_nobody_may() -> None:
    with pytest.raises(NotAllowed):
        require(AccessPolicy(guild_id=None), somebody(), "state")


def test_every_command_has_a_rule() -> None:
    found = every_command()
    assert {"epic", "backlog add_story", "state"} <= found
    assert found - set(RIGHTS) == set()


def test_every_button_and_form_has_a_rule() -> None:
    counter = Counter(Desk())  # type: ignore[arg-type]
    verbs = {*counter.presses, *counter.submits}
    assert {"approve", "reject", "page"} <= verbs
    assert set(map(control, verbs)) - set(RIGHTS) == set()
