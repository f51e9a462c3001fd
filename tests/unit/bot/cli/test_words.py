"""What core says for Discord, as the shell and the command line say it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import core
from bot.cli.topics import COMMANDS
from bot.cli.words import KNOWN, PROGRAM, possible, translated, typed
from cogs.access import RIGHTS
from core.domain.lifecycles import Phase, WorkflowCommand, WorkflowState
from core.domain.machine import allowed_commands
from core.domain.way_back import command_of

CORE = Path(core.__file__).parent
GROUPS = {name.split()[0] for name in RIGHTS if " " in name and not name.startswith("button ")}
NO_COMMANDS = {"/states", "/tmp", "/etc", "/nowhere"}  # the end of a mark in a document
SLASHED = re.compile(r"(?<![\w/.{}<>-])/([a-z_]{3,})\b(?!/)(?: ([a-z_]+))?")


def said_in(source: str) -> Iterator[str]:
    """What people may be given of a module: its strings with a space in them, but for docstrings."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in docstrings else None
        if isinstance(text, str) and " " in text:
            yield text


def hints() -> Iterator[tuple[str, str]]:
    for path in sorted(CORE.rglob("*.py")):
        if "agents/replay" in str(path):
            continue
        for text in said_in(path.read_text("utf-8")):
            yield str(path.relative_to(CORE)), text


def unknown(text: str) -> list[str]:
    """Slash commands in a text that the shell has no word for."""
    found = []
    for first, second in SLASHED.findall(text):
        if first in GROUPS and not second:
            continue  # the second word is filled in: the next test knows them all
        if first not in KNOWN and f"{first} {second}" not in KNOWN:
            found.append(f"/{first} {second}".strip())
    return found


def test_every_command_that_core_names_is_known():
    found = {name for _, text in hints() for name in unknown(text)}
    assert found <= NO_COMMANDS, [
        (where, text) for where, text in hints() if set(unknown(text)) - NO_COMMANDS
    ]


def test_the_search_for_unknown_commands_finds_one():
    source = 'raise NotAllowed("No.", hint=f"First: /story juggle {id}, or /nosuch.")'
    assert [name for text in said_in(source) for name in unknown(text)] == ["/story juggle", "/nosuch"]


def test_every_command_of_discord_is_known():
    commands = {name for name in RIGHTS if not name.startswith("button ")} - GROUPS
    filled_in = {str(command) for command in WorkflowCommand} | {f"tdd {command_of(p)}" for p in Phase}
    assert (commands | filled_in) - KNOWN == set()


def test_every_known_command_is_a_word_of_the_shell():
    for name in KNOWN:
        word = translated(f"/{name}", in_shell=True)
        assert word.split()[0] in COMMANDS or word == f"/{name} in Discord"


def test_what_the_command_line_has_of_its_own_is_there():
    from bot.cli.program import app

    own = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    assert own | {group.name for group in app.registered_groups} >= PROGRAM


@pytest.mark.parametrize(
    ("said", "in_shell", "on_command_line"),
    [
        (
            "Start the project first: /project_start shop.",
            "Start the project first: start shop.",
            "Start the project first: orchard start shop.",
        ),
        ("Plan one: /sprint plan.", "Plan one: plan.", "Plan one: orchard do plan."),
        (
            "Possible now: /epic, /state, /backlog view, /backlog add_story, /backlog remove.",
            "Possible now: epic, status, backlog, add, remove.",
            "Possible now with orchard do: epic, status, backlog, add, remove.",
        ),
        (
            "Possible now: /suggest_fix, /tdd code, /story takeover.",
            "Possible now: fix, phase code, takeover.",
            "Possible now with orchard do: fix, phase code, takeover.",
        ),
        (
            "/story steer shop-1 says something to its agent.",
            "steer shop-1 says something to its agent.",
            "orchard do steer shop-1 says something to its agent.",
        ),
        (
            "Raise it with /budget raise, or look: /session list.",
            "Raise it with raise, or look: sessions.",
            "Raise it with orchard budget --raise, or look: orchard sessions list.",
        ),
        (
            "Link it: /github link shop OWNER/NAME.",
            "Link it: github link shop OWNER/NAME.",
            "Link it: orchard github link shop OWNER/NAME.",
        ),
        (
            "/subscriptions shows what you are called for.",
            "/subscriptions in Discord shows what you are called for.",
            None,
        ),
        ("No folder /srv/state/x or /start.", "No folder /srv/state/x or /start.", None),
        ("Nothing in /approve/x or /state_mirror.", "Nothing in /approve/x or /state_mirror.", None),
        ("Nothing to translate.", "Nothing to translate.", None),
    ],
)
def test_a_hint_names_commands_that_can_be_typed_there(said, in_shell, on_command_line):
    assert translated(said, in_shell=True) == in_shell
    assert translated(said, in_shell=False) == (on_command_line or in_shell)


def test_a_line_is_typed_where_it_is_read():
    assert typed("plan shop", in_shell=True) == "plan shop"
    assert typed("plan shop", in_shell=False) == "orchard do plan shop"
    assert typed("approve shop-1", in_shell=False) == "orchard approve shop-1"


@pytest.mark.parametrize("state", list(WorkflowState))
def test_every_state_allows_something_that_can_be_typed(state):
    assert "status" in possible(allowed_commands(state))
