"""What the interactive shell answers. One line in, one renderable out; knows no terminal.

Each line asks the Orchard that runs at that moment, or the store when none does: one that is started or
stopped meanwhile changes nothing for who types.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.command import Asked, Command, Misused
from bot.cli.topics import COMMANDS, TOPICS
from core.domain.story import StoryStatus

if TYPE_CHECKING:
    from bot.cli.session import Session

ACTOR = "shell"
EXIT = ("exit", "quit")
HELP = "help"

Open = Callable[[], "AbstractAsyncContextManager[Session]"]


class Shell:
    def __init__(self, open_session: Open) -> None:
        self._open = open_session

    async def answer(self, line: str) -> RenderableType | None:
        """What a line gives; None when there is nothing to say. Raises OrchardError."""
        words = split(line)
        if not words:
            return None
        if words[0].lower() == HELP:
            return help_text(words[1:])
        command = find_command(words)
        async with self._open() as session:
            asked = Asked(session=session, words=tuple(words[1:]), actor=ACTOR, in_shell=True)
            return (await command.answer(asked)).shown

    async def choices(self, line: str) -> list[str]:
        """What could stand where the last word of `line` is (empty after a space). Raises OrchardError."""
        words = line.split(" ")
        *before, _last = [word for word in words[:-1] if word] + [words[-1]]
        if not before:
            return [HELP, *COMMANDS, *EXIT]
        if before[0].lower() == HELP:
            return list(COMMANDS)
        command = COMMANDS.get(before[0].lower())
        kinds = command.completion(len(before)) if command is not None else ()
        fixed = [word for kind in kinds if kind not in _ASKED for word in kind.split("|") if word]
        if not any(kind in _ASKED for kind in kinds):
            return [] if "path" in kinds else fixed
        async with self._open() as session:
            return fixed + [word for kind in kinds for word in await _names(session, kind, before)]

    @staticmethod
    def completes_path(line: str) -> bool:
        """Whether the last word of `line` is a path."""
        before = line.split()[: None if line.endswith(" ") else -1]
        command = COMMANDS.get(before[0].lower()) if before else None
        return command is not None and "path" in command.completion(len(before))


_ASKED = frozenset({"project", "story", "epic", "approval", "proposal"})


async def _names(session: Session, kind: str, before: Sequence[str]) -> list[str]:
    commands = session.commands
    if kind == "project":
        return [view.project.name for view in await commands.projects()]
    if kind == "approval":
        return [approval.id for approval in await commands.approvals()]
    if kind == "epic":
        found = [await commands.epics(view.project.name) for view in await commands.projects()]
        return [view.epic.id for views in found for view in views]
    command = COMMANDS[before[0].lower()]
    own = command.completes[0] == "project" and len(before) > 1
    titles = await commands.story_titles(before[1] if own else None)
    if kind == "proposal":
        titles = tuple(title for title in titles if title.status is StoryStatus.PROPOSED)
    return [title.id for title in titles]


def find_command(words: Sequence[str]) -> Command:
    """The command of a line whose words fit its form. Raises Misused."""
    name, *rest = words
    command = COMMANDS.get(name.lower())
    if command is None:
        raise Misused(f"There is no command '{name}'.", hint=f"{_near(name)}help shows them all.")
    command.check(rest)
    return command


def split(line: str) -> list[str]:
    """The words of a line, with quotes as in a shell. Raises Misused for quotes that are left open."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    # An apostrophe inside a word is one: add shop the customer's name
    lexer.quotes = '"' if _has_apostrophes(line) else "'\""
    try:
        return list(lexer)
    except ValueError:
        raise Misused("A quote is opened and not closed.", hint="Close it, or leave it out.") from None


def _has_apostrophes(line: str) -> bool:
    return any(
        character == "'" and 0 < at < len(line) - 1 and line[at - 1].isalnum() and line[at + 1].isalnum()
        for at, character in enumerate(line)
    )


def _near(name: str) -> str:
    names = [HELP, *COMMANDS, *EXIT]
    found = [each for each in names if each.startswith(name.lower())]
    found = found or get_close_matches(name.lower(), names, n=1)
    return f"Did you mean {found[0]}? " if found else ""


def help_text(words: Sequence[str] = (), *, in_shell: bool = True) -> RenderableType:
    """All commands by topic; of those named, their forms. Raises Misused for one that is not there."""
    if words:
        commands = [find_help(word) for word in words]
        return Text("\n".join(f"{command.form}\n  {command.purpose}" for command in commands))
    groups = [("", [(HELP, "Show this help message")])]
    groups += [(topic.title, [(each.form, each.purpose) for each in topic.commands]) for topic in TOPICS]
    if in_shell:
        groups.append(("", [("exit/quit", "Exit the shell")]))
    width = max(len(form) for _, rows in groups for form, _ in rows) + 3
    parts: list[RenderableType] = []
    for title, rows in groups:
        if title:
            parts.append(Text(f"\n{title}:", style="bold"))
        grid = Table.grid()
        grid.add_column(no_wrap=True, min_width=width)
        grid.add_column(no_wrap=True)
        grid.add_column()
        for form, purpose in rows:
            grid.add_row(Text(f"  {form}"), Text("- "), Text(purpose))
        parts.append(grid)
    return Group(Text("Available commands:"), *parts)


def find_help(word: str) -> Command:
    command = COMMANDS.get(word.lower())
    if command is None:
        raise Misused(f"There is no command '{word}'.", hint=f"{_near(word)}help shows them all.")
    return command
