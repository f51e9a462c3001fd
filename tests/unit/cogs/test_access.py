import pytest

from bot.discord.views import Counter
from cogs.access import RIGHTS, AccessPolicy, Person, Right, require
from core.errors import NotAllowed

OPEN = AccessPolicy(guild_id=1)
CLOSED = AccessPolicy(guild_id=1, roles=frozenset({"dev", "77"}))
STEERING = sorted(name for name, right in RIGHTS.items() if right is not Right.LOOK)
LOOKING = sorted(name for name, right in RIGHTS.items() if right is Right.LOOK)


def somebody(**facts: object) -> Person:
    return Person(**{"user_id": 5, "guild_id": 1, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize("command", sorted(RIGHTS))
def test_without_roles_each_member_may_do_everything(command: str) -> None:
    require(OPEN, somebody(), command)


@pytest.mark.parametrize("command", sorted(RIGHTS))
@pytest.mark.parametrize("guild_id", [2, None])
def test_nobody_from_elsewhere_may_do_anything(command: str, guild_id: int | None) -> None:
    with pytest.raises(NotAllowed):
        require(OPEN, somebody(guild_id=guild_id, owns_guild=True, manages_guild=True), command)


@pytest.mark.parametrize("command", STEERING)
def test_with_roles_a_stranger_may_not_steer(command: str) -> None:
    with pytest.raises(NotAllowed, match="dev"):
        require(CLOSED, somebody(roles=frozenset({"guest"})), command)


@pytest.mark.parametrize("command", LOOKING)
def test_with_roles_everybody_may_look(command: str) -> None:
    require(CLOSED, somebody(), command)


@pytest.mark.parametrize(
    "facts",
    [{"owns_guild": True}, {"manages_guild": True}, {"roles": {"dev"}}, {"roles": {"77"}}],
    ids=["owner", "manager", "role name", "role id"],
)
def test_with_roles_these_may_steer(facts: dict[str, object]) -> None:
    if "roles" in facts:
        facts = {"roles": frozenset(facts["roles"])}  # type: ignore[call-overload]
    require(CLOSED, somebody(**facts), "sprint start")


def test_a_command_without_a_rule_is_for_nobody() -> None:
    with pytest.raises(NotAllowed, match="no access rule"):
        require(OPEN, somebody(owns_guild=True), "format_disk")


def test_before_a_server_is_known_nobody_may() -> None:
    with pytest.raises(NotAllowed):
        require(AccessPolicy(guild_id=None), somebody(), "state")


def test_every_button_and_form_has_a_rule() -> None:
    class Desk:
        commands = None

    counter = Counter(Desk())  # type: ignore[arg-type]
    assert set(counter.presses) | set(counter.submits) <= set(RIGHTS)
