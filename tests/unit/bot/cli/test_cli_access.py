"""No command of the command line, of the shell or of the core goes without asking the access matrix."""

import inspect

import click
import pytest
import typer

from bot.cli import admission as cli_admission
from bot.cli.program import app
from core.domain.access import AccessLevel
from core.errors import NotAllowed
from core.orchestrator.commands import Commands
from core.orchestrator.commands.admission import admitted, project_of
from core.security.access import AT_THE_MACHINE, EVERY_PROJECT, RULES, Action, Asker, Face, Levels, Seat, may
from core.security.requests import ACTION_OF


def paths(command, prefix=()):
    if isinstance(command, click.Group) or hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from paths(each, (*prefix, name))
    else:
        yield " ".join(prefix), command


WALKED = dict(paths(typer.main.get_command(app)))
METHODS = {
    name: method
    for name, method in inspect.getmembers(Commands, inspect.iscoroutinefunction)
    if not name.startswith("_")
}
VIEWER = Asker(name="user:vic", levels=Levels(everywhere=AccessLevel.VIEWER), face=Face.WEB)


def test_every_command_of_the_command_line_is_an_action() -> None:
    assert {"users create", "secrets set", "audit verify", "key change", "restore", "status"} <= WALKED.keys()
    assert WALKED.keys() == cli_admission.ACTIONS.keys()
    assert set(cli_admission.ACTIONS.values()) <= RULES.keys()


@pytest.mark.parametrize("path", sorted(WALKED))
def test_each_asks_before_anything_else(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Action] = []

    def refuse(action: Action, *_: object) -> None:
        asked.append(action)
        raise NotAllowed("No.")

    monkeypatch.setattr(cli_admission, "require", refuse)
    command = WALKED[path]
    with command.context_class(command).scope(), pytest.raises(SystemExit) as ended:
        command.callback(**{parameter.name: None for parameter in command.params})
    assert ended.value.code == 1
    assert asked == [cli_admission.ACTIONS[path]]


def test_every_method_of_the_commands_is_an_action() -> None:
    assert METHODS.keys() == ACTION_OF.keys()


@pytest.mark.parametrize("called", sorted(METHODS))
async def test_each_method_asks_and_a_stranger_gets_nothing(called: str) -> None:
    done: list[str] = []

    class Fake:
        async def approval(self, approval_id: str) -> object:
            raise AssertionError("looked up for nothing")

    async def method(project: str, name: str, scope: str) -> None:
        done.append(called)

    fake = Fake()
    setattr(fake, called, method)
    nobody = Asker(name="user:eve", levels=Levels(), face=Face.WEB)
    denied: list[Action] = []

    async def hear(action: Action, *_: object) -> None:
        denied.append(action)

    with pytest.raises(NotAllowed):
        await getattr(admitted(fake, nobody, hear), called)(project="shop", name="shop-1", scope="")
    assert (done, denied) == ([], [ACTION_OF[called]])
    await getattr(admitted(fake, AT_THE_MACHINE), called)(project="shop", name="shop-1", scope="")
    assert done == [called]


async def test_a_method_without_a_rule_is_for_nobody() -> None:
    class Fake:
        async def format_disk(self) -> None: ...

    with pytest.raises(NotAllowed, match="no access rule"):
        await admitted(Fake(), AT_THE_MACHINE).format_disk()


def test_chat_reaches_no_action_of_operators() -> None:
    from cogs.access import ACTIONS as CHAT
    from cogs.access import LINK

    operators = {action for action, rule in RULES.items() if rule.seat is Seat.OPERATOR}
    assert not operators & set(CHAT.values())
    owner = Asker(name="user:ann", levels=Levels(everywhere=AccessLevel.OWNER), face=Face.CHAT)
    for name, action in CHAT.items():
        assert name == LINK or may(action, owner, "shop").allowed, name


@pytest.mark.parametrize(
    ("arguments", "project"),
    [
        ({"project": " Shop "}, "shop"),
        ({"name": "shop"}, "shop"),
        ({"story_id": "shop-3"}, "shop"),
        ({"epic_id": "my-shop-e1"}, "my-shop"),
        ({"story_id": "team-api.v2-3"}, "team-api.v2"),  # and not "team"
        ({"story": "team-api.v2-3.7"}, "team-api.v2"),
        ({"story_id": "-3"}, EVERY_PROJECT),
        ({"project": None}, EVERY_PROJECT),
        ({}, EVERY_PROJECT),
    ],
)
def test_which_project_a_call_is_about(arguments: dict[str, object], project: str) -> None:
    assert project_of(arguments) == project
